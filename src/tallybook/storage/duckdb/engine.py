"""The DuckDB file: one connection for the writer, cursors lent to readers, numbered forward migrations.

DuckDB allows one process per file; a second one is refused by the engine with the owner's process id.
"""

import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from tallybook.core.errors import Overloaded, StorageDamaged, StorageFull
from tallybook.storage.duckdb import key_generations, runs, volumes
from tallybook.storage.duckdb.key_filters import KeyFilters
from tallybook.storage.duckdb.last_commits import LastCommits
from tallybook.storage.duckdb.shown_facts import ShownFacts
from tallybook.storage.duckdb.used_columns import UsedColumns
from tallybook.storage.duckdb.waiting import WaitingColumns
from tallybook.storage.migrations import HeldDatabase, NewerDatabase, pending
from tallybook.storage.new_file import made_whole

# Automatic checkpoints run inside the commit that crosses the threshold and stall it for seconds; this is only the
# safety net below the checkpoints that the writer makes in quiet moments.
_CHECKPOINT_THRESHOLD = "1GB"

_ROWS_TOGETHER = 6_144
"""Rows of a group, for which DuckDB keeps the least and the greatest value of every column.

A commit of a whole group goes to the file at once, compressed, and the log only says where it is; of fewer rows the log
gets every column, eight bytes for each null, and a checkpoint compresses them.
"""

_BY_STATISTICS = "statistics_propagation"
"""What DuckDB 2.0 must not do: it leaves out a condition that all rows held when the statement was planned, while those
of a large commit that is being made may come to be seen.
"""

_NEVER = "1000TB"

_CHECKPOINT_ROOM = 2
"""Free space that a checkpoint is given, as a multiple of the log: it writes before it frees."""

_INTERRUPT_SECONDS = 0.05
"""Between two interruptions of reads that hold up a reopening."""

_RENEWAL_SECONDS = 0.5
"""How long those who are reading may hold up a renewal, and all who come meanwhile with it."""

_FULL = re.compile(r"No space left|File too large|disk full|quota", re.IGNORECASE)


# How DuckDB says that a block is not what was written, or not there.
_DAMAGED = re.compile(r"Corrupt database file|Could not read enough bytes")
_HOLDER = re.compile(r"Conflicting lock is held in .*?( \(PID \d+\))")


_INTERRUPTED = (duckdb.FatalException, duckdb.ConnectionException, duckdb.InterruptException)
_INVALIDATED = "has been invalidated"
"""What a read meets where another one or a write has brought the file down."""

_UNREADABLE = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)
"""What DuckDB raises where it cannot make anything of a file."""


class DuckEngine:
    """Opens and migrates `path`. One thread writes; cursors are lent to readers, one per concurrent read.

    `query_memory`: what one read may take of `memory` for sorting and grouping; more goes to the disk.

    An error that invalidates the file, as that of a checkpoint on a full disk does, makes the engine reopen it by
    itself: readers and writer go on. What was committed is safe in the file and its log.
    """

    def __init__(self, path: Path, *, memory: str, threads: int, query_memory: str) -> None:
        self.path = path
        self._query_memory = query_memory
        self._memory = memory
        self._config: Mapping[str, Any] = {
            # No memory limit yet: what the log holds must be read in, however much it is.
            "threads": threads,
            "checkpoint_threshold": _CHECKPOINT_THRESHOLD,
            "temp_directory": str(path.with_suffix(".tmp")),
            # A read sees what was committed when it began, not when it first touched a table.
            "immediate_transaction_mode": True,
            # A checkpoint would merge and rewrite what runs are about to replace, in up to four times the time.
            "max_vacuum_tasks": 0,
        }
        self._writing = threading.RLock()
        """Held while the connection of the writer is used or replaced."""
        self._beside = threading.Lock()
        """Held by who writes beside the writer, who can't fold in the log meanwhile."""
        self.facts = ShownFacts(path.stem)
        self.used_columns = UsedColumns()
        self.last_commits = LastCommits()
        self.waiting: WaitingColumns  # of each opening its own
        self.key_generation = 0
        """The newest generation of keys that was added: told before any of its keys leaves `keys`."""
        self.key_filters = KeyFilters()
        self._readers = threading.Condition()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._lent: dict[duckdb.DuckDBPyConnection, int] = {}
        """By the number of the lending."""
        self._lendings = 0
        self._closed = False
        self.openings = 0
        """How often the file was opened: what was remembered from before the last time must be read again."""
        self._connection: duckdb.DuckDBPyConnection | None = self._open()

    def close_volume(self) -> None:
        """Closes the next volume (`volumes.close`), where reads that begin find its facts. Raises `StorageFull`."""
        with self._undone_on_error() as writer:
            volume = volumes.close(writer)
            with self.facts.closing(volume):
                writer.execute("COMMIT")

    @property
    def newest_lending(self) -> int:
        """Number of the read that began last, for `await_reads`."""
        return self._lendings

    def await_reads(self, until: int, own: duckdb.DuckDBPyConnection, seconds: float) -> bool:
        """Waits so long for the reads that began by this lending, but for `own`; whether all have ended."""
        with self._readers:
            return self._readers.wait_for(
                lambda: all(number > until for cursor, number in self._lent.items() if cursor is not own), seconds
            )

    @property
    def wal_bytes(self) -> int:
        """Size of the write-ahead log, which grows until the next checkpoint."""
        try:
            return Path(f"{self.path}.wal").stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction of a reader: everything read in it is of the same commit, and nothing written in it stays.

        Raises `StorageFull` if a large read finds no room to spill, `Overloaded` when the file is reopened meanwhile.
        """
        try:
            cursor = self._begin_reading()
        except duckdb.Error:
            self.revive()
            cursor = self._begin_reading()
        with self._lent_out(cursor):
            yield cursor

    @contextmanager
    def beside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to write with beside the writer, one at a time, of rows that the writer never touches.

        What is begun and not committed is rolled back. Raises as `reading`.
        """
        with self._beside:
            connection = self._lend()
            with self._lent_out(connection):
                connection.execute("RESET operator_memory_limit")  # which is for questions
                try:
                    yield connection
                finally:
                    with suppress(duckdb.Error):
                        self._bound(connection)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A write transaction: committed durably at the end, rolled back on any error. Raises `StorageFull`."""
        with self._undone_on_error() as writer:
            yield writer
            writer.execute("COMMIT")

    @contextmanager
    def _undone_on_error(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._writing:
            writer = self._begin_writing()
            try:
                yield writer
            except BaseException as error:
                _roll_back(writer)
                self.revive()
                self._tell(error)
                raise

    @contextmanager
    def still(self) -> Iterator[None]:
        """No write transaction and no checkpoint of the writer while it lasts."""
        with self._writing:
            yield

    @contextmanager
    def without_checkpoints(self) -> Iterator[None]:
        """Commits go to the log alone: all that the file refers to stays where it is. Waits for who writes beside.

        Raises `Overloaded` at the end if the file was closed or reopened meanwhile.
        """
        with self._beside:
            opening = self.openings
            self._set("checkpoint_threshold", _NEVER)
            try:
                yield
                if self._closed or self.openings != opening:
                    raise Overloaded("the event store was closed or reopened")
            finally:
                with suppress(duckdb.Error, Overloaded):
                    self._set("checkpoint_threshold", _CHECKPOINT_THRESHOLD)

    @contextmanager
    def one_thread_each(self) -> Iterator[None]:
        """Leaves the other cores alone: whatever is asked meanwhile takes the thread that asks, and no more."""
        self._set("threads", "1")
        try:
            yield
        finally:
            with suppress(duckdb.Error, Overloaded):
                self._set("threads", str(self._config["threads"]))

    def _set(self, name: str, value: str) -> None:
        with self._writing:
            self._open_connection().execute(f"SET GLOBAL {name} = '{value}'")

    def checkpoint(self) -> None:
        """Folds the log into the file, if the disk has room for it. Only between transactions of the writer."""
        if not self._beside.acquire(blocking=False):
            return  # there will be another moment
        try:
            with self._writing:
                self._checkpoint()
        finally:
            self._beside.release()

    def renew(self) -> bool:
        """Opens the file anew; False if somebody goes on reading, or writes beside.

        What DuckDB knows of each group of rows that it has written, some 50 bytes for each event, it keeps in memory
        until then, and goes through it at each checkpoint. Between transactions of the writer, while the log is short.
        """
        if not self._beside.acquire(blocking=False):
            return False
        try:
            with self._writing:
                if not self._close_unless_read():
                    return False
                self._connection = self._open_again()
                return True
        finally:
            self._beside.release()

    def revive(self) -> None:
        """Reopens the file if an error has invalidated the instance. Waits for a write under way to end."""
        with self._writing:
            if self._closed or (self._connection is not None and _is_alive(self._connection)):
                return
            self._retire()
            self._connection = self._open()

    def close(self) -> None:
        """Ends what is still being read and closes the file. Whoever comes later meets `Overloaded`."""
        with self._writing:
            self._closed = True
            self._retire()

    def _checkpoint(self) -> None:
        # One that fails for want of space does no harm to the data but takes the instance down.
        if self.wal_bytes == 0 or shutil.disk_usage(self.path.parent).free < _CHECKPOINT_ROOM * self.wal_bytes:
            return
        try:
            self._open_connection().execute("CHECKPOINT")
        except duckdb.TransactionException:
            return  # a read that began before `keys` began anew still has the old one; there will be another moment
        except duckdb.Error as error:
            self.revive()
            self._tell(error)
            raise

    def _begin_writing(self) -> duckdb.DuckDBPyConnection:
        try:
            self._open_connection().execute("BEGIN")
        except duckdb.Error:
            self.revive()
            self._open_connection().execute("BEGIN")
        return self._open_connection()

    def _begin_reading(self) -> duckdb.DuckDBPyConnection:
        cursor = self._lend()
        try:
            self.facts.begin(cursor)
        except BaseException:
            _roll_back(cursor)
            self._take_back(cursor)
            raise
        return cursor

    @contextmanager
    def _lent_out(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            if isinstance(error, _INTERRUPTED) or _INVALIDATED in str(error):
                raise Overloaded("the event store is being reopened") from error
            self._tell(error)
            raise
        finally:
            _roll_back(cursor)
            self._take_back(cursor)

    def _open_connection(self) -> duckdb.DuckDBPyConnection:
        """The connection; tries again to open the file where reopening it has failed."""
        connection = self._connection
        if connection is None:
            self.revive()
            connection = self._connection
        if connection is None:
            raise Overloaded("the event store is closed")
        return connection

    def _lend(self) -> duckdb.DuckDBPyConnection:
        while True:
            with self._readers:
                if self._connection is not None:
                    cursor = self._idle.pop() if self._idle else self._bound(self._connection.cursor())
                    self._lendings += 1
                    self._lent[cursor] = self._lendings
                    return cursor
            self._open_connection()

    def _bound(self, cursor: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        return _turned_to(self.path, cursor).execute(f"SET operator_memory_limit = '{self._query_memory}'")

    def _take_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        with self._readers:
            del self._lent[cursor]
            self.facts.end(cursor)
            self._idle.append(cursor)
            self._readers.notify_all()

    def _close_unless_read(self) -> bool:
        connection = self._open_connection()
        with self._readers:
            self._connection = None  # who comes now waits until there is one again
            if not self._readers.wait_for(lambda: not self._lent, _RENEWAL_SECONDS):
                self._connection = connection
                return False
            connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            self._close_all(connection)
        return True

    def _retire(self) -> None:
        with self._readers:
            connection, self._connection = self._connection, None
            while self._lent:
                for cursor in self._lent:
                    cursor.interrupt()
                self._readers.wait(_INTERRUPT_SECONDS)
            if connection is not None:
                self._close_all(connection)

    def _close_all(self, connection: duckdb.DuckDBPyConnection) -> None:
        """With all cursors: while one is left, the instance behind it holds the file."""
        for cursor in self._idle:
            cursor.close()
        self._idle.clear()
        connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        connection = self._attached()
        with self._closed_on_error(connection):
            _migrate(connection, self.path)
            where = runs.shown_now(connection)  # nothing is removed here: a full disk must not keep the file shut
            closed = volumes.closed(connection)
            self.used_columns.read(connection, ["facts", *(volume.table for volume in closed)])
            self._limit(connection)
            self.key_generation = key_generations.newest(connection).number
        self.facts.begin_with(where, closed)
        self.openings += 1
        self.waiting = WaitingColumns()
        return connection

    def _open_again(self) -> duckdb.DuckDBPyConnection:
        """As it was when it was closed, a moment ago."""
        connection = self._attached()
        with self._closed_on_error(connection):
            self._limit(connection)
        return connection

    def _attached(self) -> duckdb.DuckDBPyConnection:
        try:
            if not self.path.exists():
                if self.openings:
                    raise StorageDamaged(self.path, "it is gone")
                _make(self.path)
            return attached(self.path, self._config)
        except duckdb.Error as error:
            raise _unopened(self.path, error) from error

    def _limit(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"SET GLOBAL memory_limit = '{self._memory}'")
        connection.execute(f"SET GLOBAL disabled_optimizers = '{_BY_STATISTICS}'")

    @contextmanager
    def _closed_on_error(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Whoever keeps the exception would else keep the instance, dead or alive, and the file."""
        try:
            yield
        except BaseException as error:
            connection.close()
            self._tell(error)
            raise

    def _tell(self, error: BaseException) -> None:
        """Raises what callers can make something of, if DuckDB's error means such."""
        if _is_full(error):
            raise StorageFull from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise Overloaded("the event store has no memory left; duckdb_memory sets it") from error
        if isinstance(error, duckdb.Error) and _DAMAGED.search(str(error)):
            raise StorageDamaged(self.path, str(error)) from error


def attached(path: Path, config: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """A connection to the file, of an instance of its own. Raises `duckdb.Error`."""
    connection = duckdb.connect(config=dict(config))
    try:
        file = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{file}' AS \"{path.stem}\" (ROW_GROUP_SIZE {_ROWS_TOGETHER})")
        return _turned_to(path, connection)
    except BaseException:
        connection.close()
        raise


def _turned_to(path: Path, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Of which names mean what is in the file; without the bar that is drawn on standard output for what takes long."""
    return connection.execute(f'USE "{path.stem}"; SET enable_progress_bar = false')


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    # A failed commit has ended the transaction already; an invalidated instance is reopened by the caller.
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")


def _is_alive(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the file can be asked: the instance outlives it."""
    try:
        connection.execute("SELECT version FROM schema_version").fetchone()
    except duckdb.Error:
        return False
    return True


def _is_full(error: BaseException) -> bool:
    return isinstance(error, duckdb.Error) and _FULL.search(str(error)) is not None


def _unopened(path: Path, error: duckdb.Error) -> Exception:
    if _is_full(error):
        return StorageFull()
    if "Could not set lock" in str(error):
        holder = _HOLDER.search(str(error))
        return HeldDatabase(f"another process holds {path}{holder[1] if holder else ''}")
    if "database file with version number" in str(error):
        return NewerDatabase(f"{path} was written by a newer DuckDB than this release has")
    if _DAMAGED.search(str(error)) or isinstance(error, _UNREADABLE):
        return StorageDamaged(path, str(error))
    return error


def _make(path: Path) -> None:
    with made_whole(path) as draft, duckdb.connect(str(draft)) as connection:
        _migrate(connection, path)


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    for number, script in pending(__package__, "migrations", _version(connection), path):
        connection.execute(f"BEGIN; {script}")
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (?)", [number])
        connection.execute("COMMIT")


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    try:
        row = connection.execute("SELECT version FROM schema_version").fetchone()
    except duckdb.CatalogException:
        return 0
    return int(row[0]) if row else 0
