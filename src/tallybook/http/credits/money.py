"""US dollars on the wire of the credits dialect: JSON numbers in plain digits, exact to the picodollar."""

from fractions import Fraction
from functools import lru_cache

from msgspec import Raw

from tallybook.core.money import PICO_PER_USD, divide_half_even, usd_text
from tallybook.pricing.price import Rate


def to_wire_usd(pico: int) -> Raw:
    """The one encoder of US dollars."""
    return Raw(usd_text(pico).encode())


@lru_cache(maxsize=10_000)
def to_wire_rate(rate: Rate, units: int) -> Raw:
    """The rate for so many units, without its tiers; below a picodollar half-even."""
    exact = Fraction(rate.usd) * PICO_PER_USD * units / rate.per
    return to_wire_usd(divide_half_even(exact.numerator, exact.denominator))
