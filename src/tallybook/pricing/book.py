"""The price book: which price an event is rated with, at its own time.

The names an event carries are resolved once per (org, provider, model, tier, batch) into a timeline of compiled
plans; an event then finds its plan by bisection on the instant it occurred.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from heapq import heappop, heappush
from typing import NamedTuple

from tallybook.core.counters import Usage
from tallybook.core.time_window import DAY_US
from tallybook.pricing.catalogue.names import Named, Names, ProviderNames, fitting_part
from tallybook.pricing.cost import Plan, Rating, TieredPlan, given, plan_of, rate
from tallybook.pricing.match import Closeness, closeness, name_test, provider_fits, split_provider
from tallybook.pricing.price import DailyWindow, Mode, Origin, Price, mode_of

_NO_PRICE = Plan(None, {})


class PriceBook:
    """Rates usages from memory. `load` lists the prices of an owner: an org, or None for those of every org.

    `load_names` lists the names of the catalogue. Keeps at most `owners_max` owners' prices and `timelines_max`
    resolved names. Safe to use from many threads.
    """

    def __init__(
        self,
        load: Callable[[str | None], Iterable[Price]],
        load_names: Callable[[], Sequence[ProviderNames]] = tuple,
        *,
        owners_max: int = 1_000,
        timelines_max: int = 20_000,
    ) -> None:
        self._load = load
        self._load_names = load_names
        self._owners_max = owners_max
        self._own: dict[str, _Shelf] = {}
        self._common: _Common | None = None
        self._loading = threading.Lock()
        # Shelves are compared by identity: a timeline of a dropped shelf is never found again. It would keep that
        # shelf in memory until it aged out, so dropping one forgets all timelines.
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
        own = self._own.get(org_id) or self._loaded(org_id)
        common = self._common or self._loaded_common()
        plan = self._timeline(own, common, provider, model, service_tier, batch).plan_at(at_us)
        return rate(plan if isinstance(plan, Plan) else plan.plan_for(usage), usage)

    def resolve(self, org_id: str, *, provider: str | None, model: str, mode: Mode, at_us: int) -> "Resolution":
        """How `rating` finds the price of an event that names these, with every candidate."""
        own, common = self._own.get(org_id) or self._loaded(org_id), self._common or self._loaded_common()
        asked = _understood(own, common, provider, model)
        offers = {each: _offers(own, common, asked, each) for each in Mode}
        candidates = sorted(offers[mode], key=lambda offer: offer.rank(asked.provider))
        winner = next((offer for offer in candidates if offer.is_in_force(at_us)), None)
        modes = [each for each in Mode if offers[each]]
        return Resolution(
            at_us,
            asked.provider or asked.first_party,
            asked.named,
            None if asked.named is None else str(fitting_part(asked.named.rule, asked.model)),
            [Candidate(offer.price, _standing(offer, at_us, winner), offer is winner) for offer in candidates],
            modes,
            None if winner else _reason(common.names, asked, candidates, modes, mode),
        )

    def drop(self, owner: str | None) -> None:
        """Forgets the prices of that owner. To be called after the commit that changed them."""
        # Waits for a load in progress, which may have begun before the commit.
        with self._loading:
            if owner is None:
                self._common = None
            else:
                self._own.pop(owner, None)
            self._timeline.cache_clear()

    def _loaded(self, org_id: str) -> "_Shelf":
        with self._loading:
            shelf = self._own.get(org_id)
            if shelf is None:
                if len(self._own) >= self._owners_max and self._own.pop(next(iter(self._own))) is not _EMPTY_SHELF:
                    self._timeline.cache_clear()
                offers = list(map(_Offer, self._load(org_id)))
                shelf = self._own[org_id] = _Shelf(offers) if offers else _EMPTY_SHELF
            return shelf

    def _loaded_common(self) -> "_Common":
        with self._loading:
            if self._common is None:
                self._common = _Common(self._load(None), self._load_names())
            return self._common


class Candidate(NamedTuple):
    """A price that is for the names asked about, and why it was taken or not."""

    price: Price
    standing: str
    won: bool


@dataclass(frozen=True)
class Resolution:
    """How names were understood. `named` is the model of the catalogue that was meant, found by `rule`.

    `candidates` stand in the order of precedence. `modes` are those that there are prices for, at any time. Where
    none was taken, `reason` says why.
    """

    at_us: int
    provider: str | None
    named: Named | None
    rule: str | None
    candidates: Sequence[Candidate]
    modes: Sequence[Mode]
    reason: str | None

    @property
    def price(self) -> Price | None:
        return next((candidate.price for candidate in self.candidates if candidate.won), None)


class _Offer:
    """A price ready to be matched and, once it wins, to rate."""

    def __init__(self, price: Price) -> None:
        self.price = price
        self.provider = None if price.provider is None else price.provider.lower()

    @cached_property
    def names(self) -> Callable[[str], bool]:
        return name_test(self.price.match, self.price.model)

    @cached_property
    def plan(self) -> Plan | TieredPlan:
        return plan_of(self.price)

    def fits(self, provider: str | None, model: str, mode: Mode) -> bool:
        return self.price.mode is mode and provider_fits(self.provider, provider) and self.names(model)

    def rank(self, provider: str | None) -> "_Rank":
        """The smallest wins: by origin, the closest match, the latest beginning, a part of the day before all of it.

        The rest only settles a draw.
        """
        price = self.price
        close = closeness(price.match, price.model, same_provider=self.provider == provider)
        return (
            _ORIGIN_ORDER[price.origin],
            close,
            -price.effective_from_us,
            price.daily is None,
            -price.recorded_at_us,
            price.id,
        )

    def is_in_force(self, at_us: int) -> bool:
        price = self.price
        if price.daily is not None and not price.daily.covers(at_us % DAY_US):
            return False
        return price.effective_from_us <= at_us and not self.is_over(at_us)

    def is_over(self, at_us: int) -> bool:
        return self.price.effective_to_us is not None and self.price.effective_to_us <= at_us


_Rank = tuple[int, Closeness, int, bool, int, str]
_ORIGIN_ORDER = {origin: order for order, origin in enumerate(Origin)}


def _standing(offer: _Offer, at_us: int, winner: _Offer | None) -> str:
    """Why an offer was taken or not, in words."""
    price = offer.price
    if offer is winner:
        return "in force, and none in force comes before it"
    if price.effective_from_us > at_us:
        return "not in force yet"
    if offer.is_over(at_us):
        return "no longer in force"
    if winner is None or not offer.is_in_force(at_us):
        return "not in force at this time of day"
    return f"in force, but {_precedence(winner.price, price)}"


def _precedence(winner: Price, loser: Price) -> str:
    if winner.origin is not loser.origin:
        return f"a price of the {winner.origin} comes before one of the {loser.origin}"
    if winner.match is not loser.match:
        return f"{winner.match} comes before {loser.match}"
    if len(winner.model) != len(loser.model):
        return "a longer text comes before a shorter one"
    if winner.provider != loser.provider:
        return "a price for the provider as named comes before one for another or any"
    if winner.effective_from_us == loser.effective_from_us and loser.daily is None and winner.daily is not None:
        return "a price for a part of the day comes before one for all of it"
    return "another for the same models began or was recorded later"


def _reason(names: Names, asked: "_Asked", candidates: Sequence[_Offer], modes: Sequence[Mode], mode: Mode) -> str:
    """Why there is no price, in words."""
    if candidates:
        return "there are prices, and none of them is in force at that time"
    if modes:
        return f"there is no price for the mode {mode}, but for {', '.join(modes)}"
    if asked.named is not None:
        return "the catalogue knows the model and has no price for it"
    if not names.provider_ids:
        return "no price names it, and no catalogue is recorded"
    provider = asked.provider or asked.first_party
    if provider is None:
        return "no price names it, and the catalogue does not know whose model it is; a provider may help"
    if names.provider(provider) is None:
        return f"no price names it, and the catalogue does not know the provider {provider}"
    return f"no price names it, and the catalogue does not know such a model of {provider}"


class _Shelf:
    """Prices that are found by trying each."""

    def __init__(self, offers: Iterable[_Offer]) -> None:
        self._offers = list(offers)
        self.providers = {offer.provider for offer in self._offers} - {None}

    def fitting(self, provider: str | None, first_party: str | None, model: str, mode: Mode) -> list[_Offer]:
        offers = [offer for offer in self._offers if offer.fits(provider, model, mode)]
        if provider is None and len({offer.provider for offer in offers} - {None}) > 1:
            # The event does not say whose model it was, and prices of several providers fit: its maker's, or none.
            return [offer for offer in offers if offer.provider in (None, first_party)]
        return offers


_EMPTY_SHELF = _Shelf([])  # one for all orgs without prices of their own, so that they share timelines


class _Common:
    """The prices of every org: the overlay, and the catalogue, which is found by its own ids."""

    def __init__(self, prices: Iterable[Price], providers: Sequence[ProviderNames]) -> None:
        self.names = Names(providers)
        overlay: list[_Offer] = []
        self._catalogue: dict[tuple[str | None, str, Mode], list[_Offer]] = {}
        for price in prices:
            if price.origin is Origin.CATALOGUE:
                self._catalogue.setdefault((price.provider, price.model, price.mode), []).append(_Offer(price))
            else:
                overlay.append(_Offer(price))
        self.overlay = _Shelf(overlay)

    def listed(self, named: Named | None, mode: Mode) -> list[_Offer]:
        """The catalogue's offers. What it says of other modes is said of the maker's own service only."""
        if named is None or (named.resold and mode is not Mode.STANDARD):
            return []
        return self._catalogue.get((named.provider, named.model, mode), [])


class _Asked(NamedTuple):
    """The names of an event as understood, in lower case: `first_party` made the model, where none was named."""

    provider: str | None
    first_party: str | None
    model: str
    named: Named | None


def _understood(own: _Shelf, common: _Common, provider: str | None, model: str | None) -> _Asked:
    name = "" if model is None else model.lower()
    names = common.names
    known = own.providers | common.overlay.providers | names.provider_ids
    if provider is None:
        provider, name = split_provider(name, ":", known.__contains__)
    elif provider.lower() == "litellm":
        # LiteLLM has words of its own for providers, such as `bedrock` or `vertex_ai`.
        provider, name = split_provider(name, "/", lambda word: word in known or names.provider(word) is not None)
    else:
        provider = provider.lower()
    first_party = names.claimant(name) if provider is None else None
    seller = first_party if provider is None else names.provider(provider)
    return _Asked(provider, first_party, name, None if seller is None else names.model(seller, name))


def _offers(own: _Shelf, common: _Common, asked: _Asked, mode: Mode) -> list[_Offer]:
    seller = asked.provider if asked.provider is None else common.names.provider(asked.provider) or asked.provider
    return [
        *own.fitting(asked.provider, asked.first_party, asked.model, mode),
        *common.overlay.fitting(seller, asked.first_party, asked.model, mode),
        *common.listed(asked.named, mode),
    ]


class _DailyPlan:
    """Other plans in other parts of the day; the first whose part it is counts."""

    def __init__(self, plans: Sequence[tuple[DailyWindow | None, Plan | TieredPlan]]) -> None:
        self._plans = plans

    def plan_at(self, at_us: int) -> Plan | TieredPlan:
        day_us = at_us % DAY_US
        return next(plan for daily, plan in self._plans if daily is None or daily.covers(day_us))


class _Timeline:
    """The plan in force at every instant: `plans[n]` from `edges_us[n]` to the next edge."""

    def __init__(self, edges_us: Sequence[int], plans: Sequence[Plan | TieredPlan | _DailyPlan]) -> None:
        self._edges_us = edges_us
        self._plans = [_NO_PRICE, *plans]

    def plan_at(self, at_us: int) -> Plan | TieredPlan:
        plan = self._plans[bisect_right(self._edges_us, at_us)]
        return plan.plan_at(at_us) if isinstance(plan, _DailyPlan) else plan


def _timeline(
    own: _Shelf, common: _Common, provider: str | None, model: str | None, service_tier: str | None, batch: bool
) -> _Timeline:
    mode = mode_of(service_tier, batch)
    if mode is None:  # a tier that no price can be for
        return _Timeline([], [])
    asked = _understood(own, common, provider, model)
    offers = _offers(own, common, asked, mode)
    edges_us = sorted(
        {offer.price.effective_from_us for offer in offers}
        | {offer.price.effective_to_us for offer in offers if offer.price.effective_to_us is not None}
    )
    return _Timeline(edges_us, _winners(offers, edges_us, asked.provider))


def _winners(
    offers: Iterable[_Offer], edges_us: Sequence[int], provider: str | None
) -> list[Plan | TieredPlan | _DailyPlan]:
    """The plan of the best offer in force from each edge on, found in one sweep over time."""
    waiting = sorted(offers, key=lambda offer: -offer.price.effective_from_us)
    begun: list[tuple[_Rank, _Offer]] = []
    plans: list[Plan | TieredPlan | _DailyPlan] = []
    for edge_us in edges_us:
        while waiting and waiting[-1].price.effective_from_us <= edge_us:
            offer = waiting.pop()
            heappush(begun, (offer.rank(provider), offer))
        while begun and begun[0][1].is_over(edge_us):
            heappop(begun)
        plans.append(_plan_of_the_best(begun, edge_us))
    return plans


def _plan_of_the_best(begun: Sequence[tuple["_Rank", _Offer]], edge_us: int) -> Plan | TieredPlan | _DailyPlan:
    if not begun:
        return _NO_PRICE
    best = begun[0][1]
    if best.price.daily is None:
        return best.plan
    return _DailyPlan(_through_the_day(sorted(begun, key=lambda ranked: ranked[0]), edge_us))


def _through_the_day(
    ranked: Iterable[tuple["_Rank", _Offer]], edge_us: int
) -> list[tuple[DailyWindow | None, Plan | TieredPlan]]:
    plans: list[tuple[DailyWindow | None, Plan | TieredPlan]] = []
    for _, offer in ranked:
        if not offer.is_over(edge_us):
            plans.append((offer.price.daily, offer.plan))
            if offer.price.daily is None:
                return plans
    return [*plans, (None, _NO_PRICE)]
