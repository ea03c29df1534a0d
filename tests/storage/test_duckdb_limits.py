"""Reads within limits: what needs too much is refused alone, and looking up does not wait for reports."""

from collections.abc import Iterator
from contextlib import ExitStack

import duckdb
import pytest

from tallybook.analytics.errors import QueriesWaiting, QueryOutOfMemory, QueryTimeout
from tallybook.analytics.plan import AggregatePlan, ListPlan, Span
from tallybook.analytics.query import Dimension
from tallybook.core.time_window import TimeWindow
from tallybook.storage.duckdb.column_stream import stream
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.in_force import Sql
from tallybook.storage.duckdb.limits import Limits, Turns, bounded
from tallybook.storage.duckdb.reading import DuckUsageStore

EVENTS = 50_000
EVERYTHING = Span(("org",), TimeWindow(0, EVENTS))
NEWEST = ListPlan(EVERYTHING, None, (), (), (), (), None, limit=1)
MANY = f"""
    INSERT INTO facts (org_id, uid, revision, seq, occurred_at, recorded_at, recorded_by, source, event_id, kind,
        user_id, batch, background, stream, pricing, known_cost)
    SELECT 'org', uuid(), 1, 1, n, n, 'key', '', 'event-' || n, 'completion',
        repeat('user-' || n, 20), false, false, false, 'free', 0
    FROM range({EVENTS}) AS numbers (n)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    path = tmp_path_factory.mktemp("limits") / "events.duckdb"
    opened = DuckEngine(path, memory="200MB", threads=1, query_memory="128MB")
    with opened.transaction() as writer:
        writer.execute(MANY)
    opened.close()
    opened = DuckEngine(path, memory="200MB", threads=1, query_memory="1MB")
    yield opened
    opened.close()


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def events_by(store: DuckUsageStore, *dimensions: Dimension) -> int:
    """Rows of a report."""
    plan = AggregatePlan(EVERYTHING, None, None, dimensions, (), ("events",), rows_max=EVENTS)
    return len(store.aggregate(plan).buckets)


def test_a_read_that_needs_too_much_memory_is_refused_and_harms_nobody_else(engine: DuckEngine) -> None:
    store = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30))
    assert events_by(store, Dimension.USER_ID) == EVENTS, (
        "what does not fit into the memory of a query goes to the disk"
    )
    with engine.transaction() as writer:
        writer.execute("SET memory_limit = '12MB'")
    with pytest.raises(QueryOutOfMemory, match="fewer group_by"):
        events_by(store, Dimension.USER_ID)
    assert events_by(store, Dimension.KIND) == 1
    with engine.transaction() as writer:
        writer.execute("INSERT INTO outcomes VALUES (uuid(), uuid(), '{}', 1)")
        writer.execute("SET memory_limit = '200MB'")
    assert events_by(store, Dimension.KIND) == 1
    assert engine.openings == 1


def test_a_read_that_takes_too_long_is_stopped_and_its_cursor_is_whole_again(engine: DuckEngine) -> None:
    endless = "SELECT count(*) FROM range(10000000000) AS a (n) WHERE n % 3 = 5"
    for _ in range(3):
        with pytest.raises(QueryTimeout), engine.reading() as reader, bounded(reader, 0.05):
            reader.execute(endless)
        with engine.reading() as reader:
            assert reader.execute("SELECT count(*) FROM facts").fetchone() == (EVENTS,)


def test_another_interruption_is_not_called_a_timeout(engine: DuckEngine) -> None:
    with engine.reading() as reader, pytest.raises(duckdb.InterruptException), bounded(reader, 60):
        raise duckdb.InterruptException("the file is being reopened")


def test_an_answer_is_stopped_between_two_of_its_parts_too(engine: DuckEngine) -> None:
    with pytest.raises(QueryTimeout), engine.reading() as reader, bounded(reader, 0.3):
        for _ in stream(reader, Sql("SELECT n FROM range(?) AS a (n)", (10**10,))):
            pass
    with engine.reading() as reader:
        assert len(next(stream(reader, Sql("SELECT n FROM range(?) AS a (n)", (10**8,))))[0]) < 10**8
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (EVENTS,)


def test_looking_up_does_not_wait_for_reports(engine: DuckEngine, held: ExitStack) -> None:
    hasty, patient = (Limits(threads=3, report_threads=2, timeout_seconds=seconds) for seconds in (0.2, 30))
    turns = Turns(hasty)
    with turns.taken(report=True), turns.taken(report=True):
        with pytest.raises(QueriesWaiting), turns.taken(report=True):
            pass
        with turns.taken(report=False), pytest.raises(QueriesWaiting), turns.taken(report=False):
            pass
    with turns.taken(report=True), turns.taken(report=True), turns.taken(report=False):
        pass  # every turn has been given back
    reports, lookups = DuckUsageStore(engine, hasty), DuckUsageStore(engine, patient)
    for store in (reports, lookups):
        held.enter_context(store._turns.taken(report=True))
        held.enter_context(store._turns.taken(report=True))
    with pytest.raises(QueriesWaiting):
        events_by(reports)
    assert len(lookups.list_events(NEWEST).events) == 2


def test_a_report_does_not_wait_for_exports() -> None:
    turns = Turns(Limits(threads=4, report_threads=2, timeout_seconds=0.2))
    with turns.taken(report=True, export=True):
        with pytest.raises(QueriesWaiting), turns.taken(report=True, export=True):
            pass
        with turns.taken(report=True):
            pass
    alone = Turns(Limits(threads=4, report_threads=1, timeout_seconds=0.2))
    for _ in range(2):  # it is given back
        with alone.taken(report=True, export=True):
            pass
