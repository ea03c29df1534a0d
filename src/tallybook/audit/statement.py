"""A cost line by line: how many units at which rate make which amount. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from tallybook.core.counters import COUNTERS, Usage
from tallybook.pricing.cost import Pricing, Rating, context_tokens
from tallybook.pricing.price import Price, rates_for

GIVEN = "given"
"""The one line of a cost that the caller supplied."""


class Line(NamedTuple):
    """`quantity` in stored units of the counter; `usd` for every `per` units, None where the price is not known."""

    unit: str
    quantity: int | None
    usd: Decimal | None
    per: int | None
    amount_pico: int


def lines_of(rating: Rating, usage: Usage, price: Price | None) -> Sequence[Line]:
    """The lines of a rating of that usage with that price. They add up to what of its cost is known."""
    if rating.pricing is Pricing.GIVEN:
        return [Line(GIVEN, None, None, None, rating.known_cost_pico)]
    rates = {} if price is None else rates_for(price.rates, context_tokens(usage))
    pools = {"requests": 1, **usage, **dict(rating.pools)}
    lines = []
    for unit, amount_pico in rating.lines:
        rate, quantity = rates.get(unit), pools.get(unit)
        if rate is None or quantity is None:
            lines.append(Line(unit, quantity, None, None, amount_pico))
        else:
            least = rate.at_least * COUNTERS[unit].scale * usage.get("requests", 1)
            lines.append(Line(unit, max(quantity, least), rate.usd, rate.per, amount_pico))
    return lines
