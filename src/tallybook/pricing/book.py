"""The price book: which price an event is rated with, at its own time.

The names an event carries are resolved once per (org, provider, model, mode) into a timeline of compiled
plans; an event then finds its plan by bisection on the instant it occurred.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from heapq import heappop, heappush

from tallybook.core.counters import Usage
from tallybook.pricing.cost import Plan, Rating, given, rate
from tallybook.pricing.match import Closeness, closeness, name_test, provider_fits, split_provider
from tallybook.pricing.price import Mode, Price, mode_of

_NO_PRICE = Plan(None, {})


class PriceBook:
    """Rates usages from memory. `load` lists the prices of an owner: an org, or None for those of every org.

    Keeps at most `owners_max` owners' prices and `timelines_max` resolved names. Safe to use from many
    threads.
    """

    def __init__(
        self,
        load: Callable[[str | None], Iterable[Price]],
        *,
        owners_max: int = 1_000,
        timelines_max: int = 20_000,
    ) -> None:
        self._load = load
        self._owners_max = owners_max
        self._shelves: dict[str | None, _Shelf] = {}
        self._loading = threading.Lock()
        # Shelves are compared by identity: a timeline of a dropped shelf is never found again, and ages out.
        self._timeline = lru_cache(maxsize=timelines_max)(_timeline)

    def rating(
        self,
        org_id: str,
        *,
        provider: str | None,
        model: str | None,
        service_tier: str | None,
        batch: bool,
        at_us: int,
        usage: Usage,
        given_pico: int | None = None,
    ) -> Rating:
        """What a usage costs with the price in force at that instant, as known now; a given cost stands as it is."""
        if given_pico is not None:
            return given(given_pico)
        mode = mode_of(service_tier, batch)
        if mode is None:  # a tier that no price can be for
            return rate(_NO_PRICE, usage)
        shelves = self._shelves
        own, common = shelves.get(org_id) or self._loaded(org_id), shelves.get(None) or self._loaded(None)
        return rate(self._timeline(own, common, provider, model, mode).plan_at(at_us), usage)

    def drop(self, owner: str | None) -> None:
        """Forgets the prices of that owner. To be called after the commit that changed them."""
        # Waits for a load in progress, which may have begun before the commit.
        with self._loading:
            self._shelves.pop(owner, None)

    def _loaded(self, owner: str | None) -> "_Shelf":
        with self._loading:
            shelf = self._shelves.get(owner)
            if shelf is None:
                if len(self._shelves) >= self._owners_max:
                    del self._shelves[next(iter(self._shelves))]
                shelf = self._shelves[owner] = _Shelf(self._load(owner))
            return shelf


class _Offer:
    """A price ready to be matched and, once it wins, to rate."""

    def __init__(self, price: Price) -> None:
        self.price = price
        self.provider = None if price.provider is None else price.provider.lower()
        self.names = name_test(price.match, price.model)

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.price.id, self.price.rates)

    def fits(self, provider: str | None, model: str, mode: Mode) -> bool:
        return self.price.mode is mode and provider_fits(self.provider, provider) and self.names(model)

    def rank(self, provider: str | None) -> "_Rank":
        """The smallest wins: the closest match, then the latest beginning. The rest only settles a draw."""
        price = self.price
        own, same_provider = price.org_id is not None, self.provider == provider
        close = closeness(price.match, price.model, own=own, same_provider=same_provider)
        return close, -price.effective_from_us, -price.recorded_at_us, price.id

    def is_over(self, at_us: int) -> bool:
        return self.price.effective_to_us is not None and self.price.effective_to_us <= at_us


_Rank = tuple[Closeness, int, int, str]


class _Shelf:
    """The prices of one owner."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._offers = [_Offer(price) for price in prices]
        self.providers = {offer.provider for offer in self._offers} - {None}

    def fitting(self, provider: str | None, model: str, mode: Mode) -> list[_Offer]:
        offers = [offer for offer in self._offers if offer.fits(provider, model, mode)]
        if provider is None and len({offer.provider for offer in offers} - {None}) > 1:
            # The event does not say whose model it was, and prices of several providers fit: none is guessed.
            return [offer for offer in offers if offer.provider is None]
        return offers


class _Timeline:
    """The plan in force at every instant: `plans[n]` from `edges_us[n]` to the next edge."""

    def __init__(self, edges_us: Sequence[int], plans: Sequence[Plan]) -> None:
        self._edges_us = edges_us
        self._plans = [_NO_PRICE, *plans]

    def plan_at(self, at_us: int) -> Plan:
        return self._plans[bisect_right(self._edges_us, at_us)]


def _timeline(own: _Shelf, common: _Shelf, provider: str | None, model: str | None, mode: Mode) -> _Timeline:
    name = "" if model is None else model.lower()
    if provider is None:
        provider, name = split_provider(name, (own.providers | common.providers).__contains__)
    else:
        provider = provider.lower()
    offers = [*own.fitting(provider, name, mode), *common.fitting(provider, name, mode)]
    edges_us = sorted(
        {offer.price.effective_from_us for offer in offers}
        | {offer.price.effective_to_us for offer in offers if offer.price.effective_to_us is not None}
    )
    return _Timeline(edges_us, _winners(offers, edges_us, provider))


def _winners(offers: Iterable[_Offer], edges_us: Sequence[int], provider: str | None) -> list[Plan]:
    """The plan of the best offer in force from each edge on, found in one sweep over time."""
    waiting = sorted(offers, key=lambda offer: -offer.price.effective_from_us)
    begun: list[tuple[_Rank, _Offer]] = []
    plans = []
    for edge_us in edges_us:
        while waiting and waiting[-1].price.effective_from_us <= edge_us:
            offer = waiting.pop()
            heappush(begun, (offer.rank(provider), offer))
        while begun and begun[0][1].is_over(edge_us):
            heappop(begun)
        plans.append(begun[0][1].plan if begun else _NO_PRICE)
    return plans
