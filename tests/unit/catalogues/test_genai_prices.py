"""From the library's shapes to prices: dates, parts of the day, modes, tiers, dust, and what is left out."""

from datetime import UTC, date, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import types
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from tallybook.catalogues.genai_prices import prices_of, rule_of, without_dust
from tallybook.core.time_window import HOUR_US, instant_text
from tallybook.pricing.catalogue.names import Rule
from tallybook.pricing.match import Match
from tallybook.pricing.price import EARLIEST_US, DailyWindow, Mode, Tier
from tallybook.pricing.price import Rate as PriceRate

CHEAP, DEAR = ModelPrice(input_mtok=Decimal(1)), ModelPrice(input_mtok=Decimal(2))
JUNE, JULY = StartDateConstraint(date(2026, 6, 1)), StartDateConstraint(date(2026, 7, 1))
BATCH = {"processing": "batch"}

Told = tuple[str, str | None, str | None, dict[str, str]]
"""From when, until when, in which hours, and what each unit costs."""


def told(
    prices: ModelPrice | list[ConditionalPrice], *variants: PriceVariant, mode: Mode = Mode.STANDARD
) -> list[Told]:
    model = types.ModelInfo("m", ClauseEquals("m"), prices=prices, price_variants=list(variants))
    return [
        (
            instant_text(price.effective_from_us)[:10],
            None if price.effective_to_us is None else instant_text(price.effective_to_us)[:10],
            None if price.daily is None else hours(price.daily),
            {unit: f"{rate.usd:f}" for unit, rate in price.rates.items()},
        )
        for price in prices_of("p", model, mode)
    ]


def hours(daily: DailyWindow) -> str:
    return f"{daily.start_us / HOUR_US:g}-{daily.end_us / HOUR_US:g}"


def test_what_a_price_is_for() -> None:
    model = types.ModelInfo("Model-1", ClauseEquals("other"), prices=CHEAP)
    (price,) = prices_of("p", model, Mode.STANDARD)
    assert (price.provider, price.model, price.match, price.mode) == ("p", "Model-1", Match.EQUALS, Mode.STANDARD)
    assert price.effective_from_us == EARLIEST_US
    assert price.source is not None
    assert price.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("usd", "clean"),
    [
        ("0.18000000000000002", "0.18"),
        ("0.13999999999999999", "0.14"),
        ("1.0399999999999998", "1.04"),
        ("0.08333333333333334", "0.0833333333333"),
        ("0.0833333333333333", "0.0833333333333"),
        ("100.00000000000001", "100"),
        ("0.00000012345678901234", "0.00000012345678901234"),  # 14 digits are meant
        ("2.50", "2.50"),
        ("0", "0"),
    ],
)
def test_dust(usd: str, clean: str) -> None:
    assert f"{without_dust(Decimal(usd)):f}" == clean


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param(CHEAP, [("1970-01-01", None, None, {"input_tokens": "1"})], id="always the same"),
        pytest.param(
            [ConditionalPrice(prices=CHEAP), ConditionalPrice(JUNE, prices=DEAR)],
            [
                ("1970-01-01", "2026-06-01", None, {"input_tokens": "1"}),
                ("2026-06-01", None, None, {"input_tokens": "2"}),
            ],
            id="a date",
        ),
        pytest.param(
            [ConditionalPrice(JUNE, prices=CHEAP), ConditionalPrice(JULY, prices=DEAR)],
            [
                ("1970-01-01", "2026-07-01", None, {"input_tokens": "1"}),
                ("2026-07-01", None, None, {"input_tokens": "2"}),
            ],
            id="the first counts before its own date too",
        ),
        pytest.param(
            [ConditionalPrice(prices=CHEAP), ConditionalPrice(JULY, prices=CHEAP), ConditionalPrice(JUNE, prices=DEAR)],
            [
                ("1970-01-01", "2026-06-01", None, {"input_tokens": "1"}),
                ("2026-06-01", None, None, {"input_tokens": "2"}),
            ],
            id="the last that is in force counts",
        ),
        pytest.param(
            [ConditionalPrice(prices=CHEAP), ConditionalPrice(JUNE, prices=CHEAP)],
            [("1970-01-01", None, None, {"input_tokens": "1"})],
            id="a date that changes nothing",
        ),
        pytest.param(
            [ConditionalPrice(prices=CHEAP), ConditionalPrice(JUNE, prices=ModelPrice())],
            [("1970-01-01", "2026-06-01", None, {"input_tokens": "1"})],
            id="no rates from a date on",
        ),
        pytest.param(ModelPrice(), [], id="no rates at all"),
        pytest.param(ModelPrice(input_document_kpages=Decimal(1)), [], id="a unit that no event can report"),
    ],
)
def test_dates(prices: Any, expected: list[Told]) -> None:
    assert told(prices) == expected


@pytest.mark.parametrize(
    ("window", "parts"),
    [
        pytest.param((time(1), time(4)), {"1-4": "2", "4-1": "1"}, id="without a zone it is UTC"),
        pytest.param(
            (time(16, 30, tzinfo=UTC), time(0, 30, tzinfo=UTC)), {"0.5-16.5": "1", "16.5-0.5": "2"}, id="night"
        ),
        pytest.param(
            (time(6, tzinfo=timezone(timedelta(hours=8))), time(10, tzinfo=timezone(timedelta(hours=8)))),
            {"2-22": "1", "22-2": "2"},
            id="a zone, over midnight UTC",
        ),
    ],
)
def test_parts_of_the_day(window: tuple[time, time], parts: dict[str, str]) -> None:
    prices = [ConditionalPrice(prices=CHEAP), ConditionalPrice(TimeOfDateConstraint(*window), prices=DEAR)]
    assert sorted(told(prices)) == sorted(
        ("1970-01-01", None, daily, {"input_tokens": usd}) for daily, usd in parts.items()
    )


def test_parts_of_the_day_from_a_date_on() -> None:
    prices = [
        ConditionalPrice(TimeOfDateConstraint(time(1), time(4)), prices=DEAR),
        ConditionalPrice(TimeOfDateConstraint(time(1), time(4)), prices=DEAR),
        ConditionalPrice(JUNE, prices=CHEAP),
    ]
    assert told(prices) == [
        ("1970-01-01", "2026-06-01", None, {"input_tokens": "2"}),
        ("2026-06-01", None, None, {"input_tokens": "1"}),
    ]


BOTH = ModelPrice(input_mtok=Decimal(2), output_mtok=Decimal(8))


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        pytest.param([], [], id="nothing is said of it"),
        pytest.param(
            [PriceVariant(BATCH, CHEAP)],
            [("1970-01-01", None, None, {"input_tokens": "1", "output_tokens": "8"})],
            id="a rate it does not name stays as it is",
        ),
        pytest.param(
            [PriceVariant(BATCH, CHEAP, JUNE)],
            [("2026-06-01", None, None, {"input_tokens": "1", "output_tokens": "8"})],
            id="from a date on",
        ),
        pytest.param(
            [PriceVariant(BATCH, CHEAP, JUNE), PriceVariant(BATCH, ModelPrice(output_mtok=Decimal(4)))],
            [
                ("1970-01-01", "2026-06-01", None, {"input_tokens": "2", "output_tokens": "4"}),
                ("2026-06-01", None, None, {"input_tokens": "1", "output_tokens": "4"}),
            ],
            id="for each rate the first that says something",
        ),
        pytest.param([PriceVariant({"service_tier": "flex"}, CHEAP)], [], id="another mode"),
        pytest.param([PriceVariant(BATCH | {"route": "eu"}, CHEAP)], [], id="a context that no mode is"),
    ],
)
def test_modes(variants: list[PriceVariant], expected: list[Told]) -> None:
    assert told(BOTH, *variants, mode=Mode.BATCH) == expected


@pytest.mark.parametrize("when", [{"service_tier": "fast"}, {"speed": "fast"}])
def test_fast_is_a_tier_or_a_speed(when: dict[str, str]) -> None:
    assert told(BOTH, PriceVariant(when, CHEAP), mode=Mode.FAST)


def test_rates_and_tiers() -> None:
    sheet = ModelPrice(
        input_mtok=TieredPrices(Decimal("1.25"), [types.Tier(200_000, Decimal("2.50000000000000001"))]),
        output_reasoning_mtok=Decimal(3),
        cache_audio_read_mtok=Decimal(4),
        input_mchars=Decimal(15),
        audio_hours=Decimal("0.36"),
        web_searches_kcount=Decimal(10),
        requests_kcount=Decimal(5),
    )
    (price,) = prices_of("p", types.ModelInfo("m", ClauseEquals("m"), prices=sheet), Mode.STANDARD)
    assert price.rates == {
        "input_tokens": PriceRate(Decimal("1.25"), 10**6, (Tier(200_000, Decimal("2.5")),)),
        "reasoning_tokens": PriceRate(Decimal(3), 10**6),
        "cache_read_audio_tokens": PriceRate(Decimal(4), 10**6),
        "characters": PriceRate(Decimal(15), 10**6),
        "audio_seconds": PriceRate(Decimal("0.36"), 3600),
        "web_searches": PriceRate(Decimal(10), 1000),
        "requests": PriceRate(Decimal(5), 1000),
    }


@pytest.mark.parametrize(
    ("clause", "rule"),
    [
        (ClauseEquals("a"), Rule("equals", "a")),
        (ClauseStartsWith("a"), Rule("prefix", "a")),
        (ClauseEndsWith("a"), Rule("suffix", "a")),
        (ClauseContains("a"), Rule("contains", "a")),
        (ClauseRegex("^a"), Rule("regex", "^a")),
        (ClauseOr([ClauseEquals("a"), ClauseEquals("b")]), Rule("any", "", (Rule("equals", "a"), Rule("equals", "b")))),
        (ClauseAnd([ClauseEquals("a")]), Rule("all", "", (Rule("equals", "a"),))),
    ],
)
def test_rules(clause: types.MatchLogic, rule: Rule) -> None:
    assert rule_of(clause) == rule
