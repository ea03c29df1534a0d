"""What no price may be, and which mode a call is in."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tallybook.core.money import COUNTER_MAX
from tallybook.core.time_window import DAY_US, HOUR_US, parse_instant
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, Rate, Tier, faults_of, mode_of
from tests.unit.pricing.sheets import new_price, price


def tiered(*tiers: tuple[int, str]) -> Rate:
    return Rate(Decimal(1), 1, tuple(Tier(above, Decimal(usd)) for above, usd in tiers))


LATE = parse_instant("2200-01-01T00:00:00.000001Z")


@pytest.mark.parametrize(
    ("service_tier", "batch", "mode"),
    [
        (None, False, Mode.STANDARD),
        ("", False, Mode.STANDARD),
        ("auto", False, Mode.STANDARD),
        ("default", False, Mode.STANDARD),
        ("Standard", False, Mode.STANDARD),
        ("flex", False, Mode.FLEX),
        ("priority", False, Mode.PRIORITY),
        ("FAST", False, Mode.FAST),
        ("batch", False, Mode.BATCH),
        (None, True, Mode.BATCH),
        ("flex", True, Mode.BATCH),
        ("prioirty", False, None),
        ("scale", False, None),
    ],
)
def test_modes(service_tier: str | None, batch: bool, mode: Mode | None) -> None:
    assert mode_of(service_tier, batch) is mode


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({}, []),
        ({"rates": {}}, [("rates",)]),
        ({"rates": {"tokens": Rate(Decimal(1), 1)}}, [("rates", "tokens")]),
        ({"rates": {"peak_memory_mib": Rate(Decimal(1), 1)}}, [("rates", "peak_memory_mib")]),
        ({"rates": {"images": Rate(Decimal("-0.1"), 1)}}, [("rates", "images", "usd")]),
        ({"rates": {"images": Rate(Decimal("-0"), 1)}}, [("rates", "images", "usd")]),
        ({"rates": {"images": Rate(Decimal("9000000.1"), 1)}}, [("rates", "images", "usd")]),
        ({"rates": {"images": Rate(Decimal(0), 0)}}, [("rates", "images", "per")]),
        ({"rates": {"images": Rate(Decimal(0), 10**12 + 1)}}, [("rates", "images", "per")]),
        ({"rates": {"images": Rate(Decimal("0.000000000000000001"), 10**12)}}, []),
        ({"match": Match.REGEX, "model": "a("}, [("model",)]),
        ({"match": Match.PREFIX, "model": "a("}, []),
        ({"effective_from_us": -1}, [("effective_from",)]),
        ({"effective_from_us": LATE}, [("effective_from",)]),
        ({"effective_to_us": LATE}, [("effective_to",)]),
        ({"effective_from_us": 5, "effective_to_us": 5}, [("effective_to",)]),
        ({"effective_from_us": 5, "effective_to_us": 6}, []),
        ({"daily": DailyWindow(16 * HOUR_US, 0)}, []),
        ({"daily": DailyWindow(16 * HOUR_US, HOUR_US)}, []),
        ({"daily": DailyWindow(0, DAY_US)}, [("daily", "to")]),
        ({"daily": DailyWindow(-1, DAY_US - 1)}, [("daily", "from")]),
        ({"daily": DailyWindow(5, 5)}, [("daily", "to")]),
        ({"rates": {"images": tiered((1, "0"), (2, "9000000"), (COUNTER_MAX, "1"))}}, []),
        ({"rates": {"images": tiered((0, "1"))}}, [("rates", "images", "tiers", 0, "above")]),
        ({"rates": {"images": tiered((5, "1"), (5, "1"))}}, [("rates", "images", "tiers", 1, "above")]),
        (
            {"rates": {"images": tiered((9, "1"), (5, "1"), (8, "1"))}},
            [("rates", "images", "tiers", 1, "above"), ("rates", "images", "tiers", 2, "above")],
        ),
        ({"rates": {"images": tiered((COUNTER_MAX + 1, "1"))}}, [("rates", "images", "tiers", 0, "above")]),
        ({"rates": {"images": tiered((5, "-1"))}}, [("rates", "images", "tiers", 0, "usd")]),
        ({"rates": {"images": tiered(*((above, "1") for above in range(1, 12)))}}, [("rates", "images", "tiers")]),
        (
            {
                "rates": {"x": Rate(Decimal(-1), 0)},
                "match": Match.REGEX,
                "model": "(",
                "effective_from_us": -1,
            },
            [("model",), ("effective_from",), ("rates", "x"), ("rates", "x", "usd"), ("rates", "x", "per")],
        ),
    ],
)
def test_every_fault_is_named(fields: dict[str, Any], places: list[tuple[str, ...]]) -> None:
    assert [fault.loc for fault in faults_of(new_price(**fields))] == places


def test_keys_differ_in_what_a_price_is_for() -> None:
    key = new_price(provider="openai").key
    assert new_price(provider="OpenAI", model="GPT-4O", effective_from_us=5).key == key
    assert new_price(provider="azure").key != key
    assert new_price(provider="openai", mode=Mode.BATCH).key != key
    assert new_price(match=Match.REGEX, model=r"\d+").key != new_price(match=Match.REGEX, model=r"\D+").key


def test_a_record_is_plain_and_keeps_every_digit() -> None:
    rates = {
        "images": Rate(Decimal("1.50E-7"), 3),
        "input_tokens": Rate(Decimal(1), 1, (Tier(200_000, Decimal("2.0")),)),
    }
    record = json.loads(json.dumps(price(rates=rates, daily=DailyWindow(1, 2)).to_record()))
    assert record["rates"] == {
        "images": {"usd": "0.000000150", "per": 3},
        "input_tokens": {"usd": "1", "per": 1, "tiers": [{"above": 200_000, "usd": "2.0"}]},
    }
    assert record["daily"] == {"start_us": 1, "end_us": 2, "weekdays": []}
    assert record["origin"] == "org"


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        (9, 17, (9, 12, 16), (0, 8, 17, 23)),
        (17, 9, (17, 23, 0, 8), (9, 12, 16)),
        (17, 0, (17, 23), (0, 9, 16)),
        (0, 17, (0, 16), (17, 23)),
    ],
)
def test_windows_go_over_midnight(start: int, end: int, inside: tuple[int, ...], outside: tuple[int, ...]) -> None:
    window = DailyWindow(start * HOUR_US, end * HOUR_US)
    assert all(window.covers(hour * HOUR_US) for hour in inside)
    assert not any(window.covers(hour * HOUR_US) for hour in outside)


def test_weekdays_are_those_a_window_begins_on() -> None:
    monday_us = 4 * DAY_US  # 1970-01-05
    nights = DailyWindow(22 * HOUR_US, 6 * HOUR_US, weekdays=(0, 4))
    hours = [day * 24 + hour for day in range(7) for hour in range(24)]
    covered = [hour for hour in hours if nights.covers(monday_us + hour * HOUR_US)]
    assert covered == [22, 23, *range(24, 30), 4 * 24 + 22, 4 * 24 + 23, *range(5 * 24, 5 * 24 + 6)]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"when": (("model", "x"),)}, ("when", "model")),
        ({"when": (("image_size", ""),)}, ("when", "image_size")),
        ({"daily": DailyWindow(0, 1, (7,))}, ("daily", "weekdays")),
        ({"rates": {"audio_seconds": Rate(Decimal(1), 1, at_least=-1)}}, ("rates", "audio_seconds", "at_least")),
        ({"rates": {"input_tokens": Rate(Decimal(1), 1, at_least=1)}}, ("rates", "input_tokens", "at_least")),
    ],
)
def test_faults_of_conditions_and_least_quantities(fields: dict[str, Any], loc: tuple[str, ...]) -> None:
    assert [fault.loc for fault in faults_of(new_price(**fields))] == [loc]


def test_conditions_are_part_of_what_a_price_is_for() -> None:
    small, large = (new_price(when=(("image_size", size),)) for size in ("1024X1024", "1792x1024"))
    assert small.key != large.key
    assert small.key == new_price(when=(("image_size", "1024x1024"),)).key
