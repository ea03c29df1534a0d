"""Exact numbers: money, quantities, and the one place where anything is rounded.

US dollars are integers of picodollars (1e-12 USD); fractional quantities are integers of micro-units (1e-6). Rates
are `Decimal`. No float takes part.
"""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

PICO_PER_USD = 10**12
MICRO_PER_UNIT = 10**6
COST_USD_MAX = 9_000_000
COST_PICO_MAX = COST_USD_MAX * PICO_PER_USD
COUNTER_MAX = 2**53 - 1
DIGITS_MAX = 38
EXPONENT_MAX = 18

# `Decimal` also takes blanks, underscores and the digits of other scripts. A longer text can only be in bounds when it
# is padded with zeros; refusing it keeps parsing cheap.
_PLAIN = re.compile(r"[+-]?[0-9.]{1,100}(?:[eE][+-]?[0-9]{1,20})?")

_EXACT = Context(prec=DIGITS_MAX + EXPONENT_MAX + 20, rounding=ROUND_HALF_EVEN)


class NotANumber(ValueError):
    """The text is no finite number within 38 digits and exponents of -18…18."""


def parse_number(value: str | int | Decimal) -> Decimal:
    """The one parser of numbers from callers: finite, at most 38 digits, exponent -18…18.

    The bounds are checked on the parsed digits and exponent, before anything scales the number:
    `int(Decimal("1E+2000000"))` takes minutes. Raises `NotANumber`.
    """
    try:
        if isinstance(value, str) and not _PLAIN.fullmatch(value):
            raise NotANumber("must be a plain decimal number")
        number = Decimal(value)
    except InvalidOperation:
        raise NotANumber("must be a decimal number") from None
    return bounded(number)


def bounded(number: Decimal) -> Decimal:
    """The number itself if it is finite and within the bounds of `parse_number`; raises `NotANumber`."""
    if not number.is_finite():
        raise NotANumber("must be a finite number")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > EXPONENT_MAX or len(number.as_tuple().digits) > DIGITS_MAX:
        raise NotANumber(f"must have at most {DIGITS_MAX} digits and an exponent of -{EXPONENT_MAX} to {EXPONENT_MAX}")
    return number


def scaled(number: Decimal, per_unit: int) -> int:
    """`number × per_unit` as an integer, rounded half-even. The number must be within `bounded`."""
    return int(_EXACT.multiply(number, Decimal(per_unit)).quantize(Decimal(1), context=_EXACT))


def pico_from_usd(usd: Decimal) -> int:
    """Picodollars, half-even below a picodollar."""
    return scaled(usd, PICO_PER_USD)


def divide_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` (denominator > 0) to the nearest integer, ties to even."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def apportion(amounts: Sequence[int], divisor: int) -> tuple[list[int], int]:
    """Amounts of at least 0 and their sum, each divided by `divisor`, so that the results still add up.

    The sum is rounded once, half-even, whatever the parts are; what their floors lack of it goes to the parts with the
    largest remainders, the first of equal ones.
    """
    total = divide_half_even(sum(amounts), divisor)
    parts = [amount // divisor for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda part: -(amounts[part] % divisor))
    for part in by_remainder[: total - sum(parts)]:
        parts[part] += 1
    return parts, total


def plain_digits(amount: int, decimals: int) -> str:
    """`amount × 10^-decimals` in plain digits without trailing zeros: 6_800_000_000 at 12 is `0.0068`."""
    if decimals == 0:
        return str(amount)
    digits = str(amount).zfill(decimals + 1 + (amount < 0))
    return f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".")


def usd_text(pico: int) -> str:
    """Picodollars as a decimal string in USD."""
    return plain_digits(pico, 12)
