"""Exact numbers: parsing within bounds, scaling, the one rounding."""

import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.core.money import (
    MICRO_PER_UNIT,
    NotANumber,
    apportion,
    divide_half_even,
    parse_number,
    pico_from_usd,
    plain_digits,
    scaled,
    usd_text,
)


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("0", 0),
        ("2.5", 2_500_000_000_000),
        ("0.0068", 6_800_000_000),
        ("1e-12", 1),
        ("0.0000000000005", 0),
        ("0.0000000000015", 2),
        ("0.0000000000025", 2),
        ("9000000", 9 * 10**18),
        ("-1.25", -1_250_000_000_000),
    ],
)
def test_dollars_become_picodollars_rounded_half_even(text: str, pico: int) -> None:
    assert pico_from_usd(parse_number(text)) == pico


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-inf", "", "1_000", " 1", "1 ", "0x10", "1e19", "1e-19", "1e400", "9" * 39, "x", "١٢"],
)
def test_what_is_out_of_bounds_is_no_number(text: str) -> None:
    with pytest.raises(NotANumber):
        parse_number(text)


def test_monstrous_exponents_are_refused_before_any_scaling() -> None:
    started = time.perf_counter()
    for value in ("1e999999999", Decimal("1E+999999"), "9" * 1_000_000):
        with pytest.raises(NotANumber):
            parse_number(value)
    assert time.perf_counter() - started < 5


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15))
def test_division_rounds_half_even(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(-(10**20), 10**20))
def test_plain_digits_are_exact_and_short(pico: int) -> None:
    text = usd_text(pico)
    assert Decimal(text) == Decimal(pico) / 10**12
    assert "E" not in text
    assert "." not in text or not text.endswith("0")


def test_quantities_are_micro_units() -> None:
    assert scaled(Decimal("1.25"), MICRO_PER_UNIT) == 1_250_000
    assert scaled(Decimal("0.0000005"), MICRO_PER_UNIT) == 0
    assert plain_digits(1_250_000, 6) == "1.25"


@pytest.mark.parametrize(
    ("amounts", "parts", "total"),
    [
        ([], [], 0),
        ([1_500, 1_400], [2, 1], 3),
        ([500], [0], 0),  # half-even
        ([501], [1], 1),
        ([400, 400, 400], [1, 0, 0], 1),
        ([999, 1, 500], [1, 0, 1], 2),
    ],
)
def test_parts_add_up_to_the_rounded_sum(amounts: list[int], parts: list[int], total: int) -> None:
    assert apportion(amounts, 1_000) == (parts, total)


@given(st.lists(st.integers(0, 10**20)), st.integers(1, 10**9))
def test_no_part_is_moved_by_a_whole_unit_and_the_sum_depends_on_no_grouping(amounts: list[int], divisor: int) -> None:
    parts, total = apportion(amounts, divisor)
    assert sum(parts) == total == divide_half_even(sum(amounts), divisor)
    assert all(abs(part * divisor - amount) < divisor for part, amount in zip(parts, amounts, strict=True))
