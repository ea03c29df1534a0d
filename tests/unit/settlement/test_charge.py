"""Costs become charges: exact, rounded once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.core.money import COST_PICO_MAX
from tallybook.settlement.charge import charge_of, hold_for
from tallybook.settlement.model import Tariff

USD = 10**12


@pytest.mark.parametrize(
    ("cost_pico", "credits_per_usd", "markup_percent", "charge", "hold"),
    [
        (6_800_000_000, "100", "0", 680_000, 680_000),  # 0.0068 USD: 0.68 credits
        (6_800_000_000, "100", "25", 850_000, 850_000),
        (USD, "1", "0", 1_000_000, 1_000_000),
        (USD // 3, "1", "0", 333_333, 333_334),
        (500_000, "1", "0", 0, 1),  # ties go to the even neighbour
        (1_500_000, "1", "0", 2, 2),
        (2_500_000, "1", "0", 2, 3),
        (1, "0.000001", "0", 0, 1),
        (0, "100", "10", 0, 1),  # nothing cannot be held
        (COST_PICO_MAX, "1000000", "10000", 909_000_000_000_000_000_000, 909_000_000_000_000_000_000),
    ],
)
def test_charges(cost_pico: int, credits_per_usd: str, markup_percent: str, charge: int, hold: int) -> None:
    tariff = Tariff(Decimal(credits_per_usd), Decimal(markup_percent))
    assert (charge_of(cost_pico, tariff), hold_for(cost_pico, tariff)) == (charge, hold)


@given(
    st.integers(0, COST_PICO_MAX),
    st.decimals("0.000001", 1_000_000, places=6),
    st.decimals(0, 10_000, places=4),
)
def test_a_charge_is_the_nearest_and_a_hold_covers_it(cost_pico: int, per_usd: Decimal, markup: Decimal) -> None:
    exact = Fraction(cost_pico, USD) * Fraction(per_usd) * (1 + Fraction(markup) / 100) * 10**6
    charge, hold = charge_of(cost_pico, Tariff(per_usd, markup)), hold_for(cost_pico, Tariff(per_usd, markup))
    assert abs(charge - exact) <= Fraction(1, 2)
    assert hold >= charge
    assert hold - 1 < exact <= hold or (exact == 0 and hold == 1)
