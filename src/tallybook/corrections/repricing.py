"""Events rated anew with what is known by now: the way of unpriced usage to its cost."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.plan import STORABLE
from tallybook.analytics.query import EVENTS_MAX, Condition, EventQuery, Reach, UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.core.time_window import Bucket
from tallybook.core.unit_of_work import Repeat
from tallybook.corrections.bulk import Bulk, Done, Planned
from tallybook.corrections.errors import TooManyToCorrect
from tallybook.corrections.model import Address
from tallybook.corrections.rules import repriced
from tallybook.corrections.service import CorrectionService


@dataclass(frozen=True)
class Which:
    """The events that are meant. Instants are microseconds; None: no bound on that side."""

    reach: Reach
    start_us: int | None
    end_us: int | None
    conditions: tuple[Condition, ...]


class Repricing:
    """At most `events_max` events in one go."""

    def __init__(self, usage: UsageService, corrections: CorrectionService, bulk: Bulk, *, events_max: int) -> None:
        self._usage = usage
        self._corrections = corrections
        self._bulk = bulk
        self._events_max = events_max

    async def reprice(
        self, which: Which, actor: str, reason: str | None, *, dry_run: bool, repeat: Repeat | None = None
    ) -> Done:
        """Amends the events whose rating is another by now. A given cost stands.

        Raises `TooManyToCorrect`, and as `Bulk.run`.
        """

        async def act() -> Done:
            matched = await asyncio.to_thread(self._count, which)
            if matched > self._events_max:
                raise TooManyToCorrect(self._events_max)
            plan = partial(self._planned, which, actor, reason)
            return await self._bulk.run(plan, matched, dry_run=dry_run, repeat=repeat)

        return await self._bulk.once(repeat, act)

    def _planned(self, which: Which, actor: str, reason: str | None, correction_id: str) -> Iterator[Planned]:
        for events in self._pages(which):
            decisions = [
                repriced(event, Address(event.org_id, event.uid, actor, reason), correction_id, self._corrections.rate)
                for event in events
            ]
            yield [(event, each) for event, each in zip(events, decisions, strict=True) if each is not None]

    def _pages(self, which: Which) -> Iterator[tuple[EventRecord, ...]]:
        """Every event, as of one commit."""
        query = EventQuery(which.reach, which.start_us, which.end_us, conditions=which.conditions, limit=EVENTS_MAX)
        while True:
            page = self._usage.list_events(query)
            yield page.events
            if page.next_page is None:
                return
            query = replace(query, page=page.next_page)

    def _count(self, which: Which) -> int:
        query = UsageQuery(
            which.reach,
            STORABLE.start_us if which.start_us is None else which.start_us,
            STORABLE.end_us if which.end_us is None else which.end_us,
            bucket=Bucket.ALL,
            conditions=which.conditions,
            measures=("events",),
        )
        (count,) = self._usage.query(query).sums
        return count
