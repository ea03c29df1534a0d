"""The outbox and the links of settlement in SQLite."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from tallybook.core.failpoints import Failpoint
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.corrections.model import Change
from tallybook.metering.event import Submission
from tallybook.settlement.model import Link
from tallybook.settlement.recording import Placed
from tallybook.settlement.store import BilledEvent, LinkedUsage, Waiting
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[Placed]).decode
_DECODE_CHANGES = msgspec.msgpack.Decoder(list[Change]).decode

_PUT = "INSERT INTO outbox (id, events, payload) VALUES (?, ?, ?)"
_WAITING = "SELECT id, payload, corrections FROM outbox WHERE id > ? ORDER BY id"
_REMOVE = "DELETE FROM outbox WHERE id <= ?"
_REMOVE_OLDEST = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id <= ? ORDER BY id LIMIT 2)"
_LINK = """
    INTO usage_links (transaction_seq, uid, org_id, occurred_at, content)
    SELECT seq, ?, org_id, ?, ? FROM transactions WHERE id = ? AND org_id = ?
"""
_ADD_LINK = f"INSERT {_LINK}"
_ADD_MISSING_LINK = f"INSERT OR IGNORE {_LINK}"
_LINKS = """
    SELECT t.id, l.uid, l.occurred_at, l.content
    FROM usage_links AS l JOIN transactions AS t ON t.seq = l.transaction_seq
"""
_LINKED_USAGES = """
    SELECT t.id, l.uid, l.occurred_at, l.content, a.id
    FROM usage_links AS l
    LEFT JOIN transactions AS t ON t.seq = l.transaction_seq AND t.org_id = l.org_id
    LEFT JOIN accounts AS a ON a.seq = t.account
    WHERE l.org_id = ?
"""
_AUDITED = 1_000
"""Links that are handed over at a time."""


class SqliteSettlementStore:
    """Implements `settlement.store.SettlementStore`.

    A row that is delivered leaves its pages to one that is promised, in the same commit: removed on their own, all the
    rows of a delivery would be overwritten, and each overwritten page would go through the log.
    """

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self._delivered = 0
        # Numbers are counted here: the table would begin anew whenever it is empty.
        self._newest = self.newest_waiting() or 0
        # Events, each counted by one thread.
        self._ever_promised, self._ever_delivered = self._count(self._newest), 0
        self._listener: Callable[[], None] = lambda: None
        self._promised = engine.gathering(self._promise, self._tell)
        self._linked = engine.gathering(_add_links)
        self._changes = engine.gathering(self._promise_changes, self._tell)

    def tell(self, listener: Callable[[], None]) -> None:
        self._listener = listener

    def _tell(self, count: int) -> None:
        self._ever_promised += count
        self._listener()

    def promise(self, transaction: Tx, change: Change) -> None:
        self._changes.add(transaction, change)

    def put(self, transaction: Tx, placed: Placed) -> None:
        self._promised.add(transaction, placed)

    def outbox_length(self) -> int:
        waiting = self._ever_promised - self._ever_delivered
        return waiting + len(self._promised) + len(self._changes)

    def newest_waiting(self) -> int | None:
        found = self._engine.read().execute("SELECT max(id) FROM outbox WHERE id > ?", (self._delivered,))
        newest: int | None = found.fetchone()[0]
        return newest

    def oldest_waiting(self, limit: int, after: int = 0) -> Waiting | None:
        newest, submissions, changes = 0, list[Submission](), list[Change]()
        waiting = self._engine.read().execute(_WAITING, (max(after, self._delivered),))
        for number, payload, corrections in waiting:
            newest = number
            submissions.extend(placed.submission() for placed in _DECODE(payload))
            if corrections is not None:
                changes.extend(_DECODE_CHANGES(corrections))
            if len(submissions) + len(changes) >= limit:
                break
        return Waiting(newest, submissions, changes) if newest else None

    def note_delivered(self, newest: int) -> None:
        self._ever_delivered += self._count(newest)
        self._delivered = newest

    def remove_delivered(self) -> None:
        self._engine.write_from_thread(lambda writer: writer.execute(_REMOVE, (self._delivered,)))

    def _count(self, until: int) -> int:
        """Events that wait up to that number."""
        wanted = "SELECT coalesce(sum(events), 0) FROM outbox WHERE id > ? AND id <= ?"
        count: int = self._engine.read().execute(wanted, (self._delivered, until)).fetchone()[0]
        return count

    def _promise(self, writer: sqlite3.Connection, placed: Sequence[Placed]) -> None:
        self._engine.reach(Failpoint.HALF_RECORDED)
        self._newest += 1
        writer.execute(_REMOVE_OLDEST, (self._delivered,))
        writer.execute(_PUT, (self._newest, len(placed), _ENCODE(placed)))

    def _promise_changes(self, writer: sqlite3.Connection, changes: Sequence[Change]) -> None:
        self._newest += 1
        values = (self._newest, len(changes), _ENCODE([]), _ENCODE(changes))
        writer.execute("INSERT INTO outbox (id, events, payload, corrections) VALUES (?, ?, ?, ?)", values)

    def link(self, transaction: Tx, org_id: str, link: Link) -> None:
        self._linked.add(transaction, _values(org_id, link))

    async def link_stored(self, org_id: str, links: Sequence[Link]) -> None:
        await self._engine.write(_linking(_values(org_id, link) for link in links))

    def link_found(self, events: Sequence[BilledEvent]) -> None:
        values = [(each.uid, each.occurred_at_us, None, each.transaction_id, each.org_id) for each in events]
        self._engine.write_from_thread(_linking(values))

    def find_confirmed_with(self, transaction: Tx, org_id: str, transaction_id: str) -> Link | None:
        for uid, occurred_at, content, *names in self._linked:  # of this very commit
            if names == [transaction_id, org_id] and content is not None:
                return Link(transaction_id, uid, occurred_at, content)
        row = (
            connection_of(transaction)
            .execute(f"{_LINKS} WHERE t.id = ? AND t.org_id = ? AND l.content IS NOT NULL", (transaction_id, org_id))
            .fetchone()
        )
        return None if row is None else Link(*row)

    def links_of(self, org_id: str, transaction_ids: Collection[str]) -> list[Link]:
        wanted = msgspec.json.encode(list(transaction_ids)).decode()
        rows = self._engine.read().execute(
            f"{_LINKS} JOIN json_each(?) AS wanted ON wanted.value = t.id WHERE t.org_id = ?"
            " ORDER BY t.seq, l.occurred_at, l.uid",
            (wanted, org_id),
        )
        return [Link(*row) for row in rows]

    def linked_seq(self) -> int:
        return int(self._engine.read().execute("SELECT seq FROM linked").fetchone()[0])

    def set_linked_seq(self, seq: int) -> None:
        self._engine.write_from_thread(lambda writer: writer.execute("UPDATE linked SET seq = ?", (seq,)))

    @contextmanager
    def audit(self, org_id: str) -> Iterator[Iterator[Sequence[LinkedUsage]]]:
        reader = self._engine.open_reader()
        try:
            found = reader.execute(_LINKED_USAGES, (org_id,))
            yield ([_linked(row) for row in part] for part in iter(lambda: found.fetchmany(_AUDITED), []))
        finally:
            reader.close()


def _values(org_id: str, link: Link) -> tuple[Any, ...]:
    return (link.uid, link.occurred_at_us, link.content, link.transaction_id, org_id)


def _add_links(writer: sqlite3.Connection, values: Sequence[tuple[Any, ...]]) -> None:
    writer.executemany(_ADD_LINK, values)


def _linking(values: Iterable[tuple[Any, ...]]) -> Any:
    return lambda writer: writer.executemany(_ADD_MISSING_LINK, values)


def _linked(row: tuple[Any, ...]) -> LinkedUsage:
    transaction_id, uid, occurred_at, content, account_id = row
    return LinkedUsage(Link(transaction_id or "", uid, occurred_at, content), account_id)
