"""Cost -> charge, rounded once. Pure."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from tallybook.core.money import MICRO_PER_UNIT, PICO_PER_USD, divide_half_even
from tallybook.settlement.model import Tariff


def charge_of(cost_pico: int, tariff: Tariff) -> int:
    """Microcredits, half-even."""
    numerator, denominator = _micro_per_pico(*tariff)
    return divide_half_even(cost_pico * numerator, denominator)


def hold_for(cost_pico: int, tariff: Tariff) -> int:
    """Microcredits that cover the cost: rounded up, and at least one, as nothing cannot be held."""
    numerator, denominator = _micro_per_pico(*tariff)
    return max(1, -(-cost_pico * numerator // denominator))


@lru_cache(maxsize=1024)
def _micro_per_pico(credits_per_usd: Decimal, markup_percent: Decimal) -> tuple[int, int]:
    credits = Fraction(credits_per_usd) * (1 + Fraction(markup_percent) / 100)
    return (credits * MICRO_PER_UNIT / PICO_PER_USD).as_integer_ratio()
