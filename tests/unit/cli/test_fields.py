"""The client's list of fields, and the values text becomes."""

from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest

from tallybook.cli.importing.fields import (
    DECIMAL_COUNTERS,
    FLAG_FIELDS,
    TEXT_FIELDS,
    WHOLE_COUNTERS,
    WHOLE_FIELDS,
    Fields,
    UnknownField,
)
from tallybook.core.counters import COUNTERS
from tallybook.http.native.event_wire import WireEvent

FIELDS = Fields(UTC)


def test_the_fields_are_those_of_the_server() -> None:
    others = ("occurred_at", "cost_usd", "usage", "metadata", "messages", "provider_response")
    assert {*TEXT_FIELDS, *FLAG_FIELDS, *WHOLE_FIELDS, *others} == set(WireEvent.__struct_fields__)


def test_the_counters_are_those_of_the_server() -> None:
    assert set(DECIMAL_COUNTERS) == {counter.name for counter in COUNTERS.values() if counter.is_decimal}
    assert set(WHOLE_COUNTERS) == {counter.name for counter in COUNTERS.values() if not counter.is_decimal}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("input_tokens", "usage.input_tokens"),
        ("usage.input_tokens", "usage.input_tokens"),
        ("model", "model"),
        ("metadata", "metadata"),
        ("metadata.team.name", "metadata.team.name"),
    ],
)
def test_names_of_fields(name: str, path: str) -> None:
    assert FIELDS.get(name).path == path


@pytest.mark.parametrize("name", ["usage", "usage.model", "metadata.", "nope", ""])
def test_names_of_no_field(name: str) -> None:
    with pytest.raises(UnknownField):
        FIELDS.get(name)


def test_a_mistyped_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownField, match="did you mean input_tokens"):
        FIELDS.get("imput_tokens")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("input_tokens", "374", 374),
        ("input_tokens", "9007199254740991", 2**53 - 1),
        ("audio_seconds", "0.1000000000000000055", Decimal("0.1000000000000000055")),
        ("audio_seconds", "7", Decimal(7)),
        ("cost_usd", "0.30", "0.30"),
        ("latency_ms", "0", 0),
        ("batch", "TRUE", True),
        ("stream", "0", False),
        ("stream", "false", False),
        ("stream", "NO", False),
        ("stream", "1", True),
        ("stream", "yes", True),
        ("model", " gpt 4 ", " gpt 4 "),
        ("metadata", '{"a": 1.10}', {"a": Decimal("1.10")}),
    ],
)
def test_values(name: str, text: str, value: Any) -> None:
    converted = FIELDS.get(name).convert(text)
    assert converted == value
    assert type(converted) is type(value)
    assert str(converted) == str(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("input_tokens", "12.0"),
        ("input_tokens", "-1"),
        ("input_tokens", "1_000"),
        ("input_tokens", "٣"),
        ("input_tokens", "9007199254740992"),
        ("input_tokens", "9" * 5000),
        ("audio_seconds", "nan"),
        ("audio_seconds", "1e999999999999999999999"),
        ("cost_usd", "$1.20"),
        ("cost_usd", "1,20"),
        ("batch", "maybe"),
        ("metadata", "[1]"),
        ("metadata", '{"a": NaN}'),
    ],
)
def test_values_that_are_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        FIELDS.get(name).convert(text)
