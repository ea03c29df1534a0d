"""Usage + price in force -> cost, line by line. Pure."""

from bisect import bisect_left
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from math import lcm

import msgspec

from tallybook.core.counters import COUNTERS, PARTS, Usage
from tallybook.core.money import PICO_PER_USD, divide_half_even
from tallybook.pricing.pools import deal_for, deal_out, unpriced_of
from tallybook.pricing.price import Price, Rate, rates_for


class Pricing(Enum):
    """How an event came by its cost. Never a silent 0.

    PRICED: every reported unit has a rate. FREE: every rate is 0, or no billable unit is reported. GIVEN: the
    caller supplied the cost. UNPRICED: at least one reported unit has no rate; the cost is unknown. UNREPORTED: there
    was usage, and the provider did not tell how much; the cost is unknown as well.
    """

    PRICED = "priced"
    FREE = "free"
    GIVEN = "given"
    UNPRICED = "unpriced"
    UNREPORTED = "unreported"


class Rating(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an event costs and why. Amounts are picodollars.

    `cost_pico` is None exactly when unpriced or unreported. `known_cost_pico` is the exact sum of `lines` (unit,
    amount), or the given cost; lines of amount 0 are left out. `unpriced_units` names the reported units without a
    rate. Both come in the order of `COUNTERS`. `matched` is what the price is for, such as `openai:gpt-4o`.
    `pools` (unit, stored units) are the quantities of those lines that were charged for another number than the
    counter of their name holds, such as the input tokens that no cache gave.
    """

    pricing: Pricing
    cost_pico: int | None
    known_cost_pico: int
    lines: tuple[tuple[str, int], ...] = ()
    unpriced_units: tuple[str, ...] = ()
    price_id: str | None = None
    matched: str | None = None
    pools: tuple[tuple[str, int], ...] = ()


UNREPORTED = Rating(Pricing.UNREPORTED, None, 0)
"""What a usage costs that nobody told."""


def given(cost_pico: int) -> Rating:
    """The caller's own cost, taken as it is."""
    return Rating(Pricing.GIVEN, cost_pico, cost_pico)


# A deal depends only on which counters an event reports, in which order, and which units have a rate: few of the
# possible sets occur, and most prices share theirs.
_deal = lru_cache(maxsize=10_000)(deal_for)


class Plan:
    """A price without tiers made ready: each rate in picodollars per stored unit, over one common denominator."""

    def __init__(self, price_id: str | None, rates: Mapping[str, Rate], matched: str | None = None) -> None:
        exact = {unit: _pico_per_stored_unit(unit, rate) for unit, rate in rates.items()}
        self.price_id = price_id
        self.matched = matched
        self.units = frozenset(rates)
        self.denominator = lcm(*(rate.denominator for rate in exact.values()))
        self.numerators = {unit: int(rate * self.denominator) for unit, rate in exact.items()}
        self._counts_requests = "requests" in rates
        self._floors = {unit: rate.at_least * COUNTERS[unit].scale for unit, rate in rates.items() if rate.at_least}
        self.adjusts = self._counts_requests or bool(self._floors)

    def adjusted(self, usage: Usage) -> Usage:
        """What is charged of a usage: requests that were not sent, and no less than the least of each."""
        requests = usage.get("requests", 1)
        raised = {unit: max(usage[unit], floor * requests) for unit, floor in self._floors.items() if usage.get(unit)}
        if self._counts_requests:
            raised.setdefault("requests", requests)
        return {**usage, **raised}


class TieredPlan:
    """A price with tiers made ready: a plan for each range of context lengths."""

    def __init__(self, price_id: str | None, rates: Mapping[str, Rate], matched: str | None = None) -> None:
        self._above = sorted({tier.above for rate in rates.values() for tier in rate.tiers})
        self._plans = [Plan(price_id, rates_for(rates, above + 1), matched) for above in (0, *self._above)]

    def plan_for(self, usage: Usage) -> Plan:
        return self._plans[bisect_left(self._above, context_tokens(usage))]


def plan_of(price: Price) -> Plan | TieredPlan:
    """A price made ready for rating."""
    matched = price.model if price.provider is None else f"{price.provider}:{price.model}"
    kind = TieredPlan if any(rate.tiers for rate in price.rates.values()) else Plan
    return kind(price.id, price.rates, matched)


def context_tokens(usage: Usage) -> int:
    """The length of the context, which decides the tier: all input tokens, whether or not the total was sent."""
    total = usage.get("input_tokens")
    return _parts_of_context(usage) if total is None else total


def _parts_of_context(usage: Usage) -> int:
    return max(sum(usage.get(part, 0) for part in group) for group in PARTS["input_tokens"])


def rate(plan: Plan, usage: Usage) -> Rating:
    """What a usage costs under a plan. Each line is rounded once, half-even; the cost is their exact sum.

    A counter is reported when its value is above 0; `requests` counts 1 where it is not sent but has a rate. An event
    of several requests does not say how they share what has a least: it is then charged for all of them together.
    Totals include their parts. Raises nothing, whatever the values, and no amount is negative.
    """
    if plan.adjusts:
        usage = plan.adjusted(usage)
    # One pass, where every pool is a plain difference and something is charged, which is nearly always.
    cost_pico = 0
    lines = []
    pools = []
    numerators, denominator = plan.numerators, plan.denominator
    for unit, counter, parts in _deal(tuple(usage), plan.units).differences:
        pool = usage[counter]
        for part in parts:
            pool -= usage[part]
        if pool < 0:
            return _rated_by_pools(plan, usage)
        amount = pool * numerators[unit]
        if denominator != 1:
            amount = divide_half_even(amount, denominator)
        if amount:
            cost_pico += amount
            lines.append((unit, amount))
            if pool != usage.get(unit):
                pools.append((unit, pool))
    if cost_pico:
        return Rating(_PRICED, cost_pico, cost_pico, tuple(lines), (), plan.price_id, plan.matched, tuple(pools))
    return _rated_by_pools(plan, usage)


_PRICED = Pricing.PRICED  # to look it up in the class takes as long as the rest of a line


def _rated_by_pools(plan: Plan, usage: Usage) -> Rating:
    reported = {counter: value for counter, value in usage.items() if value > 0}
    deal = _deal(tuple(reported), plan.units)
    if not deal.units:
        return _unpaid(plan, tuple([counter for counter, _ in deal.uncovered]))
    pools, left = deal_out(deal, reported)
    charged = [(unit, pools[unit] * plan.numerators[unit]) for unit in deal.units]
    lines = tuple((unit, amount) for unit, exact in charged if (amount := divide_half_even(exact, plan.denominator)))
    cost_pico = sum([amount for _, amount in lines])
    other = tuple((unit, pools[unit]) for unit, _ in lines if pools[unit] != usage.get(unit))
    if unpriced := unpriced_of(deal, left):
        return Rating(Pricing.UNPRICED, None, cost_pico, lines, unpriced, plan.price_id, plan.matched, other)
    # A cost that rounds to 0 is a price all the same.
    if any(exact for _, exact in charged):
        return Rating(Pricing.PRICED, cost_pico, cost_pico, lines, (), plan.price_id, plan.matched, other)
    return _unpaid(plan)


def _unpaid(plan: Plan, unpriced: tuple[str, ...] = ()) -> Rating:
    """Of a usage that is charged for nothing."""
    if unpriced:
        return Rating(Pricing.UNPRICED, None, 0, (), unpriced, plan.price_id, plan.matched)
    return Rating(Pricing.FREE, 0, 0, (), (), plan.price_id, plan.matched)


def _pico_per_stored_unit(unit: str, rate: Rate) -> Fraction:
    return Fraction(rate.usd) * PICO_PER_USD / (rate.per * COUNTERS[unit].scale)
