"""Another list's opinion of prices, beside what an event would be charged here. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from tallybook.pricing.pools import payer_of
from tallybook.pricing.price import Mode, Price, Rate, rates_for


class Said(NamedTuple):
    """The conditions of a claim, as an event would say them."""

    context_level: str | None = None
    image_operation: str | None = None
    image_quality: str | None = None
    image_size: str | None = None


class Claim(NamedTuple):
    """What a list says that one `unit` costs: `usd`, for events of more than `above` input tokens.

    `entry` and `field` are where it says so.
    """

    entry: str
    field: str
    provider: str
    model: str
    mode: Mode
    unit: str
    usd: Decimal
    above: int = 0
    said: Said = Said()


class Opinions(NamedTuple):
    """A list: its claims, and the fields, by name, that say something no event can report, with how many do."""

    claims: Sequence[Claim]
    unsaid: Mapping[str, int]


class Verdict(StrEnum):
    """SAME: charged the same. OTHER_RATE: charged another amount.

    NO_RATE: there is a price, and it has no rate for the unit. NO_PRICE: no price is for such a model, mode and time.
    """

    SAME = "same"
    OTHER_RATE = "other_rate"
    NO_RATE = "no_rate"
    NO_PRICE = "no_price"


class Judged(NamedTuple):
    """A claim, and `ours`: what one unit is charged by `price`, where it is."""

    claim: Claim
    verdict: Verdict
    ours: Decimal | None
    price: Price | None


@dataclass(frozen=True)
class Comparison:
    at_us: int
    judged: Sequence[Judged]
    unsaid: Mapping[str, int]

    @property
    def differences(self) -> list[Judged]:
        """Where it would be charged otherwise, or not at all."""
        return [each for each in self.judged if each.verdict is not Verdict.SAME]

    def counts(self) -> dict[Verdict, int]:
        counted = Counter(each.verdict for each in self.judged)
        return {verdict: counted[verdict] for verdict in Verdict}


PriceOf = Callable[[Claim], Price | None]


def compare(claims: Iterable[Claim], price_of: PriceOf) -> list[Judged]:
    return [_judged(claim, price_of(claim)) for claim in claims]


def _judged(claim: Claim, price: Price | None) -> Judged:
    if price is None:
        return Judged(claim, Verdict.NO_PRICE, None, None)
    rates = rates_for(price.rates, claim.above + 1)
    payer = payer_of(claim.unit, rates)
    if payer is None:
        # A price without a rate for it charges nothing, and says so unless the list does as well.
        return Judged(claim, Verdict.NO_RATE if claim.usd else Verdict.SAME, None, price)
    ours = _usd(rates[payer])
    # To the twelve digits that are left of a rate which went through a binary float.
    same = abs(ours - claim.usd) * 10**12 <= max(ours, claim.usd)
    return Judged(claim, Verdict.SAME if same else Verdict.OTHER_RATE, ours, price)


def _usd(rate: Rate) -> Decimal:
    return rate.usd / rate.per
