"""Answers: buckets with their rows, and events as they are in force. Numbers are exact integers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from tallybook.analytics.query import LineItem
from tallybook.core.counters import Usage
from tallybook.core.time_window import TimeWindow

GroupValue = str | bool | None
Group = tuple[GroupValue, ...]
Number = int | None
Numbers = tuple[Number, ...]


class UsageRow(NamedTuple):
    """One combination of the grouped values that has usage: `group` by `group_by`, `numbers` by `measures`.

    A sum is never None; a maximum is where nothing was reported.
    """

    group: Group
    numbers: Numbers


class UsageBucket(NamedTuple):
    window: TimeWindow
    rows: tuple[UsageRow, ...]


@dataclass(frozen=True)
class UsagePage:
    """Buckets ascending, empty ones included; rows ascending by group, None last.

    A page may have very many rows, so they stand a column at a time: one of `groups` for each grouped dimension, one
    of `numbers` for each measure. The rows of `windows[n]` are `rows[n]` of each column. `buckets` are the same, row by
    row, for whoever has few. `next_page` None: this is the last page.
    """

    windows: Sequence[TimeWindow]
    rows: Sequence[slice]
    groups: Sequence[Sequence[GroupValue]]
    numbers: Sequence[Sequence[Number]]
    next_page: str | None

    @property
    def row_count(self) -> int:
        return self.rows[-1].stop if self.rows else 0

    @property
    def buckets(self) -> tuple[UsageBucket, ...]:
        pairs = zip(self.windows, self.rows, strict=True)
        return tuple(UsageBucket(window, self._rows(rows)) for window, rows in pairs)

    @property
    def all_rows(self) -> tuple[UsageRow, ...]:
        return self._rows(slice(None))

    @property
    def sums(self) -> Sequence[int]:
        """Of each measure that adds up, over all rows."""
        return [sum(number or 0 for number in column) for column in self.numbers]

    def _rows(self, rows: slice) -> tuple[UsageRow, ...]:
        groups = zip(*(column[rows] for column in self.groups), strict=True) if self.groups else repeat(())
        numbers = zip(*(column[rows] for column in self.numbers), strict=True)
        return tuple(UsageRow(*row) for row in zip(groups, numbers, strict=False))


class LineRow(NamedTuple):
    """What one line cost one combination of the grouped values: never 0.

    `quantity` is what it was charged for, in stored units of the line's counter; None where the caller supplied the
    cost.
    """

    group: Group
    item: LineItem
    cost_pico: int
    quantity: int | None


class LineBucket(NamedTuple):
    window: TimeWindow
    rows: tuple[LineRow, ...]


@dataclass(frozen=True)
class LinePage:
    """As `UsagePage`; rows ascend by group, model and unit."""

    buckets: tuple[LineBucket, ...]
    next_page: str | None


@dataclass(frozen=True)
class EventRecord:
    """An event as it is in force. Instants are microseconds, money picodollars.

    `fields` are the texts, flags and latencies that are set, by the names of the event format; `metadata` is
    JSON text. `lines` are the rated units with their cost; `pools` the stored units of those that were charged for
    another number than the counter of their name holds. `refunded`: a correction gave all of its cost back.
    `voided`: not in force, but the last that was.
    """

    uid: str
    org_id: str
    revision: int
    seq: int
    occurred_at_us: int
    recorded_at_us: int
    event_id: str
    fields: Mapping[str, str | bool | int]
    usage: Usage
    pricing: str
    price_id: str | None
    matched: str | None
    cost_pico: int | None
    known_cost_pico: int
    unpriced_units: tuple[str, ...]
    lines: Mapping[str, int]
    pools: Mapping[str, int]
    refunded: bool = False
    voided: bool = False


@dataclass(frozen=True)
class EventPage:
    """`total`: events on all pages, where it was asked for."""

    events: tuple[EventRecord, ...]
    next_page: str | None
    total: int | None = None
