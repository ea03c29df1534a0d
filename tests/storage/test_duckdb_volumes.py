"""Facts in order go into closed volumes, and every question finds them there."""

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tallybook.analytics.plan import STORABLE, AggregatePlan, ListPlan, Span
from tallybook.analytics.query import Condition, Dimension, Reach
from tallybook.analytics.store import UsageStore
from tallybook.core.time_window import HOUR_US, TimeWindow
from tallybook.metering.event import Status
from tallybook.storage.duckdb import arrivals, volumes
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.start_check import read_through
from tests.conftest import LONG
from tests.storage.facts import JAN_1, DuckBook, Fact
from tests.storage.suites.event_store import told
from tests.storage.test_duckdb_sealing import Shelf, counted_without_pause

ROWS = 1_600
CLOSINGS = 20 if LONG else 3


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(tmp_path / "events.duckdb", ROWS, volume_runs=1)
    yield opened
    opened.store.close()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[DuckBook]:
    opened = DuckBook(tmp_path)
    yield opened
    opened.close()


def fill_volume(shelf: Shelf, first: int) -> None:
    """And leaves a fact in `facts` that is in no run."""
    shelf.add(first, ROWS)
    assert shelf.sealer.seal()
    shelf.add(first + ROWS, 1)
    shelf.store.maintain()
    assert shelf.sealer.seal()
    assert not shelf.sealer.seal()


def table_counts(shelf: Shelf) -> list[int]:
    with shelf.engine.reading() as reader:
        return [reader.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in shelf.engine.facts.tables]


def test_what_is_in_no_run_stays(shelf: Shelf) -> None:
    fill_volume(shelf, 0)
    assert table_counts(shelf) == [1, ROWS]
    fill_volume(shelf, ROWS + 1)
    assert table_counts(shelf) == [1, ROWS, ROWS + 1]
    assert shelf.counted() == (2 * ROWS + 2,) * 3
    assert shelf.runs() == [(1, 1, ROWS), (2, 3, ROWS + 1)]


def test_the_last_runs_of_a_volume_are_small(shelf: Shelf) -> None:
    shelf.add(0, ROWS)
    assert shelf.sealer.seal()
    shelf.add(ROWS, ROWS // 2)  # as many as arrive while one is added
    shelf.store.maintain()
    assert shelf.sealer.seal()
    assert [events for _, _, events in shelf.runs()] == [ROWS, ROWS // 2]
    shelf.add(ROWS + ROWS // 2, ROWS // 16 - 1)
    shelf.store.maintain()
    assert shelf.sealer.seal()
    assert table_counts(shelf) == [ROWS // 16 - 1, ROWS + ROWS // 2]


def test_last_runs_that_do_not_become_smaller_are_not_added(shelf: Shelf) -> None:
    """Where facts come nearly as fast as they are put in order small runs without end would make it worse."""
    shelf.add(0, ROWS)
    assert shelf.sealer.seal()
    shelf.add(ROWS, ROWS // 2 + 1)
    shelf.store.maintain()
    assert not shelf.sealer.seal()
    shelf.add(2 * ROWS, ROWS // 2)
    shelf.store.maintain()
    assert shelf.sealer.seal()
    assert [events for _, _, events in shelf.runs()] == [ROWS, ROWS + 1]
    assert shelf.sealer.seal()
    assert table_counts(shelf) == [0, 2 * ROWS + 1]


def test_a_read_that_began_before_sees_the_facts_where_they_were(shelf: Shelf) -> None:
    shelf.add(0, ROWS)
    assert shelf.sealer.seal()
    shelf.add(ROWS, 1)
    shelf.store.maintain()
    with shelf.engine.reading() as early, arrivals.reading(shelf.engine) as reader:
        assert shelf.sealer.seal()
        for each in (early, reader):
            assert each.execute("SELECT count(*), count(DISTINCT uid) FROM facts").fetchall() == [(ROWS + 1,) * 2]
        shelf.engine.facts.reach(early, STORABLE)
        assert early.execute("SELECT count(*) FROM facts").fetchall() == [(ROWS + 1,)]
        assert shelf.counted() == (ROWS + 1,) * 3
    assert table_counts(shelf) == [1, ROWS]


def test_a_read_is_shown_the_volumes_of_its_window(shelf: Shelf) -> None:
    fill_volume(shelf, 0)
    with shelf.engine.reading() as reader:
        volume = volumes.closed(reader)[0]

        def seen(window: TimeWindow) -> int:
            shelf.engine.facts.reach(reader, window)
            return int(reader.execute("SELECT count(*) FROM facts").fetchall()[0][0])

        assert seen(TimeWindow(volume.last_us + 1, STORABLE.end_us)) == 1
        assert seen(TimeWindow(0, volume.first_us)) == 1
        assert shelf.engine.facts.end_of_volumes(reader, STORABLE) == volume.last_us + 1
        assert seen(TimeWindow(volume.last_us, volume.last_us + 1)) == ROWS + 1
        assert shelf.engine.facts.end_of_volumes(reader, STORABLE) == 0
        assert seen(TimeWindow(0, volume.first_us)) == ROWS + 1  # what was shown stays
    with shelf.engine.reading() as reader:
        assert seen(TimeWindow(volume.first_us, volume.first_us + 1)) == ROWS + 1


def test_an_event_in_a_volume_is_not_taken_again(shelf: Shelf) -> None:
    fill_volume(shelf, 0)
    outcomes = shelf.store.append([shelf.submit(told(number)) for number in (0, 7, ROWS, ROWS + 1)])
    assert [each.status for each in outcomes] == [*[Status.DUPLICATE] * 3, Status.INSERTED]
    assert outcomes[0].stored is not None
    assert outcomes[0].stored.user_id == shelf.submit(told(0)).user_id


def test_it_is_all_there_when_the_file_is_opened_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.store.append([shelf.submit(told(3 * ROWS, team_id="rare"))])
    shelf.store.maintain()
    fill_volume(shelf, 0)
    shelf.store.close()
    again = Shelf(tmp_path / "events.duckdb", ROWS, volume_runs=1)
    assert again.counted() == (ROWS + 2,) * 3
    assert again.engine.used_columns.of(["team_id", "image_size"]) == ["team_id"]
    fill_volume(again, ROWS + 1)
    assert again.counted() == (2 * ROWS + 3,) * 3
    assert len(again.engine.facts.tables) == 3
    again.store.close()


def test_no_read_is_wrong_while_volumes_are_closed(shelf: Shelf) -> None:
    added = 0
    with counted_without_pause(shelf) as sealer:
        for volumes_before in range(CLOSINGS):
            shelf.add(added, ROWS + 7)
            added += ROWS + 7
            while len(shelf.engine.facts.tables) == volumes_before + 1 and sealer.is_alive():
                time.sleep(0.01)
    assert shelf.counted() == (added, added, added)


def test_the_check_at_a_start_reads_volumes(shelf: Shelf) -> None:
    fill_volume(shelf, 0)
    read_through(shelf.engine, 60)
    with shelf.engine.transaction() as writer:
        writer.execute("DROP TABLE facts_1")
    with pytest.raises(duckdb.CatalogException, match="facts_1"):
        read_through(shelf.engine, 60)


def test_a_failed_close_changes_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add(0, ROWS)
    assert shelf.sealer.seal()

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(volumes, "closed", broken)  # the last step
        with pytest.raises(RuntimeError, match="broken"):
            shelf.sealer.seal()
    assert shelf.engine.facts.tables == [shelf.engine.facts.table]
    assert shelf.counted() == (ROWS,) * 3
    shelf.add(ROWS, ROWS)
    assert shelf.sealer.seal()
    assert shelf.sealer.seal()
    assert shelf.counted() == (2 * ROWS,) * 3


def test_as_of_a_commit_in_a_volume(book: DuckBook) -> None:
    """Which commit that was is told by facts that the window alone would not show."""
    book.record(*(Fact(n, occurred_at=JAN_1 + n * HOUR_US) for n in range(20)))
    first = book.recorded_at
    book.record(*(Fact(n, occurred_at=JAN_1 + n * HOUR_US) for n in range(20, 30)))
    book.record(*(Fact(n, occurred_at=JAN_1 + n * HOUR_US) for n in range(30, 40)))
    assert book.volumes
    span = Span(("org",), STORABLE)
    for as_of_us, events in ((first, 20), (first - 1, 0), (book.recorded_at, 40)):
        plan = AggregatePlan(span, as_of_us, None, (), (), ("events",), 10)
        (numbers,) = book.store.aggregate(plan).numbers
        assert list(numbers) == ([events] if events else [])
        listed = book.store.list_events(ListPlan(span, as_of_us, (), (), (), (), None, limit=50))
        assert len(listed.events) == events


def test_an_event_in_a_volume_is_found_by_its_ids(book: DuckBook) -> None:
    book.record(
        *(Fact(n, occurred_at=JAN_1 + n * HOUR_US, source="gw", set={"request_id": f"req-{n}"}) for n in range(20))
    )
    assert book.volumes
    span = Span(("org",), STORABLE)
    named = ListPlan(span, None, (), ("event-3", "event-17"), ("gw",), (), None, limit=10)
    assert [event.event_id for event in book.store.list_events(named).events] == ["event-17", "event-3"]
    asked = ListPlan(span, None, (), (), (), ("req-4",), None, limit=10)
    assert [event.event_id for event in book.store.list_events(asked).events] == ["event-4"]
    found = book.store.find_event(Reach("key", ("org",)), str(Fact(5).uid), None)
    assert found is not None
    assert found.event_id == "event-5"


def test_a_page_that_newer_facts_fill_is_not_looked_for_in_volumes(book: DuckBook) -> None:
    def page(store: UsageStore, user: str) -> list[str]:
        plan = ListPlan(
            Span(("org",), STORABLE), None, (Condition((Dimension.USER_ID,), (user,)),), (), (), (), None, limit=3
        )
        return [event.event_id for event in store.list_events(plan).events]

    book.record(*(Fact(n, occurred_at=JAN_1 + n * HOUR_US, set={"user_id": "early"}) for n in range(40)))
    book.record(Fact(40, occurred_at=JAN_1 + 40 * HOUR_US, set={"user_id": "early"}))
    assert book.volumes == 1
    book.record(*(Fact(n, occurred_at=JAN_1 + n * HOUR_US, set={"user_id": "late"}) for n in range(41, 47)))
    late = Fact(50, occurred_at=JAN_1 + HOUR_US // 2, set={"user_id": "late"})  # of long ago, recorded last
    book.record(late)
    before = page(book.store, "early")
    assert before == [f"event-{n}" for n in (40, 39, 38, 37)]
    assert page(book.store, "late") == [f"event-{n}" for n in (46, 45, 44, 43)]
    with book.engine.transaction() as writer:
        for table in book.engine.facts.tables[1:]:
            writer.execute(f"DELETE FROM {table}")
    forgetful = DuckUsageStore(book.engine, Limits(1, 1, timeout_seconds=30))
    assert page(forgetful, "late") == [f"event-{n}" for n in (46, 45, 44, 43)]
    assert page(forgetful, "early") == ["event-40"]
