"""The SQLite engine in the suites of keys, orgs and writes, and what is special to it."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallybook.core.time_window import DAY_US
from tallybook.core.unit_of_work import JournalEntry, Repeat
from tallybook.jobs.purge_outcomes import purge_outcomes
from tallybook.storage.migrations import NewerDatabase
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.journal import SqliteJournal
from tallybook.storage.sqlite.keys import SqliteKeyStore
from tallybook.storage.sqlite.orgs import SqliteOrgStore
from tests.admin_rooms import StillClock
from tests.storage.suites.key_store import KeyStoreSuite
from tests.storage.suites.org_store import OrgStoreSuite
from tests.storage.suites.stores import Stores
from tests.storage.suites.writes import WritesSuite


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def engine(tmp_path: Path, clock: StillClock) -> Iterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path / "ledger.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def stores(engine: SqliteEngine) -> Stores:
    return Stores(engine, SqliteKeyStore(engine), SqliteOrgStore(engine))


class TestSqliteKeyStore(KeyStoreSuite):
    pass


class TestSqliteOrgStore(OrgStoreSuite):
    pass


class TestSqliteWrites(WritesSuite):
    pass


def repeat(number: int) -> Repeat:
    return Repeat("acme", "ana", "POST", "/v1/keys", f"key {number}", b"hash")


def test_outcomes_are_forgotten_after_their_retention(engine: SqliteEngine, stores: Stores, clock: StillClock) -> None:
    start = clock.now
    for day in range(5):
        clock.now = start + day * DAY_US
        stores.commit(lambda _: {"v": 1}, repeat(day))
    clock.now = start + 33 * DAY_US
    assert asyncio.run(purge_outcomes(engine, clock, retention_days=30)) == 3
    assert asyncio.run(purge_outcomes(engine, clock, retention_days=30)) == 0
    kept = engine.read().execute("SELECT request FROM outcomes ORDER BY seq").fetchall()
    assert kept == [(repeat(3).request,), (repeat(4).request,)]


def test_a_purge_goes_in_steps_of_about_the_asked_size(engine: SqliteEngine, stores: Stores, clock: StillClock) -> None:
    for number in range(5):
        clock.now += 1
        stores.commit(lambda _: {"v": 1}, repeat(number))
    later = clock.now + 1
    assert [asyncio.run(engine.purge_outcomes(later, 2)) for _ in range(4)] == [2, 2, 1, 0]


def test_outcomes_of_a_clock_that_was_ahead_hold_up_no_others(
    engine: SqliteEngine, stores: Stores, clock: StillClock
) -> None:
    start = clock.now
    for number, day in enumerate([365, 0, 365, 1, 2, 40]):
        clock.now = start + day * DAY_US
        stores.commit(lambda _: {"v": 1}, repeat(number))
    clock.now = start + 60 * DAY_US
    assert asyncio.run(purge_outcomes(engine, clock, retention_days=30)) == 3
    kept = engine.read().execute("SELECT request FROM outcomes ORDER BY seq").fetchall()
    assert kept == [(repeat(number).request,) for number in (0, 2, 5)]


def test_a_purged_outcome_is_gone_from_the_files(
    engine: SqliteEngine, stores: Stores, clock: StillClock, tmp_path: Path
) -> None:
    stores.commit(lambda _: {"salt": "5a17c0ffee"}, repeat(1))
    clock.now += 31 * DAY_US
    asyncio.run(purge_outcomes(engine, clock, retention_days=30))
    engine.close()
    assert b"5a17c0ffee" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_the_journal_keeps_what_changed(engine: SqliteEngine, stores: Stores) -> None:
    entry = JournalEntry("acme", "key_1", "org.settings_changed", "acme", {"a": None}, {"a": "12.5"})

    def effect(transaction: object) -> dict[str, str]:
        SqliteJournal().append(transaction, entry, 7)
        return {}

    stores.commit(effect)
    (row,) = engine.read().execute("SELECT at, org_id, actor, action, subject, before, after FROM journal")
    assert row[:5] == (7, "acme", "key_1", "org.settings_changed", "acme")
    assert [json.loads(text) for text in row[5:]] == [{"a": None}, {"a": "12.5"}]


@pytest.mark.parametrize("folder", ["with blank", "per%20cent", "question?", "hash#", "ünïcode"])
def test_the_folder_may_have_any_name(tmp_path: Path, folder: str, clock: StillClock) -> None:
    (tmp_path / folder).mkdir()
    engine = SqliteEngine(tmp_path / folder / "ledger.sqlite", clock)
    assert SqliteOrgStore(engine).list_orgs(after="", limit=1) == []
    engine.close()


def test_readers_cannot_write(engine: SqliteEngine) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        engine.read().execute("DELETE FROM orgs")


def test_what_was_committed_is_there_after_opening_again(engine: SqliteEngine, tmp_path: Path) -> None:
    asyncio.run(engine.write(lambda writer: writer.execute("INSERT INTO orgs VALUES ('acme', 'Acme', 1)")))
    engine.close()
    again = SqliteEngine(tmp_path / "ledger.sqlite", StillClock())
    assert SqliteOrgStore(again).find("acme") is not None
    again.close()


def test_a_file_of_a_newer_release_is_left_alone(tmp_path: Path, clock: StillClock) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as newer:
        newer.execute("PRAGMA user_version=999")
    with pytest.raises(NewerDatabase):
        SqliteEngine(tmp_path / "ledger.sqlite", clock)


def test_a_statement_that_fails_is_the_failure_of_its_job_alone(engine: SqliteEngine) -> None:
    def adding(org_id: str) -> Callable[[sqlite3.Connection], object]:
        return lambda writer: writer.execute("INSERT INTO orgs VALUES (?, ?, 1)", (org_id, org_id))

    def overflowing(writer: sqlite3.Connection) -> None:
        adding("half")(writer)
        writer.execute("SELECT sum(value) FROM json_each('[9223372036854775807, 1]')").fetchone()

    async def all_at_once() -> list[bool]:
        jobs = (adding("one"), overflowing, adding("two"))
        answers = await asyncio.gather(*map(engine.write, jobs), return_exceptions=True)
        return [isinstance(answer, sqlite3.OperationalError) for answer in answers]

    assert asyncio.run(all_at_once()) == [False, True, False]
    assert [org.id for org in SqliteOrgStore(engine).list_orgs(after="", limit=9)] == ["one", "two"]


def test_no_cursor_of_the_writer_leaves_its_thread(engine: SqliteEngine) -> None:
    assert engine.write_from_thread(lambda writer: writer.execute("SELECT 1")) is None


def test_the_check_of_a_file_ends_with_its_time(engine: SqliteEngine) -> None:
    engine.check(60)
    engine.check(0)
    assert SqliteOrgStore(engine).find("nobody") is None
