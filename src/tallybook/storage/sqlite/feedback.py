"""Feedback in SQLite."""

from collections.abc import Mapping, Sequence

from tallybook.core.unit_of_work import Transaction
from tallybook.requests.model import Feedback, Rating
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_SELECT = "SELECT uid, rating, description, updated_at FROM feedback WHERE org_id = ? AND uid"


class SqliteFeedbackStore:
    """Implements `requests.store.FeedbackStore`."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def find(self, org_id: str, uid: str, transaction: Transaction | None = None) -> Feedback | None:
        row = self._engine.read(transaction).execute(f"{_SELECT} = ?", (org_id, uid)).fetchone()
        return None if row is None else _feedback(*row[1:])

    def find_all(self, org_id: str, uids: Sequence[str]) -> Mapping[str, Feedback]:
        marks = ", ".join("?" * len(uids))
        rows = self._engine.read().execute(f"{_SELECT} IN ({marks})", (org_id, *uids))
        return {uid: _feedback(*rest) for uid, *rest in rows}

    def put(self, transaction: Transaction, org_id: str, uid: str, feedback: Feedback, *, actor: str) -> None:
        connection_of(transaction).execute(
            "INSERT OR REPLACE INTO feedback (org_id, uid, rating, description, updated_at, updated_by)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (org_id, uid, feedback.rating, feedback.description, feedback.updated_at_us, actor),
        )


def _feedback(rating: str | None, description: str | None, updated_at_us: int) -> Feedback:
    return Feedback(None if rating is None else Rating(rating), description, updated_at_us)
