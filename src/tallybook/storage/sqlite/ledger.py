"""The ledger in SQLite.

What a command needs of an account is one row, found by primary keys; the sum of its due holds comes with it from an
index of the pending ones, which is small.
"""

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager

import msgspec

from tallybook.core.failpoints import Failpoint
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger import machine
from tallybook.ledger.model import (
    Account,
    Address,
    Change,
    ChangeKind,
    Listed,
    Reservation,
    Slice,
    Standing,
    Status,
    Transaction,
)
from tallybook.ledger.store import Found
from tallybook.ledger.verify import Book
from tallybook.storage.sqlite import ledger_lists as lists
from tallybook.storage.sqlite import ledger_rows as rows
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_BY_ID = "WHERE a.id = ? AND a.org_id = ?"
_BY_EXTERNAL_ID = "WHERE a.external_id = ? AND a.org_id = ?"
_NEW_CHANGE = "INSERT INTO reservation_changes (org_id, reservation, kind, at)"
_SET = "UPDATE balances SET balance = ?, reserved = ?, updated_at = ?"


class SqliteLedgerStore:
    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def find_account(self, org_id: str, address: Address, transaction: Tx | None = None) -> Account | None:
        where, name = _named(address)
        row = self._engine.read(transaction).execute(f"{rows.ACCOUNTS} {where}", (name, org_id)).fetchone()
        return None if row is None else rows.to_account(row)

    def find_standing(
        self, org_id: str, address: Address, now_us: int, transaction: Tx | None = None
    ) -> Standing | None:
        where, name = _named(address)
        row = self._engine.read(transaction).execute(f"{rows.STANDINGS} {where}", (now_us, name, org_id)).fetchone()
        return None if row is None else rows.to_standing(row, now_us)

    def find_reservation(
        self, org_id: str, reservation_id: str, now_us: int, transaction: Tx | None = None
    ) -> Found | None:
        values = (now_us, now_us, reservation_id, org_id)
        row = self._engine.read(transaction).execute(rows.FOUND, values).fetchone()
        return None if row is None else rows.to_found(row, now_us)

    def find_transaction(self, org_id: str, transaction_id: str) -> Transaction | None:
        wanted = f"{rows.TRANSACTIONS} WHERE t.id = ? AND t.org_id = ?"
        row = self._engine.read().execute(wanted, (transaction_id, org_id)).fetchone()
        return None if row is None else rows.to_transaction(row)

    def find_accounts_of(
        self, org_id: str, transaction_ids: Collection[str], transaction: Tx | None = None
    ) -> Mapping[str, str]:
        wanted = msgspec.json.encode(list(transaction_ids)).decode()
        return dict(self._engine.read(transaction).execute(rows.ACCOUNTS_OF, (wanted, org_id)))

    def add_account(self, transaction: Tx, org_id: str, account: Account) -> None:
        writer = connection_of(transaction)
        cursor = writer.execute(
            "INSERT INTO accounts (id, org_id, external_id, name, email, metadata, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                account.id,
                org_id,
                account.external_id,
                account.name,
                account.email,
                account.metadata,
                account.created_at_us,
            ),
        )
        writer.execute(
            "INSERT INTO balances (account, balance, reserved, updated_at) VALUES (?, ?, 0, ?)",
            (cursor.lastrowid, account.balance_micro, account.updated_at_us),
        )

    def append_transaction(self, transaction: Tx, org_id: str, account: Standing, entry: Transaction) -> None:
        writer = connection_of(transaction)
        writer.execute(
            "INSERT INTO transactions (id, org_id, account, reservation, type, amount, balance_after, reserved_after,"
            " description, metadata, created_at)"
            " VALUES (?, ?, ?, (SELECT seq FROM reservations WHERE id = ?), ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.id,
                org_id,
                account.row,
                entry.reservation_id,
                entry.type,
                entry.amount_micro,
                entry.balance_after_micro,
                entry.reserved_after_micro,
                entry.description,
                entry.metadata,
                entry.created_at_us,
            ),
        )
        self._engine.reach(Failpoint.HALF_POSTED)
        writer.execute(
            f"{_SET}, transactions = transactions + 1 WHERE account = ?",
            (entry.balance_after_micro, entry.reserved_after_micro, account.now_us, account.row),
        )

    def append_reservation(self, transaction: Tx, org_id: str, account: Standing, reservation: Reservation) -> None:
        writer = connection_of(transaction)
        writer.execute(
            "INSERT INTO reservations (id, org_id, account, amount, status, created_at, expires_at, description,"
            " metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                reservation.id,
                org_id,
                account.row,
                reservation.amount_micro,
                reservation.status,
                reservation.created_at_us,
                reservation.expires_at_us,
                reservation.description,
                reservation.metadata,
            ),
        )
        held = account.balances.freed(-reservation.amount_micro)
        writer.execute(
            f"{_SET}, reservations = reservations + 1 WHERE account = ?",
            (held.balance_micro, held.reserved_micro, account.now_us, account.row),
        )

    def append_confirmation(
        self, transaction: Tx, org_id: str, account: Standing, hold: Reservation, debit: Transaction
    ) -> None:
        writer = connection_of(transaction)
        _write_expiry(writer, hold)
        self.append_transaction(transaction, org_id, account, debit)
        settled = machine.confirmed(hold, debit)
        writer.execute(
            "UPDATE reservations SET status = ?, late = ? WHERE id = ?", (settled.status, settled.late, hold.id)
        )

    def append_change(self, transaction: Tx, org_id: str, account: Standing, hold: Reservation, change: Change) -> None:
        writer = connection_of(transaction)
        _write_expiry(writer, hold)
        writer.execute(
            "INSERT INTO reservation_changes (org_id, reservation, kind, at, expires_before, expires_after)"
            " VALUES (?, (SELECT seq FROM reservations WHERE id = ?), ?, ?, ?, ?)",
            (org_id, hold.id, change.kind, change.at_us, change.expires_before_us, change.expires_after_us),
        )
        after = machine.changed(hold, change)
        writer.execute(
            "UPDATE reservations SET status = ?, expires_at = ?, cancelled_at = ? WHERE id = ?",
            (after.status, after.expires_at_us, after.cancelled_at_us, hold.id),
        )
        balances = account.balances.freed(machine.freed_by(hold, change))
        writer.execute(
            f"{_SET} WHERE account = ?", (balances.balance_micro, balances.reserved_micro, account.now_us, account.row)
        )

    def expire_oldest(self, transaction: Tx, now_us: int, limit: int) -> int:
        writer = connection_of(transaction)
        holds = writer.execute(
            f"SELECT seq, org_id, account, amount, expires_at FROM reservations WHERE {rows.DUE}"
            " ORDER BY expires_at LIMIT ?",
            (now_us, limit),
        ).fetchall()
        writer.executemany(
            f"{_NEW_CHANGE} VALUES (?, ?, ?, ?)",
            [(org_id, seq, ChangeKind.EXPIRED, expires_at) for seq, org_id, _, _, expires_at in holds],
        )
        writer.executemany("UPDATE reservations SET status = 'expired' WHERE seq = ?", [(seq,) for seq, *_ in holds])
        self._engine.reach(Failpoint.HALF_EXPIRED)
        # What had expired by the account's last change is freed already.
        writer.executemany(
            "UPDATE balances SET reserved = reserved - ? WHERE account = ? AND updated_at < ?",
            [(amount, account, expires_at) for _, _, account, amount, expires_at in holds],
        )
        return len(holds)

    def any_due(self, now_us: int) -> bool:
        due = self._engine.read().execute(f"SELECT 1 FROM reservations WHERE {rows.DUE} LIMIT 1", (now_us,))
        return due.fetchone() is not None

    def list_accounts(self, org_id: str, page: Slice | None, rows_max: int) -> Listed[Account]:
        return lists.listed(self._engine, lists.accounts_of(org_id), page, rows_max)

    def list_reservations(
        self, org_id: str, account: Standing, page: Slice | None, rows_max: int, *, active_only: bool
    ) -> Listed[Reservation]:
        query = lists.reservations_of(account, active_only=active_only)
        return lists.listed(self._engine, query, page, rows_max)

    def list_transactions(
        self, org_id: str, account: Standing | None, page: Slice, *, start_us: int | None, end_us: int | None
    ) -> Listed[Transaction]:
        query = lists.transactions_of(org_id, account, start_us=start_us, end_us=end_us)
        return lists.listed(self._engine, query, page, page.limit)

    def audit(self, org_id: str) -> AbstractContextManager[Book]:
        return lists.audit(self._engine, org_id)


def _named(address: Address) -> tuple[str, str | None]:
    if address.account_id is None:
        return _BY_EXTERNAL_ID, address.external_id
    return _BY_ID, address.account_id


def _write_expiry(writer: sqlite3.Connection, hold: Reservation) -> None:
    """Puts the expiry on record of a hold that the clock says is expired, unless it is there already."""
    if hold.status is Status.EXPIRED:
        writer.execute(
            f"{_NEW_CHANGE} SELECT org_id, seq, 'expired', expires_at FROM reservations"
            " WHERE id = ? AND status = 'pending'",
            (hold.id,),
        )
