"""Forgets the stored answers of repeatable writes once their retention has passed."""

from typing import Protocol

from tallybook.core.clock import Clock
from tallybook.core.time_window import DAY_US

_BATCH = 1_000
"""Rows of one commit, so that writers waiting behind it hardly notice."""


class Outcomes(Protocol):
    async def purge_outcomes(self, before_us: int, limit: int) -> int:
        """Forgets the oldest outcomes from before that instant, about `limit` of them; returns how many."""
        ...


async def purge_outcomes(outcomes: Outcomes, clock: Clock, *, retention_days: int) -> int:
    """Forgets every outcome older than `retention_days`; returns how many. Safe to repeat and interrupt."""
    before_us = clock.now_us() - retention_days * DAY_US
    total = 0
    while gone := await outcomes.purge_outcomes(before_us, _BATCH):
        total += gone
    return total
