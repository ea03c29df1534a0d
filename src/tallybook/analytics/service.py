"""The one way to ask: checks a question, answers one page of it, and seals the cursor of the next."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast
from uuid import UUID

from tallybook.analytics.answer import EventPage, EventRecord, LineBucket, LinePage, UsagePage
from tallybook.analytics.errors import NoSuchEvent, TooManyBuckets, TooManyRows, TooManyToExport
from tallybook.analytics.export import FileFormat
from tallybook.analytics.plan import (
    STORABLE,
    Position,
    aggregate_plan,
    line_plan,
    list_plan,
    page_edges,
    page_window,
)
from tallybook.analytics.query import EventQuery, LineQuery, Reach, UsageQuery
from tallybook.analytics.store import Aggregates, BucketLine, UsageStore
from tallybook.core.clock import Clock
from tallybook.core.errors import invalid
from tallybook.core.paging import BadCursor, Cursors
from tallybook.core.time_window import TimeWindow


class UsageService:
    """Answers every dialect. `rows_max`: most result rows of one page, beyond which it is refused;
    `export_events_max`: most events of an export.

    `before_read` is called as each read begins, and holds it until all usage answered before is in the store.
    Besides what they name, reads raise what a `UsageStore` may, and `Overloaded` while usage cannot be delivered.
    """

    def __init__(
        self,
        store: UsageStore,
        cursors: Cursors,
        clock: Clock,
        before_read: Callable[[], None] = lambda: None,
        *,
        rows_max: int,
        export_events_max: int,
    ) -> None:
        self._store = store
        self._cursors = cursors
        self._clock = clock
        self._before_read = before_read
        self._rows_max = rows_max
        self._export_events_max = export_events_max

    def query(self, query: UsageQuery) -> UsagePage:
        """One page of buckets. Raises `InvalidInput`, `TooManyBuckets` and `TooManyRows`."""
        page = self._page_of(query)
        windows = page.windows
        found = Aggregates((), [()] * len(query.group_by), [()] * len(query.measures))
        if page.is_storable:
            self._before_read()
            found = self._store.aggregate(aggregate_plan(query, page.covered, page.edges, self._rows_max))
        rows = self._by_bucket(found.buckets, len(windows))
        return UsagePage(windows, rows, found.groups, found.numbers, page.next_page)

    def query_lines(self, query: LineQuery) -> LinePage:
        """One page of buckets of cost lines. Raises as `query` does."""
        page = self._page_of(query)
        rows: list[BucketLine] = []
        if page.is_storable:
            self._before_read()
            rows = self._store.lines(line_plan(query, page.covered, page.edges, self._rows_max))
        windows = page.windows
        of_buckets = self._by_bucket([found.bucket for found in rows], len(windows))
        buckets = (
            LineBucket(window, tuple(found.row for found in rows[of_bucket]))
            for window, of_bucket in zip(windows, of_buckets, strict=True)
        )
        return LinePage(tuple(buckets), page.next_page)

    def fingerprint(self, query: UsageQuery) -> str | None:
        """Names the answer to this page: as long as it is the same, so is the answer, byte for byte.

        It is made from the question, which holds the asker's reach, and the last commit of the orgs asked about: events
        and corrections change answers, prices do not. To be taken before the answer, which may be newer. None where the
        answer depends on the clock too.
        """
        if query.end_us is None:
            return None
        self._before_read()
        return self._cursors.seal(f"fingerprint {query!r}", (self._store.last_commit(query.reach.org_ids),))

    def list_events(self, query: EventQuery) -> EventPage:
        """One page of events, newest first. Raises `InvalidInput`."""
        query.check()
        after = self._position(query)
        self._before_read()
        found = self._store.list_events(list_plan(query, after))
        events = tuple(found.events[: query.limit])
        if found.seq_max is None:
            return EventPage(events, None, found.total)
        last = events[-1]
        next_page = self._cursors.seal(query.question, (last.occurred_at_us, last.uid, found.seq_max))
        return EventPage(events, next_page, found.total)

    def export(self, query: EventQuery, file_format: FileFormat, path: Path) -> None:
        """Writes all events of a question to a new file. Raises `InvalidInput`, `TooManyToExport` and `StorageFull`."""
        query.check()
        self._before_read()
        plan = list_plan(query, None)
        count = self._store.export(plan, file_format, path, events_max=self._export_events_max)
        if count > self._export_events_max:
            raise TooManyToExport(count, self._export_events_max)

    def get_event(
        self, reach: Reach, uid: str, as_of_us: int | None = None, *, with_voided: bool = False
    ) -> EventRecord:
        """Raises `NoSuchEvent`, also for one that the asker may not see.

        `with_voided`: a voided one as it was last.
        """
        self._before_read()
        event = self._store.find_event(reach, uid, as_of_us, with_voided=with_voided) if _is_uid(uid) else None
        if event is None:
            raise NoSuchEvent(uid)
        return event

    def _page_of(self, query: UsageQuery) -> "_Page":
        query.check()
        window = self._rest_of(query)
        edges = page_edges(query, window, query.limit or query.buckets_max)
        if not edges:
            return _Page(window, [], None)
        has_more = edges[-1] < window.end_us
        if has_more and query.limit is None:
            raise TooManyBuckets(query.buckets_max)
        covered = TimeWindow(window.start_us, min(edges[-1], window.end_us))
        next_page = self._cursors.seal(query.question, (edges[-1], window.end_us)) if has_more else None
        return _Page(covered, edges, next_page)

    def _by_bucket(self, buckets: Sequence[int], count: int) -> list[slice]:
        """Which rows are of each bucket; `buckets` are those of the rows, ascending."""
        if len(buckets) > self._rows_max:
            raise TooManyRows(self._rows_max)
        ends = [bisect_right(buckets, number) for number in range(count)]
        return list(map(slice, [0, *ends], ends))

    def _rest_of(self, query: UsageQuery) -> TimeWindow:
        """What is left of the range at the page asked for; the first page fixes its end."""
        position = self._opened(query.question, query.page)
        if position is None:
            return page_window(query, self._clock.now_us())
        next_start, end = position
        return TimeWindow(cast(int, next_start), cast(int, end))

    def _position(self, query: EventQuery) -> Position | None:
        position = self._opened(query.question, query.page)
        if position is None:
            return None
        occurred_at, uid, seq_max = position
        return Position(cast(int, occurred_at), cast(str, uid), cast(int, seq_max))

    def _opened(self, question: str, page: str | None) -> list[int | str] | None:
        if page is None:
            return None
        try:
            return self._cursors.open(question, page)
        except BadCursor as error:
            raise invalid("query", "page", msg=str(error)) from None


class _Page(NamedTuple):
    """The buckets of a page: what they cover, their edges (none: no buckets), and the cursor behind them."""

    covered: TimeWindow
    edges: list[int]
    next_page: str | None

    @property
    def windows(self) -> list[TimeWindow]:
        """Every bucket between the edges, the outer two clipped to what is covered."""
        if not self.edges:
            return []
        clipped = [self.covered.start_us, *self.edges[1:-1], self.covered.end_us]
        return [TimeWindow(start, end) for start, end in pairwise(clipped)]

    @property
    def is_storable(self) -> bool:
        """Whether an engine may hold anything of it."""
        start_us, end_us = self.covered.start_us, self.covered.end_us
        return bool(self.edges) and end_us > STORABLE.start_us and start_us < STORABLE.end_us


def _is_uid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
