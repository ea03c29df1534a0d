"""Which prices may be meant by the names an event carries, and how they rank among each other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from tallybook.pricing.catalogue.names import Named, Names, ProviderNames
from tallybook.pricing.cost import Plan, TieredPlan, plan_of
from tallybook.pricing.match import Closeness, Match, closeness, name_test, provider_fits, split_provider
from tallybook.pricing.price import Mode, Origin, Price, lowered


class Offer:
    """A price ready to be matched and, once it wins, to rate."""

    def __init__(self, price: Price) -> None:
        self.price = price
        self.provider = None if price.provider is None else price.provider.lower()
        self.when = lowered(price.when)

    @cached_property
    def names(self) -> Callable[[str], bool]:
        return name_test(self.price.match, self.price.model)

    @cached_property
    def plan(self) -> Plan | TieredPlan:
        return plan_of(self.price)

    def fits(self, provider: str | None, model: str, mode: Mode) -> bool:
        return self.price.mode is mode and provider_fits(self.provider, provider) and self.names(model)

    def rank(self, asked: "Asked") -> "Rank":
        """The smallest wins: by origin, the closest match, the most conditions, the latest beginning, a part of the
        day before all of it.

        The rest only settles a draw.
        """
        price = self.price
        same = self.provider == (asked.provider if price.origin is Origin.ORG else asked.seller)
        return (
            _ORIGIN_ORDER[price.origin],
            closeness(price.match, price.model, same_provider=same),
            -len(price.when),
            -price.effective_from_us,
            price.daily is None,
            -price.recorded_at_us,
            price.id,
        )

    def is_in_force(self, at_us: int) -> bool:
        price = self.price
        if price.daily is not None and not price.daily.covers(at_us):
            return False
        return price.effective_from_us <= at_us and not self.is_over(at_us)

    def is_over(self, at_us: int) -> bool:
        return self.price.effective_to_us is not None and self.price.effective_to_us <= at_us


Rank = tuple[int, Closeness, int, int, bool, int, str]
_ORIGIN_ORDER = {origin: order for order, origin in enumerate(Origin)}


class Shelf:
    """Prices that are found by the name they are for, or by trying each pattern."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._exact: dict[str, list[Offer]] = {}
        self._patterns: list[Offer] = []
        self.providers: set[str | None] = set()
        for offer in offers:
            is_exact = offer.price.match is Match.EQUALS
            shelf = self._exact.setdefault(offer.price.model.lower(), []) if is_exact else self._patterns
            shelf.append(offer)
            self.providers.add(offer.provider)
        self.providers.discard(None)

    def exact(self, mode: Mode) -> Iterator[Price]:
        """Prices that name one model, at any time."""
        prices = (offer.price for offers in self._exact.values() for offer in offers)
        return (price for price in prices if price.mode is mode)

    def fitting(self, provider: str | None, first_party: str | None, model: str, mode: Mode) -> list[Offer]:
        likely = (*self._exact.get(model, ()), *self._patterns)
        offers = [offer for offer in likely if offer.fits(provider, model, mode)]
        if provider is None and len({offer.provider for offer in offers} - {None}) > 1:
            # The event does not say whose model it was, and prices of several providers fit: its maker's, or none.
            return [offer for offer in offers if offer.provider in (None, first_party)]
        return offers


EMPTY_SHELF = Shelf([])  # one for all orgs without prices of their own, so that they share timelines


class Common:
    """The prices of every org: the overlay, and the catalogue, which is found by its own ids."""

    def __init__(self, prices: Iterable[Price], providers: Sequence[ProviderNames]) -> None:
        self.names = Names(providers)
        overlay: list[Offer] = []
        self._catalogue: dict[tuple[str | None, str, Mode], list[Offer]] = {}
        for price in prices:
            if price.origin is Origin.CATALOGUE:
                self._catalogue.setdefault((price.provider, price.model, price.mode), []).append(Offer(price))
            else:
                overlay.append(Offer(price))
        self.overlay = Shelf(overlay)

    def listed(self, named: Named | None, mode: Mode) -> list[Offer]:
        """The catalogue's offers. What it says of other modes is said of the maker's own service only."""
        if named is None or (named.resold and mode is not Mode.STANDARD):
            return []
        return self._catalogue.get((named.provider, named.model, mode), [])


class Asked(NamedTuple):
    """The names of an event as understood, in lower case.

    `first_party` made the model, where no provider was named; `seller` is the provider by the catalogue's id, where it
    has one.
    """

    provider: str | None
    seller: str | None
    first_party: str | None
    model: str
    named: Named | None


def understood(own: Shelf, common: Common, provider: str | None, model: str | None) -> Asked:
    """Whom the provider and model of an event mean; either may be missing."""
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
    known_as = first_party if provider is None else names.provider(provider)
    seller = None if provider is None else known_as or provider
    return Asked(provider, seller, first_party, name, None if known_as is None else names.model(known_as, name))


def offers_for(own: Shelf, common: Common, asked: Asked, mode: Mode) -> list[Offer]:
    """All prices that are for these names in that mode, at any time."""
    return [
        *own.fitting(asked.provider, asked.first_party, asked.model, mode),
        *common.overlay.fitting(asked.seller, asked.first_party, asked.model, mode),
        *common.listed(asked.named, mode),
    ]
