"""Many events corrected in one go, under one id: some at a time, so that nobody waits long for the writer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from weakref import WeakValueDictionary

import msgspec

from tallybook.analytics.answer import EventRecord
from tallybook.core.errors import NotFound
from tallybook.core.ids import object_id
from tallybook.core.unit_of_work import Repeat
from tallybook.corrections.differences import Difference, Differences
from tallybook.corrections.direct import DirectCommitter
from tallybook.corrections.errors import Overtaken
from tallybook.corrections.model import Decision
from tallybook.corrections.service import CorrectionService

AT_ONCE = 500
"""Changes that are queued together."""

Planned = Sequence[tuple[EventRecord, Decision]]
"""Decisions, each with the event as it is before."""

Plan = Callable[[str], Iterator[Planned]]
"""What is to be done under a correction id, part by part; each time from what is in force then."""


class Done(msgspec.Struct, frozen=True):
    """`matched` events were looked at, `changed` of them; `skipped` ones were corrected by somebody else meanwhile.

    `correction_id` None: nothing was done, the differences are what would be.
    """

    correction_id: str | None
    matched: int
    changed: int
    skipped: int
    differences: Sequence[Difference]


class _NotYet(NotFound):
    """Stands for the outcome that a repeat does not have yet."""


class Bulk:
    """Tells what a plan makes of the costs, in at most `rows_max` differences, then acts on it."""

    def __init__(self, corrections: CorrectionService, direct: DirectCommitter, *, rows_max: int) -> None:
        self._corrections = corrections
        self._direct = direct
        self._rows_max = rows_max
        self._turns = WeakValueDictionary[bytes, asyncio.Lock]()
        """Of the repeatable requests under way."""

    async def once(self, repeat: Repeat | None, act: Callable[[], Awaitable[Done]]) -> Done:
        """What an earlier request of that key did, if there was one; else what `act` does.

        A repeat of a request that is under way waits for it: acting beside it would be a correction of its own.
        """
        if repeat is None:
            return await act()
        async with self._turns.setdefault(repeat.request, asyncio.Lock()):
            return await self._known(repeat) or await act()

    async def run(self, plan: Plan, matched: int, *, dry_run: bool, repeat: Repeat | None) -> Done:
        """With `repeat` what came of it is kept, and given to repeats.

        Interrupted, it has corrected some of the events, and may be asked for again. Raises `TooManyDifferences`,
        before anything is done.
        """
        correction_id = object_id("cor")
        told = await asyncio.to_thread(self._tell, plan(correction_id), matched)
        if dry_run:
            return told
        changed = skipped = 0
        parts = plan(correction_id)
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            overtaken = await self._commit(part)
            changed, skipped = changed + len(part) - overtaken, skipped + overtaken
        done = Done(correction_id if changed else None, matched, changed, skipped, told.differences)
        return await self._kept(repeat, done)

    async def _known(self, repeat: Repeat) -> Done | None:
        try:
            return msgspec.convert(await self._direct.outcome(repeat, _NotYet("no outcome yet")), Done)
        except _NotYet:
            return None

    def _tell(self, parts: Iterator[Planned], matched: int) -> Done:
        differences, changed = Differences(self._rows_max), 0
        for part in parts:
            changed += len(part)
            for event, decision in part:
                differences.add(event, decision.change)
        return Done(None, matched, changed, 0, differences.rows())

    async def _commit(self, planned: Planned) -> int:
        """How many of them were overtaken by other corrections, and left as they are."""
        overtaken = 0
        for start in range(0, len(planned), AT_ONCE):
            part = planned[start : start + AT_ONCE]
            overtaken += sum(await asyncio.gather(*(self._is_overtaken(event, each) for event, each in part)))
        return overtaken

    async def _is_overtaken(self, event: EventRecord, decision: Decision) -> bool:
        try:
            await self._corrections.committer_of(event).once(None, decision)
        except Overtaken:
            return True
        return False

    async def _kept(self, repeat: Repeat | None, done: Done) -> Done:
        """What is kept for repeats."""
        if repeat is None:
            return done
        return msgspec.convert(await self._direct.outcome(repeat, {"v": 1, **msgspec.to_builtins(done)}), Done)
