"""Every price of the catalogue against every unit: nothing reported is silently free, and more never costs less."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from tallybook.core.counters import COUNTERS, PARTS, Usage
from tallybook.core.money import PICO_PER_USD
from tallybook.pricing.cost import Plan, Pricing, Rating, plan_of, rate
from tallybook.pricing.pools import deal_for, deal_out
from tallybook.pricing.price import Price, Rate, faults_of
from tests.catalogue import prices
from tests.conftest import LONG
from tests.usages import KINDS, OTHERS, random_count, random_usage, usage_of

MIXES = 100 if LONG else 2
PRICES = list(prices().values())
PLANS = {price.id: plan_of(price) for price in PRICES}
PAYERS = {**KINDS, **{name: (name,) for name in OTHERS}}
"""What may be reported, each with the units that may pay for it, nearest first."""

Telling = Mapping[str, int]


def rated(price: Price, usage: Usage) -> Rating:
    plan = PLANS[price.id]
    return rate(plan if isinstance(plan, Plan) else plan.plan_for(usage), usage)


def told(telling: Telling) -> dict[str, int]:
    """The counters that report it, totals included."""
    tokens = {kind: count for kind, count in telling.items() if kind in KINDS}
    return usage_of(tokens) | {name: count for name, count in telling.items() if name in OTHERS}


def payer(kind: str, rates: Mapping[str, Rate]) -> str | None:
    return next((unit for unit in PAYERS.get(kind, (kind,)) if unit in rates), None)


def exact_lines(price: Price, telling: Telling) -> dict[str, Fraction]:
    """Picodollars by unit, if everything is charged by itself at the nearest rate."""
    context = told(telling).get("input_tokens", 0)
    lines: dict[str, Fraction] = defaultdict(Fraction)
    for kind, count in [*telling.items(), ("requests", 1)]:
        unit = payer(kind, price.rates)
        if unit is not None:
            of = price.rates[unit]
            lines[unit] += Fraction(usd_at(of, context)) * PICO_PER_USD * count / (of.per * COUNTERS[unit].scale)
    return lines


def usd_at(of: Rate, context: int) -> Decimal:
    return [of.usd, *(tier.usd for tier in of.tiers if context > tier.above)][-1]


def random_tellings(random: Random) -> Iterator[dict[str, int]]:
    for _ in range(MIXES):
        yield {kind: random_count(random) + 1 for kind in random.sample(sorted(PAYERS), random.randrange(1, 7))}


def assert_charged(price: Price, telling: Telling) -> None:
    rating, exact = rated(price, told(telling)), exact_lines(price, telling)
    assert dict(rating.lines) == {unit: amount for unit, line in exact.items() if (amount := round(line))}
    assert rating.known_cost_pico == sum(amount for _, amount in rating.lines)
    if any(payer(kind, price.rates) is None for kind in telling):
        assert (rating.pricing, rating.cost_pico) == (Pricing.UNPRICED, None)
    else:
        assert rating.cost_pico == rating.known_cost_pico
        assert rating.pricing is (Pricing.PRICED if any(exact.values()) else Pricing.FREE)


def test_there_are_prices_and_none_is_faulty() -> None:
    assert len(PRICES) > 2_500
    assert {price.id: faults for price in PRICES if (faults := faults_of(price))} == {}


@pytest.mark.parametrize("kind", PAYERS)
def test_a_unit_alone_costs_its_rate_or_is_unpriced(kind: str) -> None:
    for price in PRICES:
        for count in (1, 10**6):
            assert_charged(price, {kind: count})


def test_units_together_cost_each_their_rate_or_are_unpriced() -> None:
    random = Random("mixes")
    for price in PRICES:
        for telling in random_tellings(random):
            assert_charged(price, telling)


def test_more_never_costs_less() -> None:
    random = Random("more")
    for price in PRICES:
        for telling in random_tellings(random):
            kind = random.choice(sorted(PAYERS))
            more = telling | {kind: telling.get(kind, 0) + random_count(random)}
            assert rated(price, told(more)).known_cost_pico >= rated(price, told(telling)).known_cost_pico


def test_no_rate_falls_with_the_length_of_the_context() -> None:
    """So a token more never costs less even where a tier begins, and all tokens of an event become dearer at once."""
    for price in PRICES:
        for each in price.rates.values():
            steps = [each.usd, *(tier.usd for tier in each.tiers)]
            assert steps == sorted(steps)


def test_no_token_is_in_two_pools() -> None:
    random = Random("pools")
    for price in PRICES:
        usage = {name: value for name, value in random_usage(random, random_count(random)).items() if value}
        pools, _ = deal_out(deal_for(usage, price.rates), usage)
        for total in ("input_tokens", "output_tokens"):
            family = [pools[unit] for unit in pools if unit in parts_of(total)]
            assert sum(family) == (usage.get(total, 0) if total in price.rates else 0)
            assert min(family, default=0) >= 0


def parts_of(total: str) -> set[str]:
    """The total and everything that is counted in it."""
    return {total, *(deep for group in PARTS.get(total, ()) for part in group for deep in parts_of(part))}
