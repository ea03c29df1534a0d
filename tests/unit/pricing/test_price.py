"""What no price may be, and which mode a call is in."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tallybook.core.time_window import parse_instant
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, Rate, faults_of, mode_of
from tests.unit.pricing.sheets import new_price, price

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
    record = price(rates={"images": Rate(Decimal("1.50E-7"), 3)}).to_record()
    assert json.loads(json.dumps(record))["rates"] == {"images": {"usd": "0.000000150", "per": 3}}
