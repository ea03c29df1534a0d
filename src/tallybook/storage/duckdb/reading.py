"""Reads of the event store: runs the SQL of `usage_sql.py` on a cursor per thread, a few at a time."""

from array import array
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import duckdb

from tallybook.analytics.answer import EventRecord, LineRow
from tallybook.analytics.export import FileFormat
from tallybook.analytics.plan import STORABLE, AggregatePlan, LinePlan, ListPlan, Span
from tallybook.analytics.query import MEASURES, Condition, Dimension, LineItem, Reach, Value
from tallybook.analytics.store import Aggregates, BucketLine, EventSlice
from tallybook.core.counters import COUNTERS, Aggregate
from tallybook.core.time_window import DAY_US, TimeWindow
from tallybook.metering.identity import identity_of, keys_of_request
from tallybook.storage.duckdb import arrivals, column_stream, export_sql, line_sql, runs, usage_sql
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.in_force import Sql, has_corrections, newest_commit, newest_commit_by
from tallybook.storage.duckdb.limits import Limits, Turns, bounded
from tallybook.storage.duckdb.remembered import InOrder, Remembered
from tallybook.storage.duckdb.sums import RememberedSums

_Plan = TypeVar("_Plan", AggregatePlan, ListPlan)

_FAR_OFFSET = 1_000
"""A page behind more events is looked for on its days: to pass over so many costs more than to count them by day."""

_MORE = 10
"""Events, beside a quarter of a page, that are read for it although it may not need them."""

_LISTS = 1_000
"""Of which it is remembered how many events they have, and where their first page ends."""

# Beyond this many candidates an IN list costs more than scanning the time between them.
_CANDIDATES_MAX = 2_000


class DuckUsageStore:
    """Implements `analytics.store.UsageStore` within limits; raises `QueryTooHeavy` and `QueriesWaiting`."""

    def __init__(self, engine: DuckEngine, limits: Limits) -> None:
        self._engine = engine
        self._turns = Turns(limits)
        self._timeout_seconds = limits.timeout_seconds
        self._totals: Remembered[InOrder[int]] = Remembered(_LISTS)
        self._ends: Remembered[int] = Remembered(_LISTS)
        """The instant at which the first page of a list ended the last time, or a little before."""
        self._sums = RememberedSums()

    def aggregate(self, plan: AggregatePlan) -> Aggregates:
        each_table_apart = usage_sql.adds_up(plan) and plan.as_of_us is None
        with self._snapshot(None if each_table_apart else plan.span.window, report=True) as reader:
            span = _capped(reader, plan.span, plan.as_of_us)
            corrected = _has_corrections(reader, span)
            tables = self._engine.facts.tables_of(reader, span.window)
            plan = _settled(reader, replace(plan, span=span), tables)
            if (rows := self._sums.rows(reader, plan, tables, corrected=corrected)) is not None:
                return _aggregates(plan, list(zip(*rows, strict=True)))
            answer = _aggregates(plan, _answered(reader, plan, tables, corrected=corrected))
            self._sums.meet(plan, len(answer.buckets))
            return answer

    def lines(self, plan: LinePlan) -> list[BucketLine]:
        with self._snapshot(plan.counted.span.window, report=True) as reader:
            span = _capped(reader, plan.counted.span, plan.counted.as_of_us)
            plan = replace(plan, counted=replace(plan.counted, span=span))
            (charged,) = _rows(reader, line_sql.charged(span))
            units = [unit for unit, is_charged in zip(usage_sql.LINES, charged, strict=True) if is_charged]
            rows = _rows(reader, line_sql.lines(plan, units, corrected=_has_corrections(reader, span)))
        return [
            BucketLine(bucket, LineRow(tuple(group), LineItem(model, unit), cost_pico, quantity))
            for bucket, *group, model, unit, cost_pico, quantity in rows
        ]

    def last_commit(self, org_ids: Sequence[str] | None) -> int:
        return self._engine.last_commits.of(org_ids)

    def list_events(self, plan: ListPlan) -> EventSlice:
        with self._snapshot(None if plan.as_of_us is None else plan.span.window) as reader:
            span = plan.span if plan.after is not None else _capped(reader, plan.span, plan.as_of_us)
            tables = self._engine.facts.tables_of(reader, span.window)
            plan = _settled(reader, replace(plan, span=span), tables)
            total: int | None = None
            if plan.offset > _FAR_OFFSET:
                corrected = _has_corrections(reader, plan.span)
                days = _rows(reader, usage_sql.counted_by_day(plan, tables, corrected=corrected))
                total = sum(events for _, events in days)
                if plan.offset >= total:
                    return EventSlice((), None, total)
                plan = _on_days(plan, days)
            elif plan.with_total:
                total = self._total(reader, plan)
            events = self._newest_events(reader, plan)
            has_next = len(events) > plan.limit and not plan.with_total
            return EventSlice(events, span.seq_max or _number(reader, newest_commit()) if has_next else None, total)

    def find_event(
        self, reach: Reach, uid: str, as_of_us: int | None, *, with_voided: bool = False
    ) -> EventRecord | None:
        with self._snapshot(STORABLE) as reader:
            span = _capped(reader, Span(reach.org_ids, STORABLE, with_voided=with_voided), as_of_us)
            found = read_events(
                reader,
                usage_sql.events(self._columns(), span, [UUID(uid)], reach.conditions, corrected=True),
            )
        return found[0] if found else None

    def export(self, plan: ListPlan, file_format: FileFormat, path: Path, *, events_max: int) -> int:
        # As long as it takes: its events have a bound of their own.
        window = plan.span.window
        with self._turns.taken(report=True, export=True), arrivals.reading(self._engine, window) as reader:
            tables = self._engine.facts.tables_of(reader, window)
            plan = _settled(reader, replace(plan, span=_capped(reader, plan.span, plan.as_of_us)), tables)
            corrected = _has_corrections(reader, plan.span)
            count = self._total(reader, plan)
            if count <= events_max:
                _rows(reader, export_sql.export(plan, file_format, path, corrected=corrected))
        return count

    @contextmanager
    def _snapshot(self, window: TimeWindow | None, *, report: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction, so that what is in force and the facts are read as of the same commit.

        `window` as in `arrivals.reading`.
        """
        with (
            self._turns.taken(report=report),
            arrivals.reading(self._engine, window) as reader,
            bounded(reader, self._timeout_seconds),
        ):
            yield reader

    def _columns(self, wanted: Sequence[str] | None = None) -> Sequence[str]:
        return self._engine.used_columns.of(usage_sql.columns_of(wanted))

    def _total(self, reader: duckdb.DuckDBPyConnection, plan: ListPlan) -> int:
        """How many events the plan lists on all its pages."""
        question, until = replace(plan, limit=0, offset=0), runs.newest(reader).until
        known = self._totals.of(question)
        if known is None or not known.serves(until):
            known = InOrder(0, 0)
        if known.until < until:
            tables = self._engine.facts.tables_of(reader, plan.span.window)
            ((more,),) = _rows(reader, usage_sql.counted_between(plan, known.until, until, tables))
            known = InOrder(until, known.given + more)
            self._totals.remember(question, known)
        corrected = _has_corrections(reader, plan.span)
        ((rest,),) = _rows(reader, usage_sql.counted(plan, after=known.until, corrected=corrected))
        return known.given + int(rest)

    def _newest_events(self, reader: duckdb.DuckDBPyConnection, plan: ListPlan) -> Sequence[EventRecord]:
        """The uids first, then their rows: sorting all columns of everything would cost many times as much."""
        columns = self._columns(plan.wanted)
        uids: list[UUID] | None = None
        identities, requests = _lookup_keys(plan)
        if identities:
            older, newest = self._engine.key_filters.places(identities), self._engine.key_generation
            candidates = set(_rows(reader, usage_sql.located(identities, older, newest, requests)))
            if not candidates:
                return ()
            plan = _narrowed(plan, [instant for instant, _ in candidates])
            self._engine.facts.reach(reader, plan.span.window)
            uids = [uid for _, uid in candidates] if len(candidates) <= _CANDIDATES_MAX else None
            if uids and not plan.offset and len(uids) <= plan.limit:
                # To ask costs less than half of what it saves, and few instants have a correction.
                corrected = _has_corrections(reader, plan.span)
                return read_events(reader, usage_sql.listed_events(columns, plan, uids, corrected=corrected))
        if plan.offset or uids:
            found: Sequence[tuple[Any, ...]] = ()
            for some in self._newest_first(reader, plan):
                found = _rows(reader, usage_sql.newest(some, uids, corrected=_has_corrections(reader, some.span)))
                if len(found) > plan.limit:
                    break
            return _listed(reader, columns, plan, found)
        page = self._near_page(reader, columns, plan) or self._searched(reader, columns, plan)
        if len(page) > plan.limit:
            self._ends.remember(plan, page[: _enough(plan)][-1].occurred_at_us)
        return page[: plan.limit + 1]

    def _near_page(
        self, reader: duckdb.DuckDBPyConnection, columns: Sequence[str], plan: ListPlan
    ) -> Sequence[EventRecord]:
        """The page, if it still lies between where it ended the last time and now; else nothing.

        A search for the newest of all passes every group of rows in the order of their times first.
        """
        end_us = self._ends.of(plan)
        if end_us is None:
            return ()
        near = _narrowed(plan, [end_us, plan.span.window.end_us - 1])
        self._engine.facts.reach(reader, near.span.window)
        corrected = _has_corrections(reader, near.span)
        most = 2 * _enough(plan)
        page = read_events(
            reader, usage_sql.listed_events(columns, near, corrected=corrected) + Sql("LIMIT ?", (most,))
        )
        return page if plan.limit < len(page) < most else ()

    def _searched(
        self, reader: duckdb.DuckDBPyConnection, columns: Sequence[str], plan: ListPlan
    ) -> Sequence[EventRecord]:
        page: Sequence[EventRecord] = ()
        for some in self._newest_first(reader, plan):
            page = _searched(reader, columns, some)
            if len(page) > plan.limit:
                break
        return page

    def _newest_first(self, reader: duckdb.DuckDBPyConnection, plan: ListPlan) -> Iterator[ListPlan]:
        """The plan less the time of volumes, and, if its page is not full then, the whole plan: those are shown now."""
        window = plan.span.window
        since_us = self._engine.facts.end_of_volumes(reader, window)
        if window.start_us < since_us < window.end_us:
            yield _narrowed(plan, [since_us, window.end_us - 1])
        self._engine.facts.reach(reader, window)
        yield plan


def _searched(reader: duckdb.DuckDBPyConnection, columns: Sequence[str], plan: ListPlan) -> Sequence[EventRecord]:
    """The newest events of the plan, some more than its page if they are at hand."""
    corrected = _has_corrections(reader, plan.span)
    if corrected:
        # The anti-join is dear over the whole span. Twice as many rows, in force or not, are found without it, and
        # some events more than a page hold it, unless many are voided or no longer what is asked for.
        found = _rows(reader, usage_sql.newest(replace(plan, limit=2 * plan.limit), None, corrected=False))
        named = list(dict.fromkeys(found))
        some = named[: _enough(plan)]
        page = _listed(reader, columns, plan, some)
        if len(page) > plan.limit or (len(found) <= 2 * plan.limit and some == named):
            return page
    return _listed(reader, columns, plan, _rows(reader, usage_sql.newest(plan, None, corrected=corrected)))


def _enough(plan: ListPlan) -> int:
    """Events that a page may need and a few more."""
    return plan.limit + plan.limit // 4 + _MORE


def _answered(
    reader: duckdb.DuckDBPyConnection, plan: AggregatePlan, tables: Sequence[str], *, corrected: bool
) -> Sequence[Sequence[Any]]:
    """The columns of `usage_sql.aggregate`."""
    if plan.group_by:
        # There may be very many rows. Sums have 128 bits, nearly all have room in 64, which are but copied.
        in_64_bits = usage_sql.aggregate(plan, tables, corrected=corrected, in_64_bits=True)
        if columns := _with_room(plan, column_stream.stream(reader, in_64_bits)):
            return columns
    return list(zip(*_rows(reader, usage_sql.aggregate(plan, tables, corrected=corrected)), strict=True))


def _with_room(plan: AggregatePlan, parts: Iterable[Sequence[Sequence[Any]]]) -> list[MutableSequence[Any]] | None:
    """The columns of `usage_sql.aggregate`, some rows at a time, below each other; None if a sum has no room."""
    are_sums = (MEASURES[name].aggregate is Aggregate.SUM for name in plan.measures)
    are_whole = [True, *(False for _ in plan.group_by), *are_sums]
    columns: list[MutableSequence[Any]] = [array("q") if is_whole else [] for is_whole in are_whole]
    for part in parts:
        for column, values in zip(columns, part, strict=True):
            if isinstance(column, array) and not isinstance(values, array):
                return None
            column.extend(values)
    return columns


def _aggregates(plan: AggregatePlan, columns: Sequence[Sequence[Any]]) -> Aggregates:
    groups = len(plan.group_by)
    buckets, *values = columns or [()] * (1 + groups + len(plan.measures))
    return Aggregates(buckets, values[:groups], values[groups:])


def _listed(
    reader: duckdb.DuckDBPyConnection, columns: Sequence[str], plan: ListPlan, found: Sequence[tuple[Any, ...]]
) -> Sequence[EventRecord]:
    """Those of the found (occurred_at, uid) that the plan lists, newest first."""
    if not found:
        return ()
    near = _narrowed(plan, [instant for instant, _ in found])
    return read_events(reader, usage_sql.listed_events(columns, near, [uid for _, uid in found], corrected=True))


def _lookup_keys(plan: ListPlan) -> tuple[list[bytes], list[bytes]]:
    """Identities and request keys that lead to every event with the requested ids, or none where only a scan can.

    An id alone names no event: its source may be any.
    """
    orgs = plan.span.org_ids or ()
    if plan.request_ids:
        found = [keys_of_request(*pair) for pair in islice(product(orgs, plan.request_ids), _CANDIDATES_MAX)]
        requests = [request for request, *_ in found]
        identities = [identity for _, *named in found for identity in named]
    else:
        requests = []
        named = islice(product(orgs, plan.sources, plan.ids), _CANDIDATES_MAX + 1)
        identities = [identity_of(*names) for names in named]
    if len(identities) + len(requests) > _CANDIDATES_MAX:
        return [], []
    return identities, requests


def _settled(reader: duckdb.DuckDBPyConnection, plan: _Plan, tables: Sequence[str]) -> _Plan:
    """The plan without what "either" in its conditions does not need: one column alone is searched many times as fast.

    Most often a user is meant whose id is no end user's, or the other way round.
    """

    def is_used(dimension: Dimension, values: Sequence[Value]) -> bool:
        return any(_rows(reader, usage_sql.has_any(plan.span, dimension, values, table))[0][0] for table in tables)

    def settled(condition: Condition) -> Condition:
        if len(condition.dimensions) == 1 or condition.excluded:
            return condition
        last = condition.dimensions[-1]
        used = tuple(dimension for dimension in condition.dimensions if is_used(dimension, condition.values))
        return replace(condition, dimensions=used or (last,))

    return replace(plan, conditions=tuple(map(settled, plan.conditions)))


def _on_days(plan: ListPlan, days: Sequence[tuple[int, int]]) -> ListPlan:
    """The same page from the days that hold it: `days` are numbers since 1970 with their events, newest first."""
    before = 0
    held: list[int] = []
    offset = plan.offset
    for day, events in days:
        if before + events > plan.offset and before <= plan.offset + plan.limit:
            offset = offset if held else plan.offset - before
            held.append(day)
        before += events
    instants = [held[-1] * DAY_US, (held[0] + 1) * DAY_US - 1]
    return replace(_narrowed(plan, instants), offset=offset)


def _narrowed(plan: ListPlan, instants: Sequence[int]) -> ListPlan:
    window = plan.span.window
    within = TimeWindow(max(window.start_us, min(instants)), min(window.end_us, max(instants) + 1))
    return replace(plan, span=replace(plan.span, window=within))


def _capped(reader: duckdb.DuckDBPyConnection, span: Span, as_of_us: int | None) -> Span:
    return span if as_of_us is None else replace(span, seq_max=_number(reader, newest_commit_by(as_of_us)))


def _number(reader: duckdb.DuckDBPyConnection, sql: Sql) -> int:
    return int(_rows(reader, sql)[0][0])


def _has_corrections(reader: duckdb.DuckDBPyConnection, span: Span) -> bool:
    return bool(_rows(reader, has_corrections(span))[0][0])


def _rows(reader: duckdb.DuckDBPyConnection, sql: Sql) -> list[tuple[Any, ...]]:
    return reader.execute(sql.text, sql.parameters).fetchall()


def read_events(reader: duckdb.DuckDBPyConnection, sql: Sql) -> list[EventRecord]:
    """What `usage_sql.events` asks for, newest first."""
    rows = _rows(reader, sql)
    names = [name for name, *_ in reader.description]
    found = [_event(dict(zip(names, row, strict=True))) for row in rows]
    return sorted(found, key=lambda event: (event.occurred_at_us, event.uid), reverse=True)


def _event(row: dict[str, Any]) -> EventRecord:
    return EventRecord(
        uid=str(row["uid"]),
        org_id=row["org_id"],
        revision=row["revision"],
        seq=row["seq"],
        occurred_at_us=row["occurred_at"],
        recorded_at_us=row["recorded_at"],
        event_id=row["event_id"],
        fields=_held(row, usage_sql.FIELDS),
        usage=_held(row, COUNTERS),
        pricing=row["pricing"],
        price_id=row.get("price_id"),
        matched=row.get("matched"),
        cost_pico=row.get("cost"),
        known_cost_pico=row["known_cost"],
        unpriced_units=tuple(units.split(",")) if (units := row.get("unpriced_units")) else (),
        lines=_held(row, usage_sql.LINES, "cost_"),
        pools=_held(row, usage_sql.POOLED, "pool_"),
        refunded=row.get("refunded") is True,
        voided=row["voided"],
    )


def _held(row: dict[str, Any], names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """What the row holds under these names; a column that no fact has a value in may not have been read."""
    return {name: value for name in names if (value := row.get(prefix + name)) is not None}
