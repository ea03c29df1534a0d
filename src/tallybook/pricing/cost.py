"""Usage + price in force -> cost, line by line. Pure."""

from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from math import lcm

import msgspec

from tallybook.core.counters import COUNTERS, Usage
from tallybook.core.money import PICO_PER_USD, divide_half_even
from tallybook.pricing.pools import Deal, deal_for, deal_out, unpriced_of
from tallybook.pricing.price import Rate


class Pricing(Enum):
    """How an event came by its cost. Never a silent 0.

    PRICED: every reported unit has a rate. FREE: every rate is 0, or no billable unit is reported. GIVEN: the
    caller supplied the cost. UNPRICED: at least one reported unit has no rate; the cost is unknown.
    """

    PRICED = "priced"
    FREE = "free"
    GIVEN = "given"
    UNPRICED = "unpriced"


class Rating(msgspec.Struct, frozen=True, gc=False):
    """What an event costs and why. Amounts are picodollars.

    `cost_pico` is None exactly when unpriced. `known_cost_pico` is the exact sum of `lines` (unit, amount),
    or the given cost; lines of amount 0 are left out. `unpriced_units` names the reported units without a
    rate. Both come in the order of `COUNTERS`.
    """

    pricing: Pricing
    cost_pico: int | None
    known_cost_pico: int
    lines: tuple[tuple[str, int], ...] = ()
    unpriced_units: tuple[str, ...] = ()
    price_id: str | None = None


def given(cost_pico: int) -> Rating:
    """The caller's own cost, taken as it is."""
    return Rating(Pricing.GIVEN, cost_pico, cost_pico)


class Plan:
    """A price made ready for rating: each rate in picodollars per stored unit, over one common denominator.

    Deals depend only on which counters an event reports; each is worked out once and kept.
    """

    # Counters may come in any order, and each order is kept apart: beyond so many, all are worked out again.
    _DEALS_MAX = 1_000

    def __init__(self, price_id: str | None, rates: Mapping[str, Rate]) -> None:
        exact = {unit: _pico_per_stored_unit(unit, rate) for unit, rate in rates.items()}
        self.price_id = price_id
        self.denominator = lcm(*(rate.denominator for rate in exact.values()))
        self.numerators = {unit: int(rate * self.denominator) for unit, rate in exact.items()}
        self.counts_requests = "requests" in rates
        self._deals: dict[tuple[str, ...], Deal] = {}

    def deal(self, counters: tuple[str, ...]) -> Deal:
        deal = self._deals.get(counters)
        if deal is None:
            if len(self._deals) >= self._DEALS_MAX:
                self._deals.clear()
            deal = self._deals[counters] = deal_for(counters, self.numerators)
        return deal


def rate(plan: Plan, usage: Usage) -> Rating:
    """What a usage costs under a plan. Each line is rounded once, half-even; the cost is their exact sum.

    A counter is reported when its value is above 0; `requests` counts 1 where it is not sent but has a rate.
    Raises nothing, whatever the values, and no amount is negative.
    """
    if plan.counts_requests and "requests" not in usage:
        usage = {**usage, "requests": 1}
    if min(usage.values(), default=1) <= 0:
        usage = {counter: value for counter, value in usage.items() if value > 0}
    deal = plan.deal(tuple(usage))
    return _rated_plainly(plan, deal, usage) or _rated_by_pools(plan, deal, usage)


def _rated_plainly(plan: Plan, deal: Deal, usage: Usage) -> Rating | None:
    """In one pass, where every pool is a plain difference and something is charged, which is nearly always."""
    if deal.differences is None:
        return None
    cost_pico = 0
    lines = []
    numerators, denominator = plan.numerators, plan.denominator
    for unit, counter, parts in deal.differences:
        pool = usage[counter]
        for part in parts:
            pool -= usage[part]
        if pool < 0:
            return None
        amount = pool * numerators[unit]
        if denominator != 1:
            amount = divide_half_even(amount, denominator)
        if amount:
            cost_pico += amount
            lines.append((unit, amount))
    return Rating(Pricing.PRICED, cost_pico, cost_pico, tuple(lines), (), plan.price_id) if cost_pico else None


def _rated_by_pools(plan: Plan, deal: Deal, usage: Usage) -> Rating:
    pools, left = deal_out(deal, usage)
    charged = [(unit, pools[unit] * plan.numerators[unit]) for unit in deal.units]
    amounts = [(unit, divide_half_even(amount, plan.denominator)) for unit, amount in charged]
    lines = tuple((unit, amount) for unit, amount in amounts if amount)
    cost_pico = sum(amount for _, amount in lines)
    if unpriced := unpriced_of(deal, left):
        return Rating(Pricing.UNPRICED, None, cost_pico, lines, unpriced, plan.price_id)
    # A cost that rounds to 0 is a price all the same.
    if any(amount for _, amount in charged):
        return Rating(Pricing.PRICED, cost_pico, cost_pico, lines, (), plan.price_id)
    return Rating(Pricing.FREE, 0, 0, (), (), plan.price_id)


def _pico_per_stored_unit(unit: str, rate: Rate) -> Fraction:
    return Fraction(rate.usd) * PICO_PER_USD / (rate.per * COUNTERS[unit].scale)
