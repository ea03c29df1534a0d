"""Ratings as a ledger page: usage, sheet, and what each line costs in picodollars."""

from decimal import Decimal
from itertools import islice, permutations
from typing import Any

import pytest

from tallybook.core.counters import COUNTERS
from tallybook.core.money import COUNTER_MAX, pico_from_usd, usd_text
from tallybook.pricing.cost import Plan, Pricing, Rating, TieredPlan, context_tokens, given, plan_of, rate
from tallybook.pricing.price import Price, Rate, Tier
from tests.unit.pricing.sheets import price, rated, rates

GPT_4O = {"input": "2.5", "output": "10"}
CACHED = GPT_4O | {"cache_read": "1.25"}
GPT_4O_RATES = rates(**GPT_4O)
MILLION = {"input_tokens": 10**6}
SECOND = 1_000_000  # in micro-units
AUDIO = CACHED | {"input_audio": "40", "output_audio": "80"}


def lines_usd(rating: Rating) -> dict[str, str]:
    return {unit: usd_text(amount) for unit, amount in rating.lines}


@pytest.mark.parametrize(
    ("usage", "cost_usd"),
    [
        # contracts/credits.md 10.4
        ({"input_tokens": 1000, "output_tokens": 500}, "0.0075"),
        ({"input_tokens": 1200, "output_tokens": 380, "cache_read_tokens": 0}, "0.0068"),
        ({"input_tokens": 1500, "output_tokens": 500, "cache_read_tokens": 200}, "0.0085"),
        ({"input_tokens": 5000, "output_tokens": 1000, "cache_read_tokens": 2000}, "0.02"),
        # the sums of the two public traces
        ({"input_tokens": 22_361_870, "output_tokens": 4_088_665}, "96.791325"),
    ],
)
def test_known_costs(usage: dict[str, int], cost_usd: str) -> None:
    rating = rated(usage, **CACHED)
    assert rating.pricing is Pricing.PRICED
    assert usd_text(rating.cost_pico or 0) == cost_usd
    assert rating.known_cost_pico == rating.cost_pico
    assert rating.price_id == "price_1"


@pytest.mark.parametrize(
    ("sheet", "usage", "lines"),
    [
        pytest.param(
            GPT_4O,
            {"input_tokens": 1000, "cache_read_tokens": 400, "cache_write_tokens": 100},
            {"input_tokens": "0.0025"},
            id="parts without a rate stay in their total",
        ),
        pytest.param(
            CACHED,
            {"input_tokens": 1000, "cache_read_tokens": 1000},
            {"cache_read_tokens": "0.00125"},
            id="a total whose tokens are all cached costs nothing more",
        ),
        pytest.param(
            GPT_4O | {"cache_write": "3.75", "cache_write_1h": "5"},
            {
                "input_tokens": 1000,
                "cache_write_tokens": 600,
                "cache_write_1h_tokens": 100,
                "cache_write_5m_tokens": 500,
            },
            {"input_tokens": "0.001", "cache_write_tokens": "0.001875", "cache_write_1h_tokens": "0.0005"},
            id="cache writes by retention, one of them without a rate",
        ),
        pytest.param(
            GPT_4O | {"reasoning": "20"},
            {"output_tokens": 1000, "reasoning_tokens": 700},
            {"output_tokens": "0.003", "reasoning_tokens": "0.014"},
            id="reasoning",
        ),
        pytest.param(
            AUDIO | {"cache_read_audio": "2.5"},
            {
                "input_tokens": 1000,
                "cache_read_tokens": 500,
                "input_audio_tokens": 300,
                "cache_read_audio_tokens": 200,
            },
            {
                "input_tokens": "0.001",
                "cache_read_tokens": "0.000375",
                "input_audio_tokens": "0.004",
                "cache_read_audio_tokens": "0.0005",
            },
            id="cached audio leaves both pools once",
        ),
        pytest.param(
            AUDIO,
            {
                "input_tokens": 1000,
                "cache_read_tokens": 500,
                "input_audio_tokens": 300,
                "cache_read_audio_tokens": 200,
            },
            {"input_tokens": "0.001", "cache_read_tokens": "0.000625", "input_audio_tokens": "0.004"},
            id="cached audio without a rate is charged as cached",
        ),
        pytest.param(
            GPT_4O | {"input_audio": "40"},
            {
                "input_tokens": 1000,
                "cache_read_tokens": 500,
                "input_audio_tokens": 300,
                "cache_read_audio_tokens": 200,
            },
            {"input_tokens": "0.00175", "input_audio_tokens": "0.012"},
            id="cached audio is audio where caching has no rate",
        ),
        pytest.param(
            AUDIO,
            {"input_tokens": 1000, "cache_read_tokens": 900, "input_audio_tokens": 500},
            {"cache_read_tokens": "0.001125", "input_audio_tokens": "0.004"},
            id="overlap that nobody reported is charged once, as cached",
        ),
        pytest.param(
            CACHED,
            {"cache_read_tokens": 100},
            {"cache_read_tokens": "0.000125"},
            id="a part without its total, with a rate",
        ),
        pytest.param(
            GPT_4O,
            {"cache_read_tokens": 100, "cache_read_audio_tokens": 40},
            {"input_tokens": "0.00025"},
            id="parts without their total, covered by its rate",
        ),
        pytest.param(
            {"input_audio": "6"},
            {"input_tokens": 1000, "input_audio_tokens": 1000},
            {"input_audio_tokens": "0.006"},
            id="a total without a rate is covered by its parts",
        ),
        pytest.param(
            {"audio_seconds": "0.0001", "characters": "0.000015", "images": "0.04", "web_searches": "0.01"},
            {"audio_seconds": 1_500_000, "characters": 2_000_000, "images": 2, "web_searches": 3},
            {"images": "0.08", "web_searches": "0.03", "audio_seconds": "0.00015", "characters": "0.00003"},
            id="seconds and characters are stored in millionths",
        ),
        pytest.param({"requests": "0.001"}, {}, {"requests": "0.001"}, id="one request unless told"),
        pytest.param({"requests": "0.001"}, {"requests": 3}, {"requests": "0.003"}, id="requests as told"),
        pytest.param({"bytes": "0.5"}, {"bytes": 4, "duration_ms": 9}, {"bytes": "2"}, id="a measure with a rate"),
    ],
)
def test_lines(sheet: dict[str, str], usage: dict[str, int], lines: dict[str, str]) -> None:
    rating = rated(usage, **sheet)
    assert rating.pricing is Pricing.PRICED
    assert lines_usd(rating) == lines
    assert rating.cost_pico == sum(amount for _, amount in rating.lines)


@pytest.mark.parametrize(
    ("sheet", "usage", "pools"),
    [
        (GPT_4O, {"input_tokens": 1000, "cache_read_tokens": 400}, {}),
        (CACHED, {"input_tokens": 1000, "cache_read_tokens": 400}, {"input_tokens": 600}),
        (CACHED, {"input_tokens": 1000, "cache_read_tokens": 0}, {}),
        (CACHED, {"input_tokens": 1000, "cache_read_tokens": 1000}, {}),
        (CACHED | {"cache_read": "0"}, {"input_tokens": 1000, "cache_read_tokens": 400}, {"input_tokens": 600}),
        (AUDIO, {"input_tokens": 100, "cache_read_tokens": 90, "input_audio_tokens": 50}, {"input_audio_tokens": 10}),
        (GPT_4O, {"cache_read_tokens": 100, "cache_read_audio_tokens": 40}, {"input_tokens": 100}),
    ],
)
def test_pools_are_the_quantities_that_counters_do_not_tell(
    sheet: dict[str, str], usage: dict[str, int], pools: dict[str, int]
) -> None:
    assert dict(rated(usage, **sheet).pools) == pools


@pytest.mark.parametrize(
    ("sheet", "usage", "known_usd", "unpriced"),
    [
        ({}, {"output_tokens": 5, "input_tokens": 10}, "0", ("input_tokens", "output_tokens")),
        (GPT_4O, {"input_tokens": 1000, "images": 1}, "0.0025", ("images",)),
        ({"input": "0"}, {"input_tokens": 1000, "output_tokens": 1}, "0", ("output_tokens",)),
        ({"cache_read": "1"}, {"input_tokens": 10, "cache_read_tokens": 4}, "0.000004", ("input_tokens",)),
        (
            {"output": "1"},
            {"input_tokens": 9, "cache_read_tokens": 4},
            "0",
            ("input_tokens", "cache_read_tokens"),
        ),
        ({"requests": "1"}, {"audio_seconds": 1}, "1", ("audio_seconds",)),
    ],
)
def test_a_reported_unit_without_a_rate_makes_it_unpriced(
    sheet: dict[str, str], usage: dict[str, int], known_usd: str, unpriced: tuple[str, ...]
) -> None:
    rating = rated(usage, **sheet)
    assert rating.pricing is Pricing.UNPRICED
    assert rating.cost_pico is None
    assert usd_text(rating.known_cost_pico) == known_usd
    assert rating.unpriced_units == unpriced


@pytest.mark.parametrize(
    ("sheet", "usage"),
    [
        pytest.param({}, {}, id="nothing reported"),
        pytest.param({}, {"input_tokens": 0, "images": 0}, id="zeros are not reported"),
        pytest.param({}, {"requests": 3, "bytes": 10, "duration_ms": 7}, id="measures without a rate"),
        pytest.param({"input": "0", "output": "0"}, {"input_tokens": 10, "output_tokens": 3}, id="rates of 0"),
        pytest.param(GPT_4O, {}, id="a price, but nothing to charge"),
        pytest.param(
            GPT_4O | {"cache_read": "0"},
            {"input_tokens": 10, "cache_read_tokens": 10},
            id="every token at a rate of 0",
        ),
        pytest.param({"requests": "1"}, {"requests": 0}, id="no requests, as told"),
    ],
)
def test_free(sheet: dict[str, str], usage: dict[str, int]) -> None:
    rating = rated(usage, **sheet)
    assert (rating.pricing, rating.cost_pico, rating.known_cost_pico) == (Pricing.FREE, 0, 0)
    assert rating.lines == ()
    assert rating.unpriced_units == ()


def tiered(base: str, *tiers: tuple[int, str]) -> Rate:
    return Rate(Decimal(base), 10**6, tuple(Tier(above, Decimal(usd)) for above, usd in tiers))


GEMINI = {
    "input_tokens": tiered("1.25", (200_000, "2.5")),
    "cache_read_tokens": tiered("0.125", (128_000, "0.2"), (200_000, "0.25")),
    "output_tokens": tiered("10", (200_000, "15")),
    "web_searches": Rate(Decimal(14), 1000),
}


@pytest.mark.parametrize(
    ("usage", "lines"),
    [
        pytest.param(
            {"input_tokens": 128_000, "cache_read_tokens": 28_000, "output_tokens": 1_000, "web_searches": 1},
            {
                "input_tokens": "0.125",
                "output_tokens": "0.01",
                "cache_read_tokens": "0.0035",
                "web_searches": "0.014",
            },
            id="exactly as long as the threshold is not longer",
        ),
        pytest.param(
            {"input_tokens": 128_001, "cache_read_tokens": 28_001, "output_tokens": 1_000},
            {"input_tokens": "0.125", "output_tokens": "0.01", "cache_read_tokens": "0.0056002"},
            id="each rate has its own thresholds",
        ),
        pytest.param(
            {"input_tokens": 200_001, "cache_read_tokens": 100_001, "output_tokens": 1_000, "web_searches": 1},
            {
                "input_tokens": "0.25",
                "output_tokens": "0.015",
                "cache_read_tokens": "0.02500025",
                "web_searches": "0.014",
            },
            id="a token more makes all of them dearer, output too",
        ),
        pytest.param(
            {"output_tokens": 10**6},
            {"output_tokens": "10"},
            id="output does not lengthen the context",
        ),
    ],
)
def test_tiers(usage: dict[str, int], lines: dict[str, str]) -> None:
    plan = TieredPlan("price_1", GEMINI)
    assert lines_usd(rate(plan.plan_for(usage), usage)) == lines


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({}, 0),
        ({"output_tokens": 9}, 0),
        ({"input_tokens": 7, "cache_read_tokens": 5, "input_audio_tokens": 3}, 7),
        ({"cache_read_tokens": 5, "cache_write_tokens": 4, "input_audio_tokens": 3}, 9),
    ],
)
def test_the_context_is_all_input(usage: dict[str, int], tokens: int) -> None:
    assert context_tokens(usage) == tokens


def test_what_a_price_is_for_is_told() -> None:
    assert told(price(price_id="p", rates=GPT_4O_RATES)) == ("p", "gpt-4o")
    assert told(price(price_id="p", rates=GPT_4O_RATES, provider="OpenAI")) == ("p", "OpenAI:gpt-4o")
    assert told(price(price_id="p", rates=GEMINI)) == ("p", "gpt-4o")


def told(priced: Price) -> tuple[str | None, str | None]:
    plan = plan_of(priced)
    rating = rate(plan.plan_for(MILLION) if isinstance(plan, TieredPlan) else plan, MILLION)
    return rating.price_id, rating.matched


def test_a_given_cost_stands_as_it_is() -> None:
    assert given(17) == Rating(Pricing.GIVEN, 17, 17)


@pytest.mark.parametrize(
    ("usd", "per", "tokens", "amount"),
    [
        ("0.0000000000005", 1, 1, 0),  # half a picodollar, to even
        ("0.0000000000005", 1, 3, 2),
        ("0.0000000000006", 1, 1, 1),
        ("1", 3600, 1, 277_777_778),
        ("1", 3600, 7, 1_944_444_444),
        ("0.000000000000000001", 1, 10**12, 10**6),
        ("1.0000000000000000000000000000000000001", 10**12, COUNTER_MAX, COUNTER_MAX),
    ],
)
def test_each_line_is_rounded_once_half_even(usd: str, per: int, tokens: int, amount: int) -> None:
    plan = Plan(None, {"input_tokens": Rate(Decimal(usd), per), "output_tokens": Rate(Decimal(1), 7)})
    rating = rate(plan, {"input_tokens": tokens})
    assert (rating.pricing, rating.cost_pico) == (Pricing.PRICED, amount)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -5, "output_tokens": 3},
        {"input_tokens": 5, "cache_read_tokens": 9, "cache_read_audio_tokens": 40},
        {"input_tokens": 5, "cache_read_tokens": 9, "cache_write_tokens": 9, "input_audio_tokens": 9},
        dict.fromkeys(COUNTERS, COUNTER_MAX),
        dict.fromkeys(COUNTERS, -1),
        {"no_such_counter": 4},
    ],
)
def test_nothing_is_negative_whatever_is_sent(usage: dict[str, Any]) -> None:
    rating = rated(usage, **AUDIO)
    assert rating.known_cost_pico >= 0
    assert all(amount > 0 for _, amount in rating.lines)


def test_counters_in_any_order() -> None:
    plan = Plan("price_1", rates(**AUDIO))
    usage = dict.fromkeys(COUNTERS, 100)
    assert {rate(plan, dict.fromkeys(order, 100)) for order in islice(permutations(usage), 2_500)} == {
        rate(plan, usage)
    }


@pytest.mark.parametrize(
    ("usage", "cost_usd"),
    [
        pytest.param({"audio_seconds": 3 * SECOND}, "0.0111", id="raised to the least"),
        pytest.param({"audio_seconds": 12 * SECOND}, "0.01332", id="above it"),
        pytest.param({"audio_seconds": 12 * SECOND, "requests": 2}, "0.0222", id="for each request"),
        pytest.param({"audio_seconds": 0}, "0", id="nothing reported"),
        pytest.param({}, "0", id="nothing sent"),
    ],
)
def test_the_least_quantity_of_a_request(usage: dict[str, int], cost_usd: str) -> None:
    plan = Plan("price_1", {"audio_seconds": Rate(Decimal("0.00111"), 1, at_least=10)})
    assert rate(plan, usage).cost_pico == pico_from_usd(Decimal(cost_usd))
