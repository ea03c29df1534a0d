"""Claims of corrections, and what they gave back, in SQLite."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tallybook.core.failpoints import Failpoint
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.corrections.model import Change
from tallybook.settlement.store import Claim, Paid
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_REFUNDED = """
    (SELECT coalesce(sum(credit.amount), 0) FROM usage_corrections AS c
     JOIN transactions AS credit ON credit.seq = c.refund_seq WHERE c.transaction_seq = t.seq)
"""
_NEWEST = """
    SELECT coalesce(max(c.seq), 0) FROM usage_corrections AS c
    JOIN transactions AS t ON t.seq = c.transaction_seq WHERE t.id = ? AND t.org_id = ?
"""
_CLAIMS = f"""
    SELECT c.uid, c.occurred_at, c.superseded, c.replacement, c.id, t.id, t.account, t.amount, {_REFUNDED},
           refund.id, refund.type, refund.account, coalesce(refund.amount, 0)
    FROM usage_corrections AS c
    JOIN transactions AS t ON t.seq = c.transaction_seq
    LEFT JOIN transactions AS refund ON refund.seq = c.refund_seq
    WHERE c.org_id = ?
"""
_AUDITED = 1_000
"""Claims that are handed over at a time."""


class SqliteRefundStore:
    """Implements `settlement.store.RefundStore`."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def is_claimed(self, transaction: Tx, change: Change) -> bool:
        row = (
            connection_of(transaction)
            .execute(
                "SELECT 1 FROM usage_corrections WHERE uid = ? AND superseded = ?"
                " UNION ALL SELECT 1 FROM usage_corrections WHERE uid = ? AND replacement = ?",
                (change.uid, change.superseded, change.uid, change.replacement),
            )
            .fetchone()
        )
        return row is not None

    def claim(self, transaction: Tx, change: Change, transaction_id: str) -> None:
        self._engine.reach(Failpoint.HALF_CORRECTED)
        connection_of(transaction).execute(
            "INSERT INTO usage_corrections (org_id, uid, occurred_at, superseded, replacement, id, transaction_seq,"
            " refund_seq) SELECT ?, ?, ?, ?, ?, ?, seq, (SELECT seq FROM transactions WHERE id = ?)"
            " FROM transactions WHERE id = ? AND org_id = ?",
            (
                change.org_id,
                change.uid,
                change.occurred_at_us,
                change.superseded,
                change.replacement,
                change.id,
                change.refund_id,
                transaction_id,
                change.org_id,
            ),
        )

    def newest_claim(self, org_id: str, transaction_id: str, transaction: Tx | None = None) -> int:
        newest: int
        (newest,) = self._engine.read(transaction).execute(_NEWEST, (transaction_id, org_id)).fetchone()
        return newest

    def find_paid(self, transaction: Tx, org_id: str, transaction_id: str) -> Paid:
        row = (
            connection_of(transaction)
            .execute(
                f"SELECT a.id, CASE t.type WHEN 'debit' THEN t.amount ELSE 0 END, {_REFUNDED}"
                " FROM transactions AS t JOIN accounts AS a ON a.seq = t.account WHERE t.id = ? AND t.org_id = ?",
                (transaction_id, org_id),
            )
            .fetchone()
        )
        return Paid(*row)

    @contextmanager
    def claims(self, org_id: str) -> Iterator[Iterator[Sequence[Claim]]]:
        reader = self._engine.open_reader()
        try:
            found = reader.execute(f"{_CLAIMS} ORDER BY c.seq", (org_id,))
            yield ([Claim(*row) for row in part] for part in iter(lambda: found.fetchmany(_AUDITED), []))
        finally:
            reader.close()

    def claims_of(self, org_id: str, uids: Sequence[bytes]) -> Sequence[Claim]:
        marks = ", ".join("?" * len(uids))
        found = self._engine.read().execute(f"{_CLAIMS} AND c.uid IN ({marks})", (org_id, *uids))
        return [Claim(*row) for row in found]
