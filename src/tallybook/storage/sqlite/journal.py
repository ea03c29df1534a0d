"""The admin log: appended in the commit of the change it tells of."""

import json

from tallybook.core.unit_of_work import JournalEntry, Record, Transaction
from tallybook.storage.sqlite.engine import connection_of


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


def _json(record: Record | None) -> str | None:
    return None if record is None else json.dumps(record)
