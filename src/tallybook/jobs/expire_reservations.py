"""Writes the expiry of holds whose time has passed, so that what the clock already says is also on record."""

from typing import Protocol

_BATCH = 500
"""Holds of one commit: a few milliseconds, so that writers waiting behind a backlog hardly notice."""


class Ledger(Protocol):
    async def expire_due(self, limit: int) -> int:
        """Writes at most `limit` expiries; returns how many."""
        ...


async def expire_reservations(ledger: Ledger) -> int:
    """Expires every hold that is due, in batches; returns how many. Safe to repeat and interrupt."""
    total = 0
    while expired := await ledger.expire_due(_BATCH):
        total += expired
    return total
