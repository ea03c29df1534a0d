"""Facts are put in order while they are read and written, and every read counts each of them once."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, groupby
from operator import itemgetter
from pathlib import Path

import duckdb
import pytest

from tallybook.core.errors import Overloaded
from tallybook.storage.duckdb import arrivals, runs, sealing
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.sealing import Sealer
from tallybook.storage.duckdb.start_check import read_through
from tests.admin_rooms import StillClock
from tests.conftest import LONG
from tests.storage.suites.event_store import told
from tests.submissions import Submitter

SWAPS = 50 if LONG else 4
ROWS = 7_000
"""Of a run: more than DuckDB keeps in one group."""
READERS = 3


class Shelf:
    """A store with a sealer of its own."""

    def __init__(self, path: Path, rows: int = ROWS, volume_runs: int = 32) -> None:
        self.clock = StillClock()
        self.submit = Submitter(self.clock)
        self.engine = DuckEngine(path, memory="500MB", threads=2, query_memory="128MB")
        self.store = DuckEventStore(self.engine, self.clock, wal_bytes_max=2**20, disk_reserve_bytes=0)
        self.sealer = Sealer(self.engine, rows=rows, volume_runs=volume_runs)

    def add(self, first: int, count: int) -> None:
        self.store.append([self.submit(told(number)) for number in range(first, first + count)])

    def counted(self) -> tuple[int, ...]:
        """Facts, different ones among them, and keys, in one read."""
        with arrivals.reading(self.engine) as reader:
            row = reader.execute(
                "SELECT (SELECT count(*) FROM facts), (SELECT count(DISTINCT uid) FROM facts),"
                " (SELECT count(DISTINCT key) FROM all_keys)"
            ).fetchone()
        assert row is not None
        return row

    def runs(self) -> list[tuple[int, int, int]]:
        with self.engine.reading() as reader:
            return reader.execute("SELECT number, until, events FROM runs ORDER BY number").fetchall()


@contextmanager
def counted_without_pause(shelf: Shelf) -> Iterator[threading.Thread]:
    """Several readers count, and the thread that is returned seals: no count may be wrong."""
    wrong: list[tuple[int, ...]] = []
    reads = [0] * READERS
    done = threading.Event()

    def count(reader: int) -> None:
        while not done.is_set():
            facts, different, keys = counted = shelf.counted()
            reads[reader] += 1
            if facts != keys or different != keys:
                wrong.append(counted)

    def seal() -> None:
        while not done.is_set():
            shelf.sealer.seal()

    threads = [threading.Thread(target=count, args=(number,)) for number in range(READERS)]
    threads.append(threading.Thread(target=seal))
    for thread in threads:
        thread.start()
    try:
        yield threads[-1]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert min(reads) > 0


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(tmp_path / "events.duckdb")
    yield opened
    opened.store.close()


def test_no_read_is_wrong_while_runs_are_added_and_volumes_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers count without pause; run it again with every new DuckDB, whose large commits are not atomic to them."""
    monkeypatch.setattr(sealing, "_MOVED_PART", 1)  # closed however many facts arrive meanwhile
    shelf = Shelf(tmp_path / "events.duckdb", volume_runs=2)
    added, counts = 0, cycle((700, 700, 6_500))  # fewer than are spread at once, so that some wait; a group of rows
    with counted_without_pause(shelf) as sealer:
        while len(shelf.runs()) < SWAPS and sealer.is_alive():
            more = next(counts)
            shelf.add(added, more)
            added += more
    assert shelf.counted() == (added, added, added)
    assert len(shelf.engine.facts.tables) > 1
    shelf.store.close()


def test_a_run_holds_what_arrived(shelf: Shelf) -> None:
    shelf.add(0, ROWS - 1)
    assert not shelf.sealer.seal()
    shelf.add(ROWS - 1, 1)
    shelf.store.maintain()  # the last one waited
    assert shelf.sealer.seal()
    assert not shelf.sealer.seal()
    assert shelf.runs() == [(1, 2, ROWS)]
    with shelf.engine.reading() as reader:
        assert reader.execute("SELECT DISTINCT run FROM facts").fetchall() == [(1,)]


def test_a_run_holds_what_a_single_event_tells(shelf: Shelf) -> None:
    def facts() -> list[tuple[object, ...]]:
        with shelf.engine.reading() as reader:
            return reader.execute("SELECT * EXCLUDE (run) FROM facts ORDER BY event_id").fetchall()

    rare = told(ROWS, ttft_ms=7, metadata='{"a":1}', team_id="team", image_size="1024x1024", batch=True, cost_pico=3)
    shelf.add(0, ROWS)
    shelf.store.append([shelf.submit(rare)])
    shelf.store.maintain()
    arrived = facts()
    assert shelf.sealer.seal()
    shelf.add(ROWS + 1, ROWS - 1)
    assert shelf.sealer.seal()
    assert set(arrived) <= set(facts())


def test_a_run_is_in_order_by_org_stretch_of_time_and_user(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "STRETCH", 300)
    monkeypatch.setattr(runs, "_PART", ROWS // 3)
    instants = random.Random(1).sample(range(1, 10 * ROWS), ROWS)
    shelf.store.append(
        [
            shelf.submit(told(number, occurred_at_us=at), org_id=f"org-{number % 3}", user_id=f"user-{number % 7}")
            for number, at in enumerate(instants)
        ]
    )
    assert shelf.sealer.seal()
    with shelf.engine.reading() as reader:
        stored = reader.execute("SELECT org_id, user_id, occurred_at FROM facts ORDER BY rowid").fetchall()
    by_time = groupby(sorted(stored, key=itemgetter(0, 2)), key=itemgetter(0))
    ranked = [(org, rank // 300, user, at) for _, facts in by_time for rank, (org, user, at) in enumerate(facts, 1)]
    assert stored == [(org, user, at) for org, _, user, at in sorted(ranked)]


def test_a_run_is_added_once_reads_that_began_before_have_ended(shelf: Shelf) -> None:
    """While DuckDB makes a large commit, its rows can be seen by all."""
    shelf.add(0, ROWS)
    thread = threading.Thread(target=shelf.sealer.seal)
    with shelf.engine.reading() as reader:
        thread.start()
        thread.join(1)
        assert thread.is_alive()
        assert shelf.counted() == (ROWS, ROWS, ROWS)
        assert reader.execute("SELECT count(*) FROM facts").fetchall() == [(ROWS,)]
        assert shelf.runs() == []
    thread.join()
    assert [number for number, *_ in shelf.runs()] == [1]


def test_what_waits_is_not_overtaken(shelf: Shelf) -> None:
    """A correction's fact is appended under a later number than events that still wait."""
    shelf.add(0, ROWS)
    shelf.add(ROWS, 1)
    with shelf.engine.transaction() as writer:
        writer.execute(
            "INSERT INTO facts SELECT * REPLACE (3 AS seq, 2 AS revision) FROM facts ORDER BY event_id LIMIT 1"
        )
    assert shelf.sealer.seal()
    assert shelf.runs() == [(1, 1, ROWS)]
    shelf.store.maintain()
    assert shelf.counted()[0] == ROWS + 2


def test_a_run_whose_old_rows_are_still_there_counts_once(shelf: Shelf, tmp_path: Path) -> None:
    """As after `kill -9` between its two commits."""
    shelf.add(0, ROWS)
    with shelf.engine.transaction() as writer:
        run = runs.next_run(writer, ROWS, ROWS)
        assert run is not None
        runs.add(writer, run)
    shelf.engine.facts.show(runs.shown_while_added(run))
    assert shelf.counted() == (ROWS, ROWS, ROWS)
    shelf.engine.facts.show(runs.shown_while_removed(run))
    assert shelf.counted() == (ROWS, ROWS, ROWS)
    shelf.store.close()

    again = Shelf(tmp_path / "events.duckdb")
    assert again.engine.wal_bytes == 0  # nothing is written to open it
    assert again.counted() == (ROWS, ROWS, ROWS)
    read_through(again.engine, 60)
    assert not again.sealer.seal()
    assert again.engine.facts.are_all
    assert again.counted() == (ROWS, ROWS, ROWS)
    again.add(ROWS, 1)
    assert again.counted() == (ROWS + 1, ROWS + 1, ROWS + 1)
    again.store.close()


def test_an_interrupted_run_leaves_what_arrived(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add(0, ROWS)

    def broken(*_: object) -> None:
        raise Overloaded("the file is being reopened")

    for step in ("add", "remove_replaced"):
        with monkeypatch.context() as patch:
            patch.setattr(runs, step, broken)
            with pytest.raises(Overloaded):
                shelf.sealer.seal()
        assert shelf.counted() == (ROWS, ROWS, ROWS)
    shelf.add(ROWS, ROWS)
    assert shelf.sealer.seal()
    assert shelf.engine.facts.are_all
    assert shelf.counted() == (2 * ROWS, 2 * ROWS, 2 * ROWS)
    assert [events for _, _, events in shelf.runs()] == [ROWS, ROWS]


def test_a_stop_interrupts_a_run(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add(0, ROWS)
    begun = threading.Event()

    def endless(connection: duckdb.DuckDBPyConnection, *_: object) -> None:
        begun.set()
        connection.execute("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b")

    monkeypatch.setattr(runs, "add", endless)

    def seal() -> None:
        with pytest.raises(Overloaded):
            shelf.sealer.seal()

    thread = threading.Thread(target=seal)
    thread.start()
    assert begun.wait(10)
    shelf.sealer.stop()
    thread.join()
    assert not shelf.sealer.seal()
    assert shelf.counted() == (ROWS, ROWS, ROWS)
