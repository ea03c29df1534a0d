"""The SQLite engine in the suite of ledgers, and what is special to it: damage, failpoints, plans of its queries."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.core.clock import SystemClock
from tallybook.core.failpoints import AtFailpoint, Failpoint, kill_at
from tallybook.core.unit_of_work import Writes
from tallybook.ledger.model import Address, Status
from tallybook.ledger.store import LedgerStore
from tallybook.storage.sqlite import ledger_rows
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.ledger import SqliteLedgerStore
from tests.conftest import LONG
from tests.storage.suites.ledger_store import LedgerStoreSuite
from tests.unit.ledger.rooms import CREDIT, ORG, TERMS, OpenLedger, repeat


class TestSqliteLedgerStore(LedgerStoreSuite):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[SqliteEngine]:
        opened = SqliteEngine(tmp_path / "ledger.sqlite", SystemClock())
        yield opened
        opened.close()

    @pytest.fixture
    def writes(self, engine: SqliteEngine) -> Writes:
        return engine

    @pytest.fixture
    def store(self, engine: SqliteEngine) -> LedgerStore:
        return SqliteLedgerStore(engine)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[OpenLedger]:
    opened = OpenLedger(tmp_path)
    yield opened
    opened.runner.close()
    opened.close()


def fill(room: OpenLedger) -> None:
    """Two accounts in which everything happened that can happen."""
    for external_id in ("ana", "bob"):
        account = room.account(external_id, credits=100)
        room.post(account, -5)
        holds = [room.reserve(account, 2, seconds) for seconds in (300, 300, 5, 5, 5, 300)]
        room.run(room.ledger.extend(ORG, holds[0].id, 86_400))
        room.run(room.ledger.confirm(ORG, holds[0].id, CREDIT, TERMS))
        room.run(room.ledger.cancel(ORG, holds[1].id))
        room.wait(5)
        room.run(room.ledger.expire_due(10))
        room.run(room.ledger.confirm(ORG, holds[2].id, CREDIT, TERMS))
        room.run(room.ledger.cancel(ORG, holds[3].id))
        room.run(room.ledger.extend(ORG, holds[5].id, 60))
        room.run(room.ledger.extend(ORG, holds[5].id, 600))


def test_an_undamaged_ledger_is_clean(room: OpenLedger) -> None:
    fill(room)
    found = room.ledger.verify(ORG)
    assert (found.accounts, found.transactions, found.reservations, found.difference) == (2, 8, 12, None)
    assert room.ledger.verify("other").accounts == 0


NEWEST_DEBIT = "seq = (SELECT max(seq) FROM transactions WHERE reservation IS NOT NULL)"


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE balances SET balance = balance + 1", "balance"),
        ("UPDATE balances SET reserved = reserved + 1", "reserved"),
        ("UPDATE balances SET transactions = transactions - 1", "transactions"),
        ("UPDATE balances SET reservations = reservations + 1", "reservations"),
        ("DELETE FROM balances", "balance"),
        ("UPDATE transactions SET amount = amount + 1 WHERE seq = 1", "balance_after"),
        ("UPDATE transactions SET balance_after = balance_after + 1 WHERE seq = 2", "balance_after"),
        ("UPDATE transactions SET type = 'credit' WHERE seq = 2", "balance_after"),
        ("UPDATE transactions SET created_at = 0 WHERE seq = 2", "balance_after"),
        ("UPDATE transactions SET reserved_after = -1 WHERE seq = 1", "0 <= reserved_after"),
        ("DELETE FROM transactions WHERE seq = 2", "balance_after"),
        ("DELETE FROM transactions WHERE seq = 4", "balance"),
        ("UPDATE transactions SET account = 2 WHERE seq = 4", "balance"),
        ("UPDATE transactions SET account = 99 WHERE seq >= 5", "balance"),
        ("INSERT INTO transactions SELECT 99, 'x', org_id, 99, NULL, type, 1, 1, 0, NULL, NULL, 1"
         " FROM transactions LIMIT 1", "transactions of its accounts"),
        (f"UPDATE transactions SET reservation = NULL WHERE {NEWEST_DEBIT}", "status"),
        (f"UPDATE transactions SET reservation = 99 WHERE {NEWEST_DEBIT}", "status"),
        (f"UPDATE transactions SET reservation = 12 WHERE {NEWEST_DEBIT}", "status"),
        ("DROP INDEX transactions_one_per_reservation;"
         " UPDATE transactions SET reservation = 1 WHERE seq = 4", "one debit"),
        ("UPDATE reservations SET amount = amount + 1 WHERE status = 'pending'", "reserved"),
        ("UPDATE reservations SET status = 'confirmed' WHERE status = 'pending'", "status"),
        ("UPDATE reservations SET status = 'pending' WHERE status = 'cancelled'", "status"),
        ("UPDATE reservations SET expires_at = expires_at + 1 WHERE status = 'pending'", "expires_at_us"),
        ("UPDATE reservations SET expires_at = expires_at + 1 WHERE status = 'expired'", "expired while pending"),
        ("UPDATE reservations SET cancelled_at = NULL", "cancelled_at_us"),
        ("UPDATE reservations SET late = 0", "late"),
        ("UPDATE reservations SET account = 99 WHERE account = 2", "reserved"),
        ("DELETE FROM reservations WHERE seq = 2", "reservations"),
        ("INSERT INTO reservation_changes SELECT NULL, org_id, 99, kind, at, NULL, NULL"
         " FROM reservation_changes LIMIT 1", "changes of its reservations"),
        ("INSERT INTO reservations (id, org_id, account, amount, status, created_at, expires_at)"
         " SELECT 'x', org_id, 99, 1, 'pending', 1, 2 FROM reservations LIMIT 1", "reservations of its accounts"),
        ("DELETE FROM reservation_changes WHERE kind = 'cancelled'", "status"),
        ("DELETE FROM reservation_changes WHERE kind = 'expired'", "late"),
        ("DELETE FROM reservation_changes WHERE kind = 'closed'", "cancelled_at_us"),
        ("UPDATE reservation_changes SET expires_after = 1 WHERE kind = 'extended'", "expires_at_us"),
        ("INSERT INTO reservation_changes SELECT NULL, org_id, reservation, kind, at, NULL, NULL"
         " FROM reservation_changes WHERE kind = 'cancelled'", "cancelled while cancelled"),
    ],
)  # fmt: skip
def test_any_damage_is_found(room: OpenLedger, damage: str, what: str) -> None:
    fill(room)
    room.engine._writer.executescript(f"PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON; {damage}")
    difference = room.ledger.verify(ORG).difference
    assert difference is not None
    assert what in difference.what, difference
    assert difference.expected != difference.found


def test_the_disk_refuses_what_no_account_can_have(room: OpenLedger) -> None:
    account = room.account(credits=5)
    for impossible in ("balance = -1", "reserved = 6000000", "reserved = -1", "balance = 8589934592000000"):
        with pytest.raises(Exception, match="CHECK"):
            room.engine._writer.execute(f"UPDATE balances SET {impossible}")
    assert room.figures(account) == (5, 0, 5)


def test_verifying_holds_up_no_writer(room: OpenLedger) -> None:
    account = room.account(credits=5)
    with room.store.audit(ORG) as book:
        first = next(book.accounts)
        room.post(account, 1)
        assert [entry.amount_micro for entry in first.transactions] == [5 * CREDIT]
    assert room.figures(account) == (6, 0, 6)


OF_USAGE = {
    Failpoint.HALF_RECORDED,
    Failpoint.HALF_CORRECTED,
    Failpoint.DELIVERY_BEGUN,
    Failpoint.DELIVERED,
    Failpoint.UNLINKED,
}
"""Passed only where usage comes with what the ledger writes: see the crash test of settlement."""


def tell_until_killed(folder: Path, point: Failpoint, times: int) -> list[str]:
    """What a process that is killed at the failpoint had been answered: `held`, `settled` and `swept`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            tell(folder, kill_at(f"{point}:{times}"), writing)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as answers:
        answered = answers.read().split()
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return answered


def tell(folder: Path, reach: AtFailpoint, answers: int) -> None:
    """Holds, settles, and sweeps one of the overdue holds that it begins with, again and again."""
    begun: list[bool] = []
    room = OpenLedger(folder, reach=lambda point: reach(point) if begun else None)
    account = room.account("ana", credits=1000)
    for _ in range(10):
        room.reserve(account, 1, seconds=5)
    room.wait(60)
    begun.append(True)
    for number in range(10):
        hold = room.reserve(account, 10, repeat=repeat(f"hold {number}"))
        os.write(answers, b"held ")
        room.run(room.ledger.confirm(ORG, hold.id, 7 * CREDIT, TERMS, repeat(f"settle {number}")))
        os.write(answers, b"settled ")
        room.run(room.ledger.expire_due(1))
        os.write(answers, b"swept ")


@pytest.mark.parametrize("times", [1, 2, 3, 5, 8] if LONG else [1, 6])
@pytest.mark.parametrize("point", [point for point in Failpoint if point not in OF_USAGE])
def test_killed_at_any_failpoint_nothing_answered_is_lost(tmp_path: Path, point: Failpoint, times: int) -> None:
    answered = tell_until_killed(tmp_path, point, times)
    room = OpenLedger(tmp_path)
    assert room.ledger.verify(ORG).difference is None
    account = room.ledger.get_account(ORG, Address(external_id="ana"))
    holds = list(room.ledger.list_reservations(ORG, Address(account.id)).rows)
    kept = sum(each.amount_micro == 10 * CREDIT for each in holds)
    settled = sum(each.status is Status.CONFIRMED for each in holds)
    swept = room.engine.read().execute("SELECT count(*) FROM reservation_changes").fetchone()[0]
    # The command that was not answered is there as a whole if it reached its commit, else not at all.
    unanswered = int(point is Failpoint.AFTER_COMMIT)
    assert kept + settled + swept == len(answered) + unanswered
    assert kept >= settled >= swept >= kept - 1
    assert room.ledger.get_account(ORG, Address(account.id)).balance_micro == (1000 - 7 * settled) * CREDIT
    room.runner.close()
    room.close()


def test_a_failpoint_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="before_the_flood"):
        kill_at("before_the_flood")


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (f"{ledger_rows.STANDINGS} WHERE a.id = ? AND a.org_id = ?", 3),
        (f"{ledger_rows.STANDINGS} WHERE a.external_id = ? AND a.org_id = ?", 3),
        (ledger_rows.FOUND, 4),
        (f"SELECT 1 FROM reservations WHERE {ledger_rows.DUE} LIMIT 1", 1),
        (f"SELECT 1 FROM reservations WHERE {ledger_rows.DUE} AND account = ?", 2),
    ],
)
def test_nothing_a_command_reads_is_searched_for_row_by_row(room: OpenLedger, sql: str, values: int) -> None:
    plan = [row[3] for row in room.engine.read().execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * values)]
    assert plan
    assert not [step for step in plan if step.startswith("SCAN")], plan
