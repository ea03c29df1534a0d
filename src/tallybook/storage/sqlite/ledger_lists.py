"""Lists of the ledger, newest first, each from one snapshot; and all of an org for its audit."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from tallybook.ledger.errors import TooManyResults
from tallybook.ledger.model import Account, Listed, Reservation, Slice, Standing, Transaction
from tallybook.ledger.verify import AccountBook, Book, Figures
from tallybook.storage.sqlite import ledger_rows as rows
from tallybook.storage.sqlite.engine import SqliteEngine

Item = TypeVar("Item")

_AT_ONCE = 500
"""Rows up to which a whole list is not worth a connection of its own."""


@dataclass(frozen=True)
class Query(Generic[Item]):
    """The rows of a table that meet all conditions, each of which takes one value.

    `seen_at_us` is what `select` asks for first, if anything. `counter` knows how many rows meet the first condition
    without counting them: millions take long.
    """

    table: str
    alias: str
    select: str
    make: Callable[[rows.Row], Item]
    conditions: Mapping[str, str | int]
    counter: str | None = None
    seen_at_us: tuple[int, ...] = ()

    def narrowed(self, conditions: Mapping[str, int | None]) -> "Query[Item]":
        """By those conditions that have a value."""
        more = {condition: value for condition, value in conditions.items() if value is not None}
        return replace(self, conditions={**self.conditions, **more}, counter=None) if more else self

    @property
    def _where(self) -> str:
        return f"WHERE {' AND '.join(self.conditions)}"

    @property
    def _newest_first(self) -> str:
        return f"ORDER BY {self.alias}.created_at DESC, {self.alias}.seq DESC"

    def count(self, reader: sqlite3.Connection) -> int:
        sql = self.counter or f"SELECT count(*) FROM {self.table} AS {self.alias} {self._where}"
        total: int = reader.execute(sql, tuple(self.conditions.values())).fetchone()[0]
        return total

    def page(self, reader: sqlite3.Connection, page: Slice) -> Iterator[Item]:
        # The rows to skip are passed over in the index alone.
        chosen = (
            f"SELECT {self.alias}.seq FROM {self.table} AS {self.alias} {self._where} {self._newest_first}"
            " LIMIT ? OFFSET ?"
        )
        sql = f"{self.select} WHERE {self.alias}.seq IN ({chosen}) {self._newest_first}"
        values = (*self.seen_at_us, *self.conditions.values(), page.limit, page.offset)
        return map(self.make, reader.execute(sql, values).fetchall())

    def all(self, reader: sqlite3.Connection) -> Iterator[Item]:
        """One by one; closes the connection behind the last."""
        with closing(reader):
            sql = f"{self.select} {self._where} {self._newest_first}"
            yield from map(self.make, reader.execute(sql, (*self.seen_at_us, *self.conditions.values())))


def accounts_of(org_id: str) -> Query[Account]:
    return Query("accounts", "a", rows.ACCOUNTS, rows.to_account, {"a.org_id = ?": org_id})


def reservations_of(account: Standing, *, active_only: bool) -> Query[Reservation]:
    return Query(
        "reservations",
        "r",
        rows.RESERVATIONS,
        rows.to_reservation,
        {"r.account = ?": account.row},
        "SELECT reservations FROM balances WHERE account = ?",
        (account.now_us,),
    ).narrowed({"r.status = 'pending' AND r.expires_at > ?": account.now_us if active_only else None})


def transactions_of(
    org_id: str, account: Standing | None, *, start_us: int | None, end_us: int | None
) -> Query[Transaction]:
    whole: dict[str, str | int]
    if account is None:
        whole, counter = {"t.org_id = ?": org_id}, _TRANSACTIONS_OF_ORG
    else:
        # The account was found in its org: to name that too would only make the index insufficient for counting.
        whole, counter = {"t.account = ?": account.row}, "SELECT transactions FROM balances WHERE account = ?"
    query = Query("transactions", "t", rows.TRANSACTIONS, rows.to_transaction, whole, counter)
    return query.narrowed({"t.created_at >= ?": start_us, "t.created_at < ?": end_us})


_TRANSACTIONS_OF_ORG = """
    SELECT ifnull(sum(b.transactions), 0) FROM accounts AS a JOIN balances AS b ON b.account = a.seq
    WHERE a.org_id = ?
"""


def listed(engine: SqliteEngine, query: Query[Item], page: Slice | None, rows_max: int) -> Listed[Item]:
    """A page, or all, as many as `rows_max`. Raises `TooManyResults`."""
    with engine.snapshot() as reader:
        total = query.count(reader)
        if page is None and total > rows_max:
            raise TooManyResults(rows_max)
        if page is None and total <= _AT_ONCE:
            page = Slice(_AT_ONCE)
        if page is not None:
            return Listed(query.page(reader, page), total)
    # This thread goes on to read what is newest then: rows that are fetched little by little need their own snapshot.
    own = engine.open_reader()
    own.execute("BEGIN")
    return Listed(total=query.count(own), rows=query.all(own))


@contextmanager
def audit(engine: SqliteEngine, org_id: str) -> Iterator[Book]:
    with closing(engine.open_reader()) as reader:
        reader.execute("BEGIN")
        totals = [
            reader.execute(f"SELECT count(*) FROM {table} WHERE org_id = ?", (org_id,)).fetchone()[0]
            for table in ("transactions", "reservations", "reservation_changes")
        ]
        yield Book(_account_books(reader, org_id), *totals)


def _account_books(reader: sqlite3.Connection, org_id: str) -> Iterator[AccountBook]:
    entries = f"{rows.TRANSACTIONS} WHERE t.account = ? ORDER BY t.created_at, t.seq"
    lives = f"{rows.LIVES} WHERE r.account = ? ORDER BY r.created_at, r.seq"
    for account, account_id, *figures in reader.execute(_KEPT, (org_id,)):
        yield AccountBook(
            account_id,
            Figures(*figures),
            map(rows.to_transaction, reader.execute(entries, (account,))),
            map(rows.to_life, reader.execute(lives, (account,))),
        )


_KEPT = """
    SELECT a.seq, a.id, b.balance, b.reserved, b.updated_at, b.transactions, b.reservations
    FROM accounts AS a LEFT JOIN balances AS b ON b.account = a.seq
    WHERE a.org_id = ? ORDER BY a.created_at, a.seq
"""
