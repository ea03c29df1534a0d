"""Numbers of the native wire format, exact: no float takes part."""

import msgspec

from tallybook.core.money import plain_digits

USD_DECIMALS = 12


def wire_number(amount: int | None, decimals: int) -> str | msgspec.Raw | int | None:
    """`amount` in 10^-decimals units: money as a decimal string, all else as a number in plain digits."""
    if amount is None or decimals == 0:
        return amount
    digits = plain_digits(amount, decimals)
    return digits if decimals == USD_DECIMALS else msgspec.Raw(digits.encode())
