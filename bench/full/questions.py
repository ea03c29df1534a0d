"""What is asked of a store, each beside the shortest SQL by hand over its tables that gives the same rows.

Both run in one process on one engine with the settings of a server, warm, in turns.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from bench import server
from bench.full import store
from tallybook.analytics.answer import EventPage, UsagePage
from tallybook.analytics.query import DEFAULT_MEASURES, Condition, Dimension, EventQuery, Reach, UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.core.clock import SystemClock
from tallybook.core.paging import Cursors
from tallybook.core.time_window import DAY_US, HOUR_US, MINUTE_US, Bucket, TimeWindow, parse_instant
from tallybook.server import tune_process
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore

REACH = Reach("bench", (store.ORG,))
_EVER = TimeWindow(0, parse_instant("2200-01-01T00:00:00Z"))
_DAYS_90 = TimeWindow(store.END_US - 90 * DAY_US, store.END_US)
"""All there are of 10 million events, and as many of any more."""
OF_USER = (Condition((Dimension.USER_ID,), (store.BUSIEST_USER,)),)

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Question:
    """`asked` answers through the analytics room, as dialects take it, `sql` by hand, over the facts of the `window`.

    `rows` of the answer: the same values in the same order.
    `bar_ms`: of the median. `path`: the same question over HTTP, in a form for each number: a server remembers what it
    was asked before.
    """

    name: str
    asked: Callable[[UsageService], Any]
    rows: Callable[[Any], Rows]
    sql: str
    window: TimeWindow
    bar_ms: int
    path: Callable[[int], str]


def questions() -> Sequence[Question]:
    return (
        _reported("30 days x day x model", 30, Bucket.DAY, DAY_US, (Dimension.MODEL,), bar_ms=200),
        _reported("7 days x hour, one user", 7, Bucket.HOUR, HOUR_US, (), of_user=True, bar_ms=25),
        _reported(
            "1 day x minute x (user, key, model)",
            1,
            Bucket.MINUTE,
            MINUTE_US,
            (Dimension.USER_ID, Dimension.API_KEY_ID, Dimension.MODEL),
            bar_ms=300,
        ),
        _newest("newest 50 of a user", _EVER),
        _newest("newest 50 of a user, 90 days", _DAYS_90),
        _counted("exact total of a user", _EVER),
        _counted("exact total of a user, 90 days", _DAYS_90),
    )


def compared(folder: Path, repeats: int) -> dict[str, dict[str, Any]]:
    """Medians by the clock, and processor time, of each question and its SQL. Raises if their rows differ."""
    tune_process()
    settings = server.settings_of(folder)
    engine = DuckEngine(
        folder / "events.duckdb",
        memory=settings.duckdb_memory,
        threads=settings.duckdb_threads,
        query_memory=settings.query_memory,
    )

    def service() -> UsageService:
        """One that remembers nothing yet."""
        limits = Limits(settings.read_threads, settings.report_threads, settings.query_timeout_ms / 1000)
        return UsageService(
            DuckUsageStore(engine, limits),
            Cursors(b"bench"),
            SystemClock(),
            rows_max=settings.query_rows_max,
            export_events_max=settings.export_events_max,
        )

    try:
        return {each.name: _compared(each, service, engine, repeats) for each in questions()}
    finally:
        engine.close()


def _compared(
    question: Question, service: Callable[[], UsageService], engine: DuckEngine, repeats: int
) -> dict[str, Any]:
    def by_hand() -> Rows:
        with engine.reading() as reader:
            engine.facts.reach(reader, question.window)
            return reader.execute(question.sql).fetchall()

    rows = question.rows(question.asked(service()))
    if rows != by_hand():
        raise RuntimeError(f"{question.name}: the answers differ")
    timed: tuple[list[_Time], list[_Time]] = ([], [])
    for _ in range(repeats):
        timed[0].append(_timed(lambda: question.asked(service())))
        timed[1].append(_timed(by_hand))
    (ms, cpu_ms), (raw_ms, raw_cpu_ms) = (map(statistics.median, zip(*times, strict=True)) for times in timed)
    return {
        "rows": len(rows),
        "ms": round(ms, 1),
        "raw_ms": round(raw_ms, 1),
        "ratio": round(ms / raw_ms, 2),
        "cpu_ms": round(cpu_ms, 1),
        "cpu_ratio": round(cpu_ms / raw_cpu_ms, 2),
        "bar_ms": question.bar_ms,
        "sql": question.sql,
    }


_Time = tuple[float, float]
"""By the clock and by the processor, milliseconds."""


def _timed(call: Callable[[], object]) -> _Time:
    started, cpu_started = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - started) * 1000, (time.process_time() - cpu_started) * 1000


_IN_FORCE = (
    "FROM facts ANTI JOIN (SELECT uid AS ended, superseded FROM corrections) ON ended = uid AND superseded = revision"
    f" WHERE org_id = '{store.ORG}'"
)
_OF_USER = f"{_IN_FORCE} AND user_id = '{store.BUSIEST_USER}'"
_MEASURES = (
    "sum(coalesce(requests, 1)), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
    " coalesce(sum(cache_read_tokens), 0), coalesce(sum(cache_write_tokens), 0), coalesce(sum(cost), 0),"
    " coalesce(sum(coalesce(requests, 1)) FILTER (cost IS NULL), 0)"
)


def _reported(
    name: str,
    days: int,
    bucket: Bucket,
    width_us: int,
    group_by: tuple[Dimension, ...],
    *,
    of_user: bool = False,
    bar_ms: int,
) -> Question:
    start_us = store.END_US - days * DAY_US
    query = UsageQuery(
        REACH,
        start_us,
        store.END_US,
        bucket,
        group_by=group_by,
        conditions=OF_USER if of_user else (),
        limit=days * DAY_US // width_us,
    )
    keys = ", ".join([f"(occurred_at - {start_us}) // {width_us}", *group_by])
    sql = (
        f"SELECT {keys}, {_MEASURES} {_OF_USER if of_user else _IN_FORCE}"
        f" AND occurred_at >= {start_us} AND occurred_at < {store.END_US} GROUP BY ALL ORDER BY ALL"
    )
    path = (
        f"/v1/usage/query?start={start_us // 10**6}&end={store.END_US // 10**6}&bucket={bucket.value}"
        f"&limit={query.limit}{''.join(f'&group_by={each}' for each in group_by)}"
        f"{f'&user_id={store.BUSIEST_USER}' if of_user else ''}"
    )

    def with_measures(number: int) -> str:
        return f"{path}&measures={','.join(_ORDERS[number % len(_ORDERS)])}"

    window = TimeWindow(start_us, store.END_US)
    return Question(name, lambda service: service.query(query), _rows, sql, window, bar_ms, with_measures)


_ORDERS = list(permutations(DEFAULT_MEASURES))


def _rows(page: UsagePage) -> Rows:
    buckets = (number for number, rows in enumerate(page.rows) for _ in range(rows.stop - rows.start))
    return list(zip(buckets, *page.groups, *page.numbers, strict=True))


def _newest(name: str, window: TimeWindow) -> Question:
    query = EventQuery(REACH, window.start_us, window.end_us, OF_USER, limit=50)
    sql = f"SELECT uid::VARCHAR {_OF_USER} {_within(window)} ORDER BY occurred_at DESC, uid DESC LIMIT 50"

    def path(number: int) -> str:
        return f"/v1/events?user_id={store.BUSIEST_USER}&limit=50{_stated(window, number)}"

    return Question(name, lambda service: service.list_events(query), _uids, sql, window, 60, path)


def _counted(name: str, window: TimeWindow) -> Question:
    query = UsageQuery(REACH, window.start_us, window.end_us, Bucket.ALL, conditions=OF_USER, measures=("events",))
    sql = f"SELECT 0, count(*) {_OF_USER} {_within(window)}"

    def path(number: int) -> str:
        return f"/v1/usage/query?bucket=all&measures=events&user_id={store.BUSIEST_USER}{_stated(window, number)}"

    return Question(name, lambda service: service.query(query), _rows, sql, window, 60, path)


def _within(window: TimeWindow) -> str:
    return "" if window is _EVER else f"AND occurred_at >= {window.start_us} AND occurred_at < {window.end_us}"


def _stated(window: TimeWindow, number: int) -> str:
    """In a form for each number: the start moves by seconds before anything was recorded, or hardly so."""
    return f"&start={window.start_us // 10**6 + number}&end={window.end_us // 10**6}"


def _uids(page: EventPage) -> Rows:
    return [(event.uid,) for event in page.events]
