"""The journal: appended in the commit of the change it tells of, and read as part of the admin log."""

import json
from collections.abc import Sequence
from typing import Any

from tallybook.audit.admin_log import Line, LogQuery
from tallybook.core.unit_of_work import JournalEntry, Record, Transaction
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of


class SqliteJournal:
    def append(self, transaction: Transaction, entry: JournalEntry, at_us: int) -> None:
        connection_of(transaction).execute(
            "INSERT INTO journal (at, org_id, actor, action, subject, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                at_us,
                entry.org_id,
                entry.actor,
                entry.action,
                entry.subject,
                _json(entry.before),
                _json(entry.after),
            ),
        )


_ID = "printf('change-%015d', id)"


class SqliteJournalLog:
    """Implements `audit.admin_log.LogSource`."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def newest(self, query: LogQuery, limit: int) -> Sequence[Line]:
        conditions = {
            "at >= ?": query.start_us,
            "at < ?": query.end_us,
            "actor = ?": query.actor,
            "action = ?": query.action,
            "subject = ?": query.subject,
        }
        sought = {condition: value for condition, value in conditions.items() if value is not None}
        where = [f"org_id IN ({', '.join('?' * len(query.org_ids))})", *sought]
        parameters: list[Any] = [*query.org_ids, *sought.values()]
        if query.before is not None:
            # The first condition is what the index can answer.
            where += ["at <= ?", f"(at, {_ID}) < (?, ?)"]
            parameters += [query.before[0], *query.before]
        rows = self._engine.read().execute(
            f"SELECT at, {_ID}, org_id, actor, action, subject, before, after FROM journal"
            f" WHERE {' AND '.join(where)} ORDER BY at DESC, id DESC LIMIT ?",
            [*parameters, limit],
        )
        return [_line(*row) for row in rows]


def _line(
    at_us: int, id: str, org_id: str, actor: str, action: str, subject: str, before: str | None, after: str | None
) -> Line:
    entry = JournalEntry(org_id, actor, action, subject, _record(before), _record(after))
    return Line(at_us, id, entry)


def _record(text: str | None) -> Record | None:
    record: Record | None = None if text is None else json.loads(text)
    return record


def _json(record: Record | None) -> str | None:
    return None if record is None else json.dumps(record)
