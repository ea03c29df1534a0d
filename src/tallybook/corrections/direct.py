"""Corrections of events that no transaction of the ledger names: decided and kept in the event store."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future

import msgspec

from tallybook.core.errors import TallybookError
from tallybook.core.ids import uid_text
from tallybook.core.unit_of_work import Record, Repeat, refusal_in
from tallybook.corrections.errors import Overtaken
from tallybook.corrections.model import Change, Corrected, Decision, corrected_by
from tallybook.corrections.store import Entry, Purge

log = logging.getLogger("tallybook.corrections")

VERSION = 1
"""Of the outcomes kept for repeats."""


class DirectCommitter:
    """Implements `store.Committer`. `submit` queues a job of the event writer and answers after its commit."""

    def __init__(self, submit: Callable[[Entry | Purge], Awaitable[Record]]) -> None:
        self._submit = submit

    async def once(self, repeat: Repeat | None, decided: Decision | TallybookError) -> Corrected:
        return msgspec.convert(await self._outcome(_entry(repeat, decided)), Corrected)

    async def outcome(self, repeat: Repeat, record: Record | TallybookError) -> Record:
        """The outcome that is kept for repeats: the record, unless there is one already. An error is not kept."""
        return await self._outcome(Entry(None, repeat, record))

    async def purge_outcomes(self, before_us: int, limit: int) -> int:
        """Forgets every outcome from before that instant; returns how many.

        There is no limit: corrections are rare, and a million outcomes are deleted in about a tenth of a second.
        """
        purged: int = (await self._submit(Purge(before_us)))["purged"]
        return purged

    async def _outcome(self, entry: Entry) -> Record:
        outcome = await self._submit(entry)
        refusal = refusal_in(outcome)
        if refusal is not None:
            raise refusal
        return outcome


def _entry(repeat: Repeat | None, decided: Decision | TallybookError) -> Entry:
    if isinstance(decided, TallybookError):
        return Entry(None, repeat, decided)
    change = decided.change
    outcome = msgspec.to_builtins(corrected_by(change, uid_text(change.uid)))
    return Entry(change, repeat, {"v": VERSION, **outcome})


def deliver(submit: Callable[[Entry], Future[Record]], changes: Sequence[Change]) -> None:
    """Applies changes that were decided elsewhere, on a thread without an event loop, which it holds until the commit.

    Safe to repeat.
    """
    for queued in [submit(Entry(change, None, {})) for change in changes]:
        try:
            queued.result()
        except Overtaken:
            log.error("a correction met another one of its event")
