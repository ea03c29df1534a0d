"""Makes the grants of plans that are due, also those missed while the server was down."""

import logging
from collections.abc import Collection
from typing import Protocol

from tallybook.plans.errors import GrantFailed

log = logging.getLogger("tallybook.jobs")

_BATCH = 50
"""Grants of one commit: some ten milliseconds, so that writers waiting behind a backlog hardly notice."""


class Plans(Protocol):
    async def grant_due(self, limit: int, passed_over: Collection[str]) -> int:
        """Makes at most `limit` grants, none of the assignments `passed_over`; returns how many.

        Raises `GrantFailed`, having made none, if one cannot be made.
        """
        ...


async def grant_plans(plans: Plans) -> int:
    """Makes every grant that is due, the oldest first, in batches; returns how many. Safe to repeat and interrupt.

    An assignment whose grant cannot be made is logged and passed over, until the next time.
    """
    total = 0
    failed: set[str] = set()
    while True:
        try:
            granted = await plans.grant_due(_BATCH, failed)
        except GrantFailed as failure:
            log.exception("plan not granted", extra={"org_id": failure.org_id, "assignment_id": failure.assignment_id})
            failed.add(failure.assignment_id)
            continue
        if not granted:
            return total
        total += granted
