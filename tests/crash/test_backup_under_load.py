"""Backups while callers write without a pause: each restores to books that agree, with all acknowledged before it."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import LONG
from tests.crash.test_kill_ingest import Sender, found
from tests.crash.test_kill_settlement import Book, open_book
from tests.crash.test_kill_settlement import Caller as Settler
from tests.forked import ForkedProcess
from tests.serving import ServerProcess

BACKUPS = 20 if LONG else 2
SENDERS = 2
SOURCE = "load"


class Noted(NamedTuple):
    """What had been acknowledged before a backup began."""

    path: Path
    confirmed: dict[str, str]
    native: list[str]
    sent: list[str]


def backed_up(server: ServerProcess, number: int, settlers: list[Settler], senders: list[Sender]) -> Noted:
    noted = Noted(
        server.data_dir / "backups" / str(number),
        {name: usage for settler in settlers for name, usage in settler.confirmed.copy().items()},
        [uid for settler in settlers for uid in list(settler.native)],
        [name for sender in senders for name in list(sender.acknowledged)],
    )
    with server.client() as admin:
        answer = admin.post("/v1/backup", json={"name": str(number)})
        assert answer.status_code == 201, answer.text
        assert answer.json()["path"] == str(noted.path)
    return noted


def check(book: Book, noted: Noted, data_dir: Path) -> None:
    log = data_dir.with_suffix(".restored")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TALLYBOOK_")}
    restoring = ForkedProcess(("restore", str(noted.path), "--data-dir", str(data_dir)), plain, log)
    assert restoring.wait(timeout=60) == 0, log.read_text()
    server = ServerProcess(data_dir).start()
    book.confirmed, book.native = noted.confirmed, noted.native
    book.check(server)
    stored = found(server, SOURCE)
    assert set(noted.sent) <= stored.keys()
    assert set(stored.values()) <= {1}
    server.stop()


def test_each_backup_holds_all_that_was_acknowledged_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = open_book(tmp_path / "data")
    server = ServerProcess(book.data_dir, wal_bytes_max=2**20).start()
    senders = [Sender(server.url, SOURCE, number, number) for number in range(SENDERS)]
    settlers = book.callers(server)
    for sender in senders:
        sender.start()
    taken = []
    for number in range(BACKUPS):
        before = sum(len(settler.native) for settler in settlers)
        while sum(len(settler.native) for settler in settlers) < before + 20:
            time.sleep(0.01)
        taken.append(backed_up(server, number, settlers, senders))
    assert all(thread.is_alive() for thread in (*senders, *settlers))
    server.kill()
    for number, noted in enumerate(taken):
        check(book, noted, tmp_path / f"restored-{number}")
    last = taken[-1]
    with capsys.disabled():
        counts = f"{len(last.confirmed)} confirmed usages, {len(last.native) + len(last.sent)} events"
        print(f"\nbackup: {BACKUPS} under load, each whole; the last with {counts} acknowledged before it")
