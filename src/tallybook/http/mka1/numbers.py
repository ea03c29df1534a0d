"""Numbers of the mka1 wire: JSON numbers with exactly the digits of what was counted, no float between."""

from collections.abc import Sequence

from msgspec import Raw

from tallybook.core.money import plain_digits


def to_wire_number(amount: int | None, decimals: int) -> Raw | int | None:
    """`amount` in 10^-decimals units."""
    return Raw(plain_digits(amount, decimals).encode()) if amount is not None and decimals else amount


def to_wire_numbers(amounts: Sequence[int | None], decimals: int) -> Sequence[Raw | int | None]:
    """`to_wire_number` of each."""
    return [to_wire_number(amount, decimals) for amount in amounts] if decimals else amounts
