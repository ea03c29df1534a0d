"""Ratings of random usages under random sheets, against a model that charges every token by itself."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tallybook.core.counters import COUNTERS, PARTS, Usage
from tallybook.core.money import PICO_PER_USD
from tallybook.pricing.cost import Plan, Pricing, rate
from tallybook.pricing.pools import deal_for, deal_out
from tallybook.pricing.price import RATED_UNITS, Rate
from tests.usages import ALL_KINDS, KINDS, usage_of

BILLABLE = [name for name, counter in COUNTERS.items() if counter.billable]
TOKENS = {"input_tokens", "output_tokens"} | {part for groups in PARTS.values() for group in groups for part in group}

counts = st.integers(0, 10**7)
tellings = st.dictionaries(st.sampled_from(sorted(KINDS)), counts, max_size=6)
hidden_tellings = st.dictionaries(st.sampled_from(sorted(ALL_KINDS)), counts, max_size=6)
usds = st.decimals(0, 1000, places=6) | st.just(Decimal(0))
nonzero_usds = st.decimals(Decimal("0.001"), 1000, places=6)
pers = st.sampled_from([1, 3, 60, 1000, 3600, 10**6])
sheets = st.dictionaries(st.sampled_from(sorted(TOKENS | {"images", "requests"})), st.builds(Rate, usds, pers))
any_sheets = st.dictionaries(st.sampled_from(sorted(RATED_UNITS)), st.builds(Rate, nonzero_usds, st.just(1)))
any_usages = st.dictionaries(st.sampled_from(sorted(COUNTERS)), st.integers(-3, 2**53 - 1))


@given(tellings, sheets)
def test_every_token_is_charged_once_at_the_nearest_rate(telling: dict[str, int], sheet: dict[str, Rate]) -> None:
    expected: Counter[str] = Counter()
    for kind, tokens in telling.items():
        payer = next((unit for unit in KINDS[kind] if unit in sheet), None)
        if payer is not None:
            expected[payer] += tokens
    usage = {unit: tokens for unit, tokens in usage_of(telling).items() if tokens}
    pools, _ = deal_out(deal_for(usage, sheet), usage)
    assert {unit: pools[unit] for unit in sheet if pools.get(unit)} == dict(+expected)


@given(hidden_tellings, sheets)
def test_pools_are_disjoint(telling: dict[str, int], sheet: dict[str, Rate]) -> None:
    usage = {unit: tokens for unit, tokens in usage_of(telling).items() if tokens}
    deal = deal_for(usage, sheet)
    pools, _ = deal_out(deal, usage)
    for total in ("input_tokens", "output_tokens"):
        family = [kinds[:-1] for kinds in ALL_KINDS.values() if kinds[-1] == total]
        units = {total, *(unit for kinds in family for unit in kinds)}
        charged = [pools[unit] for unit in deal.units if unit in units]
        assert min(charged, default=0) >= 0
        assert sum(charged) <= usage.get(total, 0)
        if total in sheet:
            assert sum(charged) == usage.get(total, 0)


@given(hidden_tellings, sheets, st.sampled_from(sorted(ALL_KINDS)), counts)
def test_more_of_anything_never_costs_less(
    telling: dict[str, int], sheet: dict[str, Rate], kind: str, more: int
) -> None:
    plan = Plan(None, sheet)
    before = rate(plan, usage_of(telling))
    after = rate(plan, usage_of({**telling, kind: telling.get(kind, 0) + more}))
    assert after.known_cost_pico >= before.known_cost_pico


@given(any_usages, any_sheets)
def test_lines_are_positive_and_add_up(usage: Usage, sheet: dict[str, Rate]) -> None:
    rating = rate(Plan("price", sheet), usage)
    assert all(amount > 0 for _, amount in rating.lines)
    assert rating.known_cost_pico == sum(amount for _, amount in rating.lines)
    assert rating.cost_pico == (None if rating.pricing is Pricing.UNPRICED else rating.known_cost_pico)
    assert {unit for unit, _ in rating.lines} <= set(sheet)
    assert (rating.pricing is Pricing.UNPRICED) == bool(rating.unpriced_units)
    assert not set(rating.unpriced_units) & set(sheet)


@given(any_usages, sheets, st.randoms(use_true_random=False))
def test_the_order_of_counters_does_not_matter(usage: Usage, sheet: dict[str, Rate], order: Random) -> None:
    names = list(usage)
    order.shuffle(names)
    plan = Plan("price", sheet)
    assert rate(plan, {name: usage[name] for name in names}) == rate(plan, usage)


@given(hidden_tellings, sheets, st.sets(st.sampled_from(sorted(set(COUNTERS) - {"requests"}))))
def test_a_counter_that_is_0_is_not_reported(telling: dict[str, int], sheet: dict[str, Rate], zeros: set[str]) -> None:
    plan = Plan("price", sheet)
    usage = {unit: tokens for unit, tokens in usage_of(telling).items() if tokens}
    assert rate(plan, dict.fromkeys(sorted(zeros), 0) | usage) == rate(plan, usage)


@given(any_usages, sheets)
def test_a_line_is_off_by_at_most_half_a_picodollar(usage: Usage, sheet: dict[str, Rate]) -> None:
    rating = rate(Plan("price", sheet), usage)
    reported = {unit: value for unit, value in {"requests": 1, **usage}.items() if value > 0}
    pools, _ = deal_out(deal_for(reported, sheet), reported)
    amounts = dict(rating.lines)
    for unit, price in sheet.items():
        exact = Fraction(price.usd) * PICO_PER_USD * pools.get(unit, 0) / (price.per * COUNTERS[unit].scale)
        assert abs(amounts.get(unit, 0) - exact) <= Fraction(1, 2)


@given(any_usages, sheets)
def test_a_line_names_the_quantity_it_was_charged_for(usage: Usage, sheet: dict[str, Rate]) -> None:
    rating = rate(Plan("price", sheet), usage)
    told = {"requests": 1, **usage} | dict(rating.pools)
    for unit, amount in rating.lines:
        exact = Fraction(sheet[unit].usd) * PICO_PER_USD * told[unit] / (sheet[unit].per * COUNTERS[unit].scale)
        assert abs(amount - exact) <= Fraction(1, 2)
    assert {unit for unit, _ in rating.pools} <= TOKENS & {unit for unit, _ in rating.lines}


@given(any_usages, any_sheets)
def test_no_reported_unit_is_silently_free(usage: Usage, sheet: dict[str, Rate]) -> None:
    """Every rate here is above 0 and no line rounds to 0, so whatever is reported costs or is unpriced."""
    rating = rate(Plan("price", sheet), usage)
    if any(usage.get(unit, 0) > 0 for unit in {*BILLABLE, *sheet}):
        assert rating.pricing is not Pricing.FREE
        assert rating.cost_pico != 0
