"""A backup of the event store is of one instant, though its file is copied while it is written to."""

import subprocess
import sys
from pathlib import Path

import pytest

from tallybook.core.errors import Overloaded
from tallybook.storage.duckdb.backup import DuckBackup
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.start_check import read_through
from tests.admin_rooms import StillClock
from tests.storage.suites.event_store import told
from tests.storage.test_duckdb_events import opened, stored
from tests.submissions import Submitter

TRY = (
    "import sys\nfrom pathlib import Path\nfrom tallybook.storage.duckdb.held import is_held\n"
    "print(is_held(Path(sys.argv[1])))"
)


class Writer:
    def __init__(self, path: Path) -> None:
        clock = StillClock()
        self.engine = opened(path)
        self.store = DuckEventStore(self.engine, clock, wal_bytes_max=1, disk_reserve_bytes=0)
        self._submit = Submitter(clock)
        self._count = 0

    def add(self, events: int) -> None:
        self.store.append([self._submit(told(self._count + number)) for number in range(events)])
        self._count += events


def copied(path: Path) -> DuckEngine:
    engine = opened(path)
    read_through(engine, 60)
    return engine


def test_what_is_committed_after_the_instant_is_not_in_it(tmp_path: Path) -> None:
    writer, folder = Writer(tmp_path / "events.duckdb"), tmp_path / "backup"
    folder.mkdir()
    writer.add(2_000)
    writer.store.maintain()
    writer.add(3)  # in the log alone
    with DuckBackup(writer.engine).prepared() as fix:
        with writer.engine.still():
            copy = fix()
        writer.add(5_000)
        writer.engine.checkpoint()
        assert writer.engine.wal_bytes > 0  # held back
        assert copy(folder) == {"events": 2_003}
        writer.add(1)
    writer.engine.checkpoint()
    assert writer.engine.wal_bytes == 0
    backup = copied(folder / "events.duckdb")
    assert stored(backup, "keys") == 2_003
    backup.close()
    assert stored(writer.engine, "keys") == 7_004
    writer.store.close()


def test_the_store_is_still_held_after_a_backup(tmp_path: Path) -> None:
    """A process loses its POSIX locks on a file when it closes the file, however it had opened it."""
    writer, folder = Writer(tmp_path / "events.duckdb"), tmp_path / "backup"
    folder.mkdir()
    writer.add(1)
    with DuckBackup(writer.engine).prepared() as fix:
        fix()(folder)
    asked = subprocess.run([sys.executable, "-c", TRY, str(tmp_path)], capture_output=True, text=True, check=True)
    assert asked.stdout == "True\n"
    writer.store.close()


def test_a_store_that_is_closed_meanwhile_spoils_the_backup(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "events.duckdb")
    writer.add(1)
    with pytest.raises(Overloaded), DuckBackup(writer.engine).prepared():
        writer.store.close()
