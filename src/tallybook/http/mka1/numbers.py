"""Numbers of the mka1 wire: JSON numbers with exactly the digits of what was counted, no float between."""

from msgspec import Raw

from tallybook.core.money import plain_digits


def to_wire_number(amount: int | None, decimals: int) -> Raw | int | None:
    """`amount` in 10^-decimals units."""
    return Raw(plain_digits(amount, decimals).encode()) if amount is not None and decimals else amount
