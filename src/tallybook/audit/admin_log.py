"""The admin log: who changed what, when, from what, to what; newest first.

Its lines are written by the rooms that make a change, in the commit of the change, and by nobody else. They stand
where the changes stand: keys, orgs, settings and prices in the journal, corrections of events in the event store.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tallybook.core.unit_of_work import JournalEntry


class Line(NamedTuple):
    """`id` is unique, and orders lines of the same instant. `at_us` in microseconds; `reason` as it was given.

    `correction_id` of a correction is what an undo names: a bulk one has many lines.
    """

    at_us: int
    id: str
    entry: JournalEntry
    reason: str | None = None
    correction_id: str | None = None

    @property
    def place(self) -> tuple[int, str]:
        return self.at_us, self.id


@dataclass(frozen=True)
class LogQuery:
    """Lines of these orgs in a half-open range of instants; None: no bound, or whatever it is.

    `before` is the place of the last line of the page before.
    """

    org_ids: tuple[str, ...]
    start_us: int | None = None
    end_us: int | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    before: tuple[int, str] | None = None


class LogSource(Protocol):
    def newest(self, query: LogQuery, limit: int) -> Sequence[Line]:
        """At most `limit` lines by falling place."""
        ...


class AdminLog:
    """`before_read` holds a read until all corrections answered before are in the event store."""

    def __init__(self, sources: Sequence[LogSource], before_read: Callable[[], None]) -> None:
        self._sources = sources
        self._before_read = before_read

    def newest(self, query: LogQuery, limit: int) -> list[Line]:
        """At most `limit` lines, newest first."""
        self._before_read()
        found = [source.newest(query, limit) for source in self._sources]
        return list(heapq.merge(*found, key=lambda line: line.place, reverse=True))[:limit]
