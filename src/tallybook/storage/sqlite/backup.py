"""A SQLite file as a source of backups: a reader holds its snapshot, from which SQLite itself copies it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tallybook.backups.store import Copy, Fix
from tallybook.storage.sqlite.engine import SqliteEngine, telling_full


class SqliteBackup:
    """Implements `backups.store.Source`. `counted`: tables whose rows are told."""

    def __init__(self, engine: SqliteEngine, *counted: str) -> None:
        self._engine = engine
        self._counted = counted
        self.still = engine.still

    @contextmanager
    def prepared(self) -> Iterator[Fix]:
        with closing(self._engine.open_reader()) as reader:

            def fix() -> Copy:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # a snapshot is that of its first read
                return copy

            def copy(folder: Path) -> Mapping[str, int]:
                with closing(sqlite3.connect(folder / self._engine.path.name)) as target, telling_full():
                    reader.backup(target)
                return {table: _count(reader, table) for table in self._counted}

            yield fix


def _count(reader: sqlite3.Connection, table: str) -> int:
    count: int = reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count
