"""How the price of an event is found, told with every candidate and why it was taken or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tallybook.pricing.catalogue.names import Named, Names, fitting_part
from tallybook.pricing.offers import Asked, Common, Offer, Shelf, offers_for, understood
from tallybook.pricing.price import Mode, Price
from tallybook.pricing.timeline import Circumstances, fulfils


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


def resolve(
    own: Shelf,
    common: Common,
    *,
    provider: str | None,
    model: str,
    mode: Mode,
    at_us: int,
    told: Circumstances | None,
) -> Resolution:
    """What an event gets that names these, says that besides, and occurs at that instant."""
    asked = understood(own, common, provider, model)
    offers = {each: offers_for(own, common, asked, each) for each in Mode}
    candidates = sorted(offers[mode], key=lambda offer: offer.rank(asked))
    winner = next((each for each in candidates if each.is_in_force(at_us) and fulfils(told, each.when)), None)
    modes = [each for each in Mode if offers[each]]
    return Resolution(
        at_us,
        asked.provider or asked.first_party,
        asked.named,
        None if asked.named is None else str(fitting_part(asked.named.rule, asked.model)),
        [Candidate(offer.price, _standing(offer, at_us, told, winner), offer is winner) for offer in candidates],
        modes,
        None if winner else _reason(common.names, asked, candidates, modes, mode),
    )


def price_in_force(
    own: Shelf,
    common: Common,
    *,
    provider: str | None,
    model: str,
    mode: Mode,
    at_us: int,
    told: Circumstances | None,
) -> Price | None:
    """The price alone, in a fraction of the time of `resolve`."""
    asked = understood(own, common, provider, model)
    fitting = [
        offer
        for offer in offers_for(own, common, asked, mode)
        if offer.is_in_force(at_us) and fulfils(told, offer.when)
    ]
    return min(fitting, key=lambda offer: offer.rank(asked)).price if fitting else None


def _standing(offer: Offer, at_us: int, told: Circumstances | None, winner: Offer | None) -> str:
    """Why an offer was taken or not, in words."""
    price = offer.price
    if offer is winner:
        return "in force, and none in force comes before it"
    if price.effective_from_us > at_us:
        return "not in force yet"
    if offer.is_over(at_us):
        return "no longer in force"
    if not fulfils(told, offer.when):
        return f"only where {' and '.join(f'{name} is {word}' for name, word in offer.price.when)}"
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
    if len(winner.when) != len(loser.when):
        return "a price with more conditions comes before one with fewer"
    if winner.effective_from_us == loser.effective_from_us and loser.daily is None and winner.daily is not None:
        return "a price for a part of the day comes before one for all of it"
    return "another for the same models began or was recorded later"


def _reason(names: Names, asked: "Asked", candidates: Sequence[Offer], modes: Sequence[Mode], mode: Mode) -> str:
    """Why there is no price, in words."""
    if candidates:
        if all(offer.when for offer in candidates):
            return "there are prices, but only for events that say more; see the candidates"
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
