"""A SQLite file as a source of backups: a reader holds its snapshot, from which SQLite itself copies it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tallybook.backups.store import Copy, Fix
from tallybook.storage.sqlite.engine import SqliteEngine, meant


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
                path = folder / self._engine.path.name
                with closing(sqlite3.connect(path)) as target:
                    try:
                        reader.backup(target)
                    except sqlite3.Error as error:
                        raise meant(error, self._engine.path) from error
                return {table: _count(reader, table) for table in self._counted}

            yield fix


def _count(reader: sqlite3.Connection, table: str) -> int:
    count: int = reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count
