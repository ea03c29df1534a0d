"""Credits on the wire: exact both ways, whatever the spelling."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Raw

from tallybook.core.errors import InvalidInput
from tallybook.core.money import MICRO_PER_UNIT
from tallybook.http.credits.amounts import from_wire_amount, to_wire_amount
from tallybook.ledger.model import CEILING_MICRO

MICRO = st.integers(1, CEILING_MICRO)


def micro(text: str) -> int:
    return from_wire_amount(Raw(text.encode()), "amount")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1_000_000),
        ("0.1", 100_000),
        ("0.000001", 1),
        ("1e-6", 1),
        ("1.5E+3", 1_500_000_000),
        ("1.0000000", 1_000_000),
        ("8589934591.999999", CEILING_MICRO),
        ("10000000000", 10**16),
        ("1e18", 10**24),
    ],
)
def test_amounts_are_read_exactly(text: str, expected: int) -> None:
    assert micro(text) == expected


@given(MICRO)
def test_what_is_written_is_read_again(amount: int) -> None:
    written = bytes(to_wire_amount(amount)).decode()
    assert micro(written) == amount
    assert Decimal(written) * MICRO_PER_UNIT == amount
    assert set(written) <= set("0123456789.")


@given(MICRO, st.integers(-6, 6))
def test_exponents_make_no_difference(amount: int, exponent: int) -> None:
    text = f"{Decimal(amount).scaleb(-6 - exponent):f}e{exponent}"
    assert micro(text) == amount


@given(MICRO)
def test_a_double_still_carries_an_amount(amount: int) -> None:
    """Up to the ceiling a client may read amounts as doubles and send them back."""
    assert micro(repr(float(bytes(to_wire_amount(amount))))) == amount


@given(st.decimals(allow_nan=False, allow_infinity=False, places=7, min_value=0, max_value=10**9))
def test_a_seventh_decimal_is_refused(amount: Decimal) -> None:
    text = f"{amount:f}"
    assume(not text.endswith("0"))
    with pytest.raises(InvalidInput, match="amount: must have at most 6 decimals"):
        micro(text)


@pytest.mark.parametrize("text", ["0", "-0", "0.0", "0e5", "-1", "-1e-18"])
def test_amounts_are_above_0(text: str) -> None:
    with pytest.raises(InvalidInput, match="amount: must"):
        micro(text)


@pytest.mark.parametrize("text", ["0", "-0", "0.0", "0e5"])
def test_an_actual_amount_may_be_0(text: str) -> None:
    assert from_wire_amount(Raw(text.encode()), "actualAmount", zero=True) == 0


@pytest.mark.parametrize("text", ['"1"', "true", "null", "[]", "{}", "1e19", "1e-19", "1e999999999", "1" * 39])
def test_what_is_no_amount_names_the_field(text: str) -> None:
    for zero in (False, True):
        with pytest.raises(InvalidInput) as refusal:
            from_wire_amount(Raw(text.encode()), "actualAmount", zero=zero)
        assert refusal.value.faults[0].loc == ("actualAmount",)
