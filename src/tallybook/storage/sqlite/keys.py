"""Keys in SQLite."""

import json
import sqlite3
from typing import Any

from tallybook.auth.key import Key, Role, Scope
from tallybook.auth.store import Position
from tallybook.core.unit_of_work import Transaction
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_COLUMNS = "id, org_id, name, role, scopes, hint, created_at, user_id, project_id, expires_at, revoked_at, bootstrap"


class SqliteKeyStore:
    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def find_by_hash(self, text_hash: bytes) -> Key | None:
        return _one(self._engine.read(), "hash = ?", text_hash)

    def find(self, org_id: str, key_id: str, transaction: Transaction | None = None) -> Key | None:
        return _one(self._engine.read(transaction), "org_id = ? AND id = ?", org_id, key_id)

    def list_keys(self, org_id: str, *, before: Position | None, limit: int) -> list[Key]:
        if before is None:
            return _many(self._engine.read(), "org_id = ?", org_id, limit=limit)
        older = "org_id = ? AND (created_at, id) < (?, ?)"
        return _many(self._engine.read(), older, org_id, *before, limit=limit)

    def list_bootstrap(self, org_id: str, transaction: Transaction | None = None) -> list[Key]:
        return _many(self._engine.read(transaction), "org_id = ? AND bootstrap", org_id)

    def add(self, transaction: Transaction, key: Key, text_hash: bytes) -> None:
        values = (
            key.id,
            key.org_id,
            key.name,
            key.role,
            json.dumps(sorted(key.scopes)),
            key.hint,
            key.created_at_us,
            key.user_id,
            key.project_id,
            key.expires_at_us,
            key.revoked_at_us,
            key.bootstrap,
        )
        connection_of(transaction).execute(
            f"INSERT INTO keys ({_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, text_hash),
        )

    def set_revoked_at(self, transaction: Transaction, org_id: str, key_id: str, revoked_at_us: int | None) -> None:
        connection_of(transaction).execute(
            "UPDATE keys SET revoked_at = ? WHERE org_id = ? AND id = ?", (revoked_at_us, org_id, key_id)
        )


def _one(connection: sqlite3.Connection, condition: str, *values: Any) -> Key | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM keys WHERE {condition}", values).fetchone()
    return None if row is None else _from_row(row)


def _many(connection: sqlite3.Connection, condition: str, *values: Any, limit: int = -1) -> list[Key]:
    newest_first = f"SELECT {_COLUMNS} FROM keys WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT ?"
    return [_from_row(row) for row in connection.execute(newest_first, (*values, limit))]


def _from_row(row: tuple[Any, ...]) -> Key:
    (
        key_id,
        org_id,
        name,
        role,
        scopes,
        hint,
        created_at,
        user_id,
        project_id,
        expires_at,
        revoked_at,
        bootstrap,
    ) = row
    return Key(
        id=key_id,
        org_id=org_id,
        name=name,
        role=Role(role),
        scopes=frozenset(map(Scope, json.loads(scopes))),
        hint=hint,
        created_at_us=created_at,
        user_id=user_id,
        project_id=project_id,
        expires_at_us=expires_at,
        revoked_at_us=revoked_at,
        bootstrap=bool(bootstrap),
    )
