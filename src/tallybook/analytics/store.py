"""What the analytics room asks of a disk. Everything is answered from what is in force."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tallybook.analytics.answer import EventRecord, GroupValue, LineRow, Number
from tallybook.analytics.export import FileFormat
from tallybook.analytics.plan import AggregatePlan, LinePlan, ListPlan
from tallybook.analytics.query import Reach


class Aggregates(NamedTuple):
    """Rows a column at a time: the bucket of each, which the plan counts from 0, its grouped values, its measures."""

    buckets: Sequence[int]
    groups: Sequence[Sequence[GroupValue]]
    numbers: Sequence[Sequence[Number]]


class BucketLine(NamedTuple):
    """`bucket` as in `Aggregates`."""

    bucket: int
    row: LineRow


class EventSlice(NamedTuple):
    """At most `limit + 1` events.

    `seq_max`: the commit up to which they were read; None where no page follows, or the total was asked for: such pages
    are asked for by their offset. `total`: of all pages, where it was asked for or came to be known.
    """

    events: Sequence[EventRecord]
    seq_max: int | None
    total: int | None = None


class UsageStore(Protocol):
    """Called from many threads. Each call reads one consistent state.

    Any may raise `QueryTooHeavy` or `QueriesWaiting`, and `StorageFull` or `Overloaded` as every store.
    """

    def aggregate(self, plan: AggregatePlan) -> Aggregates:
        """At most `plan.rows_max + 1` rows, by bucket and group ascending, None last."""
        ...

    def lines(self, plan: LinePlan) -> list[BucketLine]:
        """At most `plan.counted.rows_max + 1` lines, by bucket, group, model and unit ascending, None last."""
        ...

    def last_commit(self, org_ids: Sequence[str] | None) -> int:
        """The number of the newest commit that holds an event or a correction of these orgs (None: all); 0: none."""
        ...

    def list_events(self, plan: ListPlan) -> EventSlice: ...

    def export(self, plan: ListPlan, file_format: FileFormat, path: Path, *, events_max: int) -> int:
        """Writes all events of the plan to a new file, in no order; returns how many they are.

        Writes nothing if they are more than `events_max`.
        """
        ...

    def find_event(
        self, reach: Reach, uid: str, as_of_us: int | None, *, with_voided: bool = False
    ) -> EventRecord | None:
        """`uid` is a UUID in its usual form. `with_voided`: a voided one as it was last."""
        ...
