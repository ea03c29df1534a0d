"""Usage + price in force -> cost, line by line. Pure."""

from enum import Enum
from typing import NamedTuple


class Pricing(Enum):
    """How an event came by its cost. Never a silent 0.

    PRICED: every reported unit has a rate. FREE: every rate is 0, or no billable unit is reported. GIVEN: the caller
    supplied the cost. UNPRICED: at least one reported unit has no rate; the cost is unknown.
    """

    PRICED = "priced"
    FREE = "free"
    GIVEN = "given"
    UNPRICED = "unpriced"


class Rating(NamedTuple):
    """What an event costs and why. Amounts are picodollars.

    `cost_pico` is None exactly when unpriced. `known_cost_pico` is the exact sum of `lines` (unit, amount), or the
    given cost. `unpriced_units` names the reported units without a rate.
    """

    pricing: Pricing
    cost_pico: int | None
    known_cost_pico: int
    lines: tuple[tuple[str, int], ...] = ()
    unpriced_units: tuple[str, ...] = ()
    price_id: str | None = None
