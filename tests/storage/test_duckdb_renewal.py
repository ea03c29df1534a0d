"""The file is opened anew while it is read and written, and nobody notices."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.metering.event import Status
from tallybook.storage.duckdb import arrivals, engine, events
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.sealing import Sealer
from tests.admin_rooms import StillClock
from tests.storage.suites.event_store import told
from tests.submissions import Submitter

BATCH = 500
CLOCK = StillClock()


class Shelf:
    def __init__(self, path: Path) -> None:
        self.submit = Submitter(CLOCK)
        self.engine = DuckEngine(path, memory="500MB", threads=2, query_memory="128MB")
        self.store = DuckEventStore(self.engine, CLOCK, wal_bytes_max=2**30, disk_reserve_bytes=0)

    def add(self, first: int) -> list[Status]:
        submitted = [self.submit(told(number)) for number in range(first, first + BATCH)]
        return [outcome.status for outcome in self.store.append(submitted)]

    def counted(self) -> int:
        with arrivals.reading(self.engine) as reader:
            ((facts,),) = reader.execute("SELECT count(*) FROM facts").fetchall()
        return int(facts)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(tmp_path / "events.duckdb")
    yield opened
    opened.store.close()


def test_a_store_is_renewed_after_so_many_events(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LOGGED_MAX", BATCH)
    monkeypatch.setattr(events, "_RENEWED_FROM", 5 * BATCH)
    renewals = renewals_of(shelf.engine, monkeypatch)
    for batch in range(20):
        assert shelf.add(batch * BATCH) == [Status.INSERTED] * BATCH
    assert len(renewals) == 2
    assert shelf.engine.openings == 1  # nothing need be read again
    assert shelf.counted() == 20 * BATCH
    assert shelf.add(7 * BATCH) == [Status.DUPLICATE] * BATCH


def test_reads_and_runs_go_on_while_the_file_is_opened_anew(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LOGGED_MAX", BATCH)
    monkeypatch.setattr(events, "_RENEWED_FROM", BATCH)
    renewals = renewals_of(shelf.engine, monkeypatch)
    done = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        before = 0
        while not done.is_set():
            try:
                if (counted := shelf.counted()) % BATCH or counted < before:
                    wrong.append(counted)
                before = counted
            except Exception as error:
                wrong.append(error)
            time.sleep(0.001)

    def seal() -> None:
        sealer = Sealer(shelf.engine, rows=3 * BATCH)
        try:
            while not done.wait(0.3):
                sealer.seal()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=target) for target in (read, read, read, seal)]
    for thread in threads:
        thread.start()
    added = 0
    while len(renewals) < 3 and added < 400_000:
        shelf.add(added)
        added += BATCH
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(renewals) == 3
    assert shelf.counted() == added


def test_who_is_reading_is_not_disturbed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_RENEWAL_SECONDS", 0.01)
    shelf.add(0)
    shelf.engine.checkpoint()
    with shelf.engine.reading() as reader:
        assert not shelf.engine.renew()
        assert reader.execute("SELECT count(*) > 0 FROM keys").fetchall() == [(True,)]
    with shelf.engine.beside():
        assert not shelf.engine.renew()
    assert shelf.engine.renew()
    assert shelf.counted() == BATCH


def renewals_of(renewed: DuckEngine, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows by one with each that was made."""
    made: list[bool] = []
    renew = renewed.renew

    def noted() -> bool:
        if is_made := renew():
            made.append(True)
        return is_made

    monkeypatch.setattr(renewed, "renew", noted)
    return made
