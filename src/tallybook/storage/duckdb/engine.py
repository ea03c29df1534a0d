"""The DuckDB file: one connection for the writer, a cursor per reader thread, numbered forward migrations.

DuckDB allows one process per file; a second one is refused by the engine with the owner's process id.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from tallybook.core.errors import StorageFull

# Automatic checkpoints run inside the commit that crosses the threshold and stall it for seconds; this is only the
# safety net below the checkpoints that the writer makes in quiet moments.
_CHECKPOINT_THRESHOLD = "1GB"


class NewerDatabase(RuntimeError):
    """The file was written by a newer release."""


class DamagedDatabase(RuntimeError):
    """The file cannot be read as an event store."""


class HeldDatabase(RuntimeError):
    """Another process holds the file."""


class DuckEngine:
    """Opens and migrates `path`. After a full disk it reopens the file by itself: readers and writer go on."""

    def __init__(self, path: Path, *, memory: str, threads: int) -> None:
        self.path = path
        self._config: dict[str, Any] = {
            "memory_limit": memory,
            "threads": threads,
            "checkpoint_threshold": _CHECKPOINT_THRESHOLD,
            "temp_directory": str(path.with_suffix(".tmp")),
        }
        self._local = threading.local()
        self._generation = 0
        self.writer = self._open()

    @property
    def wal_bytes(self) -> int:
        """Size of the write-ahead log, which grows until the next checkpoint."""
        try:
            return Path(f"{self.path}.wal").stat().st_size
        except FileNotFoundError:
            return 0

    def reader(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor on the newest commits."""
        if getattr(self._local, "generation", None) != self._generation:
            self._local.cursor = self.writer.cursor()
            self._local.generation = self._generation
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A write transaction: committed durably at the end, rolled back on any error. Raises `StorageFull`."""
        try:
            self.writer.execute("BEGIN")
            yield self.writer
            self.writer.execute("COMMIT")
        except duckdb.ConstraintException:
            self.writer.execute("ROLLBACK")
            raise
        except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
            self._reopen()
            if _is_full(error):
                raise StorageFull from error
            raise
        except BaseException:
            self.writer.execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """Folds the log into the file. Only between transactions of the writer."""
        self.writer.execute("CHECKPOINT")

    def close(self) -> None:
        self.writer.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            connection = duckdb.connect(str(self.path), config=self._config)
        except duckdb.IOException as error:
            raise _unopened(self.path, error) from error
        except (duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException) as error:
            raise DamagedDatabase(f"{self.path} is damaged: {error}") from error
        _migrate(connection)
        return connection

    def _reopen(self) -> None:
        """A failed write of the log invalidates the whole instance; what was committed is safe in the file."""
        self.writer.close()
        self.writer = self._open()
        self._generation += 1


def _is_full(error: duckdb.Error) -> bool:
    return re.search(r"No space left|File too large|disk full|quota", str(error), re.IGNORECASE) is not None


def _unopened(path: Path, error: duckdb.IOException) -> Exception:
    if "lock" in str(error):
        return HeldDatabase(f"another process holds {path}: {error}")
    if _is_full(error):
        return StorageFull()
    return DamagedDatabase(f"{path} cannot be opened: {error}")


def _migrate(connection: duckdb.DuckDBPyConnection) -> None:
    scripts = sorted(
        (entry for entry in resources.files(f"{__package__}.migrations").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    version = _version(connection)
    if version > len(scripts):
        raise NewerDatabase(f"the event store is at version {version}; this release knows {len(scripts)}")
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.execute(f"BEGIN; {script.read_text()}")
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (?)", [number])
        connection.execute("COMMIT")


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    try:
        row = connection.execute("SELECT version FROM schema_version").fetchone()
    except duckdb.CatalogException:
        return 0
    return int(row[0]) if row else 0
