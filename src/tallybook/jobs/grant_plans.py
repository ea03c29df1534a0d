"""Makes the grants of plans that are due, also those missed while the server was down."""

from typing import Protocol

_BATCH = 50
"""Grants of one commit: some ten milliseconds, so that writers waiting behind a backlog hardly notice."""


class Plans(Protocol):
    async def grant_due(self, limit: int) -> int:
        """Makes at most `limit` grants; returns how many."""
        ...


async def grant_plans(plans: Plans) -> int:
    """Makes every grant that is due, the oldest first, in batches; returns how many. Safe to repeat and interrupt."""
    total = 0
    while granted := await plans.grant_due(_BATCH):
        total += granted
    return total
