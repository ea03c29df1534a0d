"""A correction taken back, of however many events: each gets the content it had before, as a revision of its own."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tallybook.analytics.answer import EventRecord
from tallybook.core.unit_of_work import Repeat
from tallybook.corrections.bulk import Bulk, Done, Planned
from tallybook.corrections.errors import NoSuchCorrection, NotUndone, TooManyToCorrect
from tallybook.corrections.model import Address, CorrectionRecord, Decision
from tallybook.corrections.rules import reverted
from tallybook.corrections.store import CorrectionStore

_READ_AT_ONCE = 1_000
"""Events that are read together."""


class Undoing:
    """At most `events_max` events in one go. `before_read` is as in `UsageService`."""

    def __init__(self, store: CorrectionStore, bulk: Bulk, before_read: Callable[[], None], *, events_max: int) -> None:
        self._store = store
        self._bulk = bulk
        self._before_read = before_read
        self._events_max = events_max

    async def undo(
        self,
        org_id: str | None,
        correction_id: str,
        actor: str,
        reason: str | None,
        *,
        dry_run: bool,
        repeat: Repeat | None = None,
    ) -> Done:
        """Takes back what is in force of a correction. Events that were corrected again since stay as they are.

        `org_id` None: of whatever orgs. Raises `NoSuchCorrection`, `NotUndone` for one that gave credits back,
        `TooManyToCorrect`, and as `Bulk.run`.
        """

        async def act() -> Done:
            records = await asyncio.to_thread(self._records, org_id, correction_id)
            plan = partial(self._planned, records, actor, reason)
            return await self._bulk.run(plan, len(records), dry_run=dry_run, repeat=repeat)

        return await self._bulk.once(repeat, act)

    def _records(self, org_id: str | None, correction_id: str) -> Sequence[CorrectionRecord]:
        self._before_read()
        records = self._store.corrections_of(org_id, correction_id, self._events_max + 1)
        if not records:
            raise NoSuchCorrection(correction_id)
        if len(records) > self._events_max:
            raise TooManyToCorrect(self._events_max)
        if any(record.refund_id is not None for record in records):
            raise NotUndone
        return records

    def _planned(
        self, records: Sequence[CorrectionRecord], actor: str, reason: str | None, undo_id: str
    ) -> Iterator[Planned]:
        for start in range(0, len(records), _READ_AT_ONCE):
            part = records[start : start + _READ_AT_ONCE]
            revisions = {(event.uid, event.revision): event for event in self._store.revisions(part)}
            yield [found for record in part if (found := _reverted(record, revisions, actor, reason, undo_id))]


def _reverted(
    record: CorrectionRecord,
    revisions: dict[tuple[str, int], EventRecord],
    actor: str,
    reason: str | None,
    undo_id: str,
) -> tuple[EventRecord, Decision] | None:
    """None where what the correction left was corrected again."""
    left = record.replacement or record.superseded or 0
    event = revisions[record.uid, left]
    if (record.uid, left + 1) in revisions or (event.voided and record.replacement is not None):
        return None
    before = None if record.superseded is None else revisions[record.uid, record.superseded]
    address = Address(event.org_id, event.uid, actor, reason)
    return event, reverted(event, before, address, undo_id, voided=record.replacement is None)
