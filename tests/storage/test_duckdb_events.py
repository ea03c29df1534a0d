"""The DuckDB engine in the suite of event stores, and what is special to it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tallybook.analytics.plan import STORABLE, ListPlan, Span
from tallybook.core.errors import StorageDamaged, StorageFull
from tallybook.metering.event import Status
from tallybook.metering.store import EventStore
from tallybook.storage.duckdb import arrivals, runs
from tallybook.storage.duckdb import engine as engine_module
from tallybook.storage.duckdb import events as events_module
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.start_check import read_through
from tallybook.storage.migrations import HeldDatabase, NewerDatabase
from tests.admin_rooms import StillClock
from tests.conftest import LONG
from tests.storage.suites.event_store import EventStoreSuite, told
from tests.submissions import Submitter

EVERYTHING = ListPlan(Span(None, STORABLE), None, (), (), (), (), None, 100)


def stored(engine: DuckEngine, table: str) -> int:
    with engine.reading() as reader:
        row = reader.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def opened(path: Path) -> DuckEngine:
    return DuckEngine(path, memory="500MB", threads=2, query_memory="128MB")


class TestDuckEventStore(EventStoreSuite):
    @pytest.fixture
    def engines(self) -> list[DuckEngine]:
        return []

    @pytest.fixture
    def open_store(self, tmp_path: Path, clock: StillClock, engines: list[DuckEngine]) -> Callable[[], EventStore]:
        def open_one() -> EventStore:
            engines.append(opened(tmp_path / "events.duckdb"))
            return DuckEventStore(engines[-1], clock, wal_bytes_max=1, disk_reserve_bytes=0)

        return open_one

    @pytest.fixture
    def read(self, engines: list[DuckEngine]) -> Callable[[], list[Mapping[str, Any]]]:
        def facts() -> list[Mapping[str, Any]]:
            with arrivals.reading(engines[-1]) as reader:
                cursor = reader.execute("SELECT * FROM facts ORDER BY seq, uid")
                names = [column[0] for column in cursor.description]
                rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            return [{**row, "uid": row["uid"].bytes} for row in rows]

        return facts


@pytest.mark.parametrize("sizes", [(50,), (50, 400, 6_500, 50, 9_000)], ids=["few", "few and whole groups of rows"])
def test_readers_never_see_a_half_commit(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**17, disk_reserve_bytes=0)
    submit = Submitter(clock)
    wrong: list[tuple[int, int]] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            with arrivals.reading(engine) as reader:
                row = reader.execute("SELECT (SELECT count(*) FROM facts), (SELECT count(*) FROM keys)").fetchone()
            assert row is not None
            if row[0] % 50 or row[0] != row[1]:
                wrong.append((row[0], row[1]))

    readers = [threading.Thread(target=count) for _ in range(3)]
    for reader in readers:
        reader.start()
    appended = 0
    for flush, size in zip(range(60 if LONG or sizes == (50,) else 10), cycle(sizes), strict=False):
        store.append([submit(told(appended + number)) for number in range(size)])
        appended += size
        if flush % 10 == 0:
            store.maintain()
    done.set()
    for reader in readers:
        reader.join()
    store.close()
    assert wrong == []


def test_a_whole_group_of_rows_does_not_go_through_the_log(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    submit = Submitter(clock)
    store.append([submit(told(number)) for number in range(7_000)])
    assert engine.wal_bytes < 7_000 * 50  # eight bytes for each column of each fact otherwise
    assert stored(engine, "facts") == 7_000
    store.close()


def test_few_events_wait_for_more_and_every_reader_sees_them(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    submit = Submitter(clock)
    usage = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30))
    store.append([submit(told(1)), submit(told(2))])
    store.append([submit(told(3))])
    assert (stored(engine, "facts"), stored(engine, "arrivals")) == (0, 2)
    assert [usage.last_commit(orgs) for orgs in (None, ("org",), ("other",))] == [2, 2, 0]
    seen = usage.list_events(EVERYTHING).events
    assert [(event.event_id, event.seq) for event in seen] == [("event-3", 2), ("event-2", 1), ("event-1", 1)]
    store.maintain()
    assert (stored(engine, "facts"), stored(engine, "arrivals")) == (3, 0)
    assert usage.list_events(EVERYTHING).events == seen
    store.close()


def test_what_changed_before_the_file_was_opened_counts_for_every_org(tmp_path: Path) -> None:
    clock = StillClock()
    store = DuckEventStore(opened(tmp_path / "events.duckdb"), clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    store.append([Submitter(clock)(told(1))])
    store.close()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    usage = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30))
    assert [usage.last_commit(orgs) for orgs in (None, ("org",), ("other",), ())] == [1, 1, 1, 1]
    store.append([Submitter(clock)(told(2))])
    assert [usage.last_commit(orgs) for orgs in (None, ("org",), ("other",), ("other", "org"))] == [2, 2, 1, 2]
    store.close()


def test_what_waits_is_spread_with_whoever_makes_it_many(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    submit = Submitter(clock)
    for first in (0, 600, 1_200, 1_800):
        store.append([submit(told(first + number)) for number in range(600)])
    assert (stored(engine, "facts"), stored(engine, "arrivals")) == (2_400, 0)
    store.append([submit(told(2_400 + number)) for number in range(1_000)])
    assert (stored(engine, "facts"), stored(engine, "arrivals")) == (3_400, 0)
    with engine.reading() as reader:
        by_commit = reader.execute("SELECT seq, count(*), min(input_tokens) FROM facts GROUP BY seq ORDER BY seq")
        spread = [(1, 600, 0), (2, 600, 600), (3, 600, 1_200), (4, 600, 1_800), (5, 1_000, 2_400)]
        assert by_commit.fetchall() == spread
    store.close()


def test_what_waits_is_what_each_reader_began_with(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    submit = Submitter(clock)

    def waiting(reader: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
        columns = engine.waiting.of(reader)
        names = ("event_id", "seq", "user_id", "finish_reason")
        none = [None] * len(columns["uid"])
        return list(zip(*(columns.get(name, none) for name in names), strict=True))

    first, second, third = ("event-1", 1, None, None), ("event-2", 2, "ana", None), ("event-3", 3, None, "stop")
    store.append([submit(told(1))])
    with engine.reading() as one:
        assert waiting(one) == [first]
        store.append([submit(told(2, user_id="ana"))])
        with engine.reading() as two:
            assert waiting(two) == [first, second]
            assert waiting(one) == [first]
            store.maintain()
            store.append([submit(told(3, finish_reason="stop"))])
            with engine.reading() as three:
                assert waiting(three) == [third]
                assert waiting(two) == [first, second]
    store.close()


def test_what_waits_outlives_its_process(tmp_path: Path) -> None:
    clock = StillClock()
    submit = Submitter(clock)
    first = submit(told(1, user_id="ana"))
    engine = opened(tmp_path / "events.duckdb")
    DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0).append([first])
    engine.close()

    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    again, new = store.append([submit(told(1, user_id="ana")), submit(told(2))])
    assert (again.status, new.status) == (Status.DUPLICATE, Status.INSERTED)
    assert again.stored is not None
    assert (again.stored.uid, again.stored.user_id) == (first.uid, "ana")
    found = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30)).list_events(EVERYTHING).events
    assert [(event.event_id, event.seq) for event in found] == [("event-2", 2), ("event-1", 1)]
    store.close()


def test_the_log_is_folded_in_while_a_reader_reads_what_waits(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=1, disk_reserve_bytes=0)
    store.append([Submitter(clock)(told(1))])
    with arrivals.reading(engine) as reader:
        store.maintain()
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (1,)
    assert engine.wal_bytes == 0
    assert stored(engine, "facts") == 1
    store.close()


def test_a_second_opener_is_refused_with_a_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "events.duckdb"
    holder = (
        "import sys, time\nfrom pathlib import Path\n"
        "from tallybook.storage.duckdb.engine import DuckEngine\n"
        "engine = DuckEngine(Path(sys.argv[1]), memory='100MB', threads=1, query_memory='128MB')\n"
        "print('held', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(HeldDatabase, match=r"another process holds .*events\.duckdb"):
            opened(path)
        process.kill()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.duckdb"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StorageDamaged, match=r"events\.duckdb"):
        opened(path)


def test_what_fails_to_open_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next attempt would be given the same instance, however dead, while anybody keeps the exception."""
    path = tmp_path / "events.duckdb"
    opened(path).close()

    def full(*_: object) -> None:
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(runs, "shown_now", full)
    with pytest.raises(StorageFull) as kept:
        opened(path)
    with duckdb.connect(str(path), read_only=True):  # refused where an instance that writes is left
        assert kept.value.__cause__ is not None


def test_a_file_that_is_gone_is_not_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a volume is no longer mounted: what was acknowledged is elsewhere, and more must not be taken here."""
    path = tmp_path / "events.duckdb"
    engine = opened(path)
    path.rename(tmp_path / "elsewhere")
    monkeypatch.setattr(engine_module, "_is_alive", lambda _: False)
    with pytest.raises(StorageDamaged):
        engine.revive()
    assert not path.exists()
    engine.close()


def test_a_check_takes_one_core_and_gives_the_others_back(tmp_path: Path) -> None:
    engine = opened(tmp_path / "events.duckdb")
    before = threads_of(engine)
    with engine.one_thread_each():
        assert threads_of(engine) == 1
    read_through(engine, 60)
    assert threads_of(engine) == before > 1
    engine.close()


def threads_of(engine: DuckEngine) -> int:
    with engine.reading() as reader:
        ((threads,),) = reader.execute("SELECT current_setting('threads')").fetchall()
    return int(threads)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.duckdb"
    opened(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(NewerDatabase, match="99"):
        opened(path)


def test_too_little_free_disk_is_refused_and_recovers(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    full = DuckEventStore(engine, clock, wal_bytes_max=1, disk_reserve_bytes=2**62)
    submit = Submitter(clock)
    with pytest.raises(StorageFull):
        full.append([submit(told(1))])
    roomy = DuckEventStore(engine, clock, wal_bytes_max=1, disk_reserve_bytes=0)
    assert roomy.append([submit(told(1))])[0].status is Status.INSERTED
    roomy.close()


def test_the_log_is_folded_in_when_quiet(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=1000, disk_reserve_bytes=0)
    submit = Submitter(clock)
    store.append([submit(told(number)) for number in range(100)])
    assert engine.wal_bytes > 1000
    store.maintain()
    assert engine.wal_bytes == 0
    store.close()


def test_the_log_is_folded_in_when_it_tells_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes of it may stand for many keys, which the next start reads in again."""
    monkeypatch.setattr(events_module, "_LOGGED_MAX", 15_000)
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=2**40, disk_reserve_bytes=0)
    submit = Submitter(clock)
    logged = []
    for commit in range(5):
        store.append([submit(told(commit * 7_000 + number)) for number in range(7_000)])
        logged.append(engine.wal_bytes)
    assert logged[0] < logged[1] < logged[2] > logged[3] < logged[4]
    store.close()


def test_the_log_is_folded_in_when_no_moment_is_quiet(tmp_path: Path) -> None:
    clock = StillClock()
    engine = opened(tmp_path / "events.duckdb")
    store = DuckEventStore(engine, clock, wal_bytes_max=500_000, disk_reserve_bytes=0)
    submit = Submitter(clock)
    sizes = []
    for flush in range(5):
        store.append([submit(told(flush * 1_000 + number)) for number in range(1_000)])
        sizes.append(engine.wal_bytes)
    assert max(sizes) < 2 * 500_000 + 2 * sizes[0]
    store.close()
