"""Credits on the wire: JSON numbers in plain digits, exact to the microcredit; no float takes part."""

from msgspec import Raw

from tallybook.core.errors import invalid
from tallybook.core.money import MICRO_PER_UNIT, NotANumber, parse_number, plain_digits

DECIMALS = 6

_WHOLE_DIGITS_MAX = 10
"""Digits of a whole amount up to the ceiling: most amounts, read without a `Decimal`."""


def from_wire_amount(raw: Raw, name: str, *, zero: bool = False) -> int:
    """Microcredits of the number that the field `name` holds; above 0, or with `zero` at least that.

    Raises `InvalidInput` for anything but a JSON number within the bounds of `parse_number` and with at most six
    decimals.
    """
    micro = _micro(bytes(raw), name)
    if micro < 0 or (micro == 0 and not zero):
        raise invalid(name, msg="must be 0 or more" if zero else "must be greater than 0")
    return micro


def to_wire_amount(micro: int) -> Raw:
    """The one encoder of credits."""
    return Raw(plain_digits(micro, DECIMALS).encode())


def _micro(text: bytes, name: str) -> int:
    if text.isdigit() and len(text) <= _WHOLE_DIGITS_MAX:
        return int(text) * MICRO_PER_UNIT
    if text[:1] not in b"-0123456789":
        raise invalid(name, msg="must be a number")
    try:
        numerator, denominator = parse_number(text.decode()).as_integer_ratio()
    except NotANumber as fault:
        raise invalid(name, msg=str(fault)) from None
    micro, rest = divmod(numerator * MICRO_PER_UNIT, denominator)
    if rest:
        raise invalid(name, msg=f"must have at most {DECIMALS} decimals")
    return micro
