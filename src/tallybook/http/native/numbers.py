"""Numbers of the native wire format, exact: no float takes part."""

from collections.abc import Sequence

import msgspec

from tallybook.core.money import plain_digits

USD_DECIMALS = 12


def wire_number(amount: int | None, decimals: int) -> str | msgspec.Raw | int | None:
    """`amount` in 10^-decimals units: money as a decimal string, all else as a number in plain digits."""
    if amount is None or decimals == 0:
        return amount
    digits = plain_digits(amount, decimals)
    return digits if decimals == USD_DECIMALS else msgspec.Raw(digits.encode())


def wire_numbers(amounts: Sequence[int | None], decimals: int) -> Sequence[str | msgspec.Raw | int | None]:
    """`wire_number` of each."""
    if decimals == 0:
        return amounts
    if decimals == USD_DECIMALS:  # there may be very many
        return [None if amount is None else plain_digits(amount, USD_DECIMALS) for amount in amounts]
    return [wire_number(amount, decimals) for amount in amounts]
