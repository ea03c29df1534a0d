"""A question turned into what an engine needs: integers, columns, bounds. Pure."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from tallybook.analytics.query import Condition, Dimension, EventQuery, LineItem, LineQuery, UsageQuery
from tallybook.core.time_window import SECOND_US, Bucket, TimeWindow, bucket_rule

STORABLE = TimeWindow(0, 2**62)
"""Every instant an engine can hold. Windows beyond it are answered without asking one."""


@dataclass(frozen=True)
class Slices:
    """The bucket of an instant is `n = (instant - origin_us) // step_us`.

    With `turns` it is `begun[n]`, or from the instant `turns[n]` on the next one.
    """

    origin_us: int
    step_us: int
    begun: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()

    @staticmethod
    def between(edges: list[int]) -> "Slices | None":
        """Slices for contiguous buckets between these edges; None for a single bucket."""
        if len(edges) <= 2:
            return None
        widths = {following - edge for edge, following in pairwise(edges)}
        step_us = min(widths)
        if len(widths) == 1:
            return Slices(edges[0], step_us)
        # No step is wider than a bucket, so that at most one bucket begins within each.
        begun = tuple(bisect_right(edges, start_us) - 1 for start_us in range(edges[0], edges[-1], step_us))
        return Slices(edges[0], step_us, begun, tuple(edges[number + 1] for number in begun))


@dataclass(frozen=True)
class Span:
    """What a read covers: these orgs (None: all), this window, up to this commit (None: the newest).

    `with_voided`: events that are voided too, as they were last.
    """

    org_ids: tuple[str, ...] | None
    window: TimeWindow
    seq_max: int | None = None
    with_voided: bool = False


@dataclass(frozen=True)
class AggregatePlan:
    """One page of a usage query. At most `rows_max` rows are wanted; an engine stops one row after them."""

    span: Span
    as_of_us: int | None
    slices: Slices | None
    group_by: tuple[Dimension, ...]
    conditions: tuple[Condition, ...]
    measures: tuple[str, ...]
    rows_max: int


@dataclass(frozen=True)
class LinePlan:
    """One page of a query of cost lines: those of `line_items`, or of all if there are none."""

    counted: AggregatePlan
    line_items: tuple[LineItem, ...]


@dataclass(frozen=True)
class Position:
    """The last event of the page before, and the commit at which the walk began."""

    occurred_at_us: int
    uid: str
    seq_max: int


@dataclass(frozen=True)
class ListPlan:
    """One page of an event list, newest first by (occurred_at, uid)."""

    span: Span
    as_of_us: int | None
    conditions: tuple[Condition, ...]
    ids: tuple[str, ...]
    sources: tuple[str, ...]
    request_ids: tuple[str, ...]
    after: Position | None
    limit: int
    offset: int = 0
    with_total: bool = False
    wanted: tuple[str, ...] | None = None


def page_window(query: UsageQuery, now_us: int) -> TimeWindow:
    """The whole range that the pages of a query cover."""
    if query.whole_seconds:
        now_us = -(-now_us // SECOND_US) * SECOND_US
    window = TimeWindow(query.start_us, now_us if query.end_us is None else query.end_us)
    if query.whole_buckets and query.bucket is not Bucket.ALL and window.start_us < window.end_us:
        return window.widened(bucket_rule(query.bucket, query.zone))
    return window


def page_edges(query: UsageQuery, window: TimeWindow, limit: int) -> list[int]:
    """Edges of the first buckets of a window, as `TimeWindow.edges`."""
    if query.bucket is Bucket.ALL:
        return [window.start_us, window.end_us] if window.start_us < window.end_us else []
    return window.edges(bucket_rule(query.bucket, query.zone), limit)


def aggregate_plan(query: UsageQuery, covered: TimeWindow, edges: list[int], rows_max: int) -> AggregatePlan:
    return AggregatePlan(
        span=Span(query.reach.org_ids, covered, with_voided=query.with_voided),
        as_of_us=query.as_of_us,
        slices=Slices.between(edges),
        group_by=query.group_by,
        conditions=query.reach.conditions + query.conditions,
        measures=query.measures,
        rows_max=rows_max,
    )


def line_plan(query: LineQuery, covered: TimeWindow, edges: list[int], rows_max: int) -> LinePlan:
    return LinePlan(aggregate_plan(query, covered, edges, rows_max), query.line_items)


def list_plan(query: EventQuery, after: Position | None) -> ListPlan:
    start_us = STORABLE.start_us if query.start_us is None else query.start_us
    end_us = STORABLE.end_us if query.end_us is None else query.end_us
    if after is not None:
        end_us = min(end_us, after.occurred_at_us + 1)
    return ListPlan(
        span=Span(
            query.reach.org_ids, TimeWindow(start_us, end_us), after.seq_max if after else None, query.with_voided
        ),
        as_of_us=query.as_of_us,
        conditions=query.reach.conditions + query.conditions,
        ids=query.ids,
        sources=query.sources,
        request_ids=query.request_ids,
        after=after,
        limit=query.limit,
        offset=query.offset if after is None else 0,
        with_total=query.with_total,
        wanted=query.wanted,
    )
