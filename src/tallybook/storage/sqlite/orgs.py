"""Orgs and their settings in SQLite."""

import json

from tallybook.core.unit_of_work import Record, Transaction
from tallybook.orgs.model import Org
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_COLUMNS = "id, name, created_at"


class SqliteOrgStore:
    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def find(self, org_id: str, transaction: Transaction | None = None) -> Org | None:
        row = self._engine.read(transaction).execute(f"SELECT {_COLUMNS} FROM orgs WHERE id = ?", (org_id,)).fetchone()
        return None if row is None else Org(*row)

    def list_orgs(self, *, after: str, limit: int) -> list[Org]:
        following = f"SELECT {_COLUMNS} FROM orgs WHERE id > ? ORDER BY id LIMIT ?"
        return [Org(*row) for row in self._engine.read().execute(following, (after, limit))]

    def add(self, transaction: Transaction, org: Org) -> None:
        connection_of(transaction).execute(
            f"INSERT INTO orgs ({_COLUMNS}) VALUES (?, ?, ?)", (org.id, org.name, org.created_at_us)
        )

    def settings_in_force(self, org_id: str, transaction: Transaction | None = None) -> Record:
        # By rowid, the order of the commits: a clock set back would make an older fact look newer.
        newest = (
            "SELECT name, value FROM org_settings"
            " WHERE rowid IN (SELECT max(rowid) FROM org_settings WHERE org_id = ? GROUP BY name)"
        )
        rows = self._engine.read(transaction).execute(newest, (org_id,))
        return {name: json.loads(value) for name, value in rows}

    def append_settings(
        self, transaction: Transaction, org_id: str, values: Record, *, set_at_us: int, set_by: str
    ) -> None:
        connection_of(transaction).executemany(
            "INSERT INTO org_settings (org_id, name, value, set_at, set_by) VALUES (?, ?, ?, ?, ?)",
            [(org_id, name, json.dumps(value), set_at_us, set_by) for name, value in values.items()],
        )
