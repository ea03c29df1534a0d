"""The SQLite file: one writer with group commit, read-only readers, numbered forward migrations.

WAL with `synchronous=FULL`: a commit returns after the log reached the disk. Reads never wait for the writer.
"""

import asyncio
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import msgspec

from tallybook.core.clock import Clock
from tallybook.core.errors import Overloaded, Refusal, StorageDamaged, StorageFull
from tallybook.core.failpoints import AtFailpoint, Failpoint, go_on
from tallybook.core.group_commit import GroupWriter
from tallybook.core.unit_of_work import (
    Effect,
    Record,
    Repeat,
    RepeatedWithOtherBody,
    Result,
    Transaction,
    record_of_refusal,
    refusal_in,
)
from tallybook.storage.migrations import pending
from tallybook.storage.new_file import made_whole

Work = Callable[[sqlite3.Connection], Any]
Item = TypeVar("Item")
Answer = TypeVar("Answer")

_WRITER_CACHE_KIB = 64 * 1024
"""Pages the writer keeps in memory: enough that the hot ends of the ledger's indexes stay there."""

_LOG_BYTES = 4 * 2**20
"""Of the log, from which on a commit folds it into the file: what the log takes on disk, but for one more commit."""

_WIPE_SECONDS = 5

_OUTCOMES_LOOKED_AT = 100_000
"""The oldest ones, for each step of a purge: some 30 ms beside the writer."""

_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,  # how a limit on the size of files shows
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}


_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _HalfDone(Exception):
    """A job failed behind its first change, and nothing marks where it began."""


class _Cursor(sqlite3.Cursor):
    """Raises what callers can make something of, if SQLite's error means such."""

    connection: "_Reader"

    def execute(self, *arguments: Any) -> "_Cursor":
        return self._told(super().execute, *arguments)

    def fetchone(self) -> Any:
        return self._told(super().fetchone)

    def fetchmany(self, *arguments: Any) -> list[Any]:
        return self._told(super().fetchmany, *arguments)

    def fetchall(self) -> list[Any]:
        return self._told(super().fetchall)

    def __next__(self) -> Any:
        return self._told(super().__next__)

    def _told(self, method: Callable[..., Answer], *arguments: Any) -> Answer:
        try:
            return method(*arguments)
        except sqlite3.Error as error:
            raise meant(error, self.connection.path) from error


class _Reader(sqlite3.Connection):
    """A read-only connection of the file at `path`."""

    path: Path

    def execute(self, *arguments: Any) -> _Cursor:
        return self.cursor(_Cursor).execute(*arguments)


class SqliteEngine:
    """Opens `path`, migrates it, and serves as the `Writes` of every room that keeps its facts here.

    `reach` is called at each failpoint, also by the stores. `page_bytes`: of a new file; an older one keeps its own.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        name: str = "ledger",
        migrations: str = "migrations",
        page_bytes: int = 4096,
        queue_max: int = 10_000,
        flush_max: int = 1_000,
        reach: AtFailpoint = go_on,
    ) -> None:
        self.path = path
        self.reach = reach
        self._gatherings: list[Gathering[Any]] = []
        # A URI, so that a blank, `?` or `%` in a folder's name stays part of the name.
        self._read_only_uri = f"{path.absolute().as_uri()}?mode=ro"
        self._clock = clock
        self._apart = False
        self._changes_before = 0
        self._local = threading.local()
        # Weak, so that the connection of a thread that has ended is closed with it.
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._writing = threading.Lock()
        """Held while a flush is committed."""
        self._writer = _opened(path, migrations, page_bytes)
        self.queue: GroupWriter[Work, Any] = GroupWriter(
            name, self._flush, queue_weight_max=queue_max, flush_weight_max=flush_max
        )

    def gathering(
        self,
        write: Callable[[sqlite3.Connection, Sequence[Item]], None],
        committed: Callable[[int], None] = lambda count: None,
    ) -> "Gathering[Item]":
        """Collects what the jobs of a commit add, for one `write` of all of it right before that commit.

        `committed` is told how many there were, after it and before anybody is answered.
        """
        gathering = Gathering(write, committed)
        self._gatherings.append(gathering)
        return gathering

    async def write(self, work: Work) -> Any:
        """Runs `work` on the writer in the next group commit; its exception rolls back its own changes."""
        return await self.queue.submit(work)

    def write_from_thread(self, work: Work) -> Any:
        """As `write`, for a thread without an event loop, which it holds until the commit."""
        return self.queue.submit_from_thread(work).result()

    async def run(self, effect: Callable[[Transaction], Result]) -> Result:
        return cast(Result, await self.queue.submit(effect))

    async def once(self, repeat: Repeat | None, effect: Effect) -> Record:
        job = effect if repeat is None else partial(self._run_once, repeat, effect)
        outcome: Record = await self.queue.submit(job)
        refusal = refusal_in(outcome)
        if refusal is not None:
            raise refusal
        return outcome

    async def purge_outcomes(self, before_us: int, limit: int) -> int:
        """Forgets the oldest outcomes from before that instant, at most `limit` of them; returns how many."""
        old = await asyncio.to_thread(self._old_outcomes, before_us, limit)
        if old:
            await self.write(partial(_forget_outcomes, before_us=before_us, seqs=old))
        return len(old)

    def read(self, transaction: Transaction | None = None) -> sqlite3.Connection:
        """The connection of the transaction, else this thread's read-only one, of which every statement sees the newest
        commit.
        """
        if transaction is not None:
            return connection_of(transaction)
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self.open_reader()
        return reader

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """This thread's read-only connection; all statements see the same commit."""
        reader = self.read()
        reader.execute("BEGIN")
        try:
            yield reader
        finally:
            reader.execute("COMMIT")

    def open_reader(self) -> sqlite3.Connection:
        """A read-only connection of the caller's own, for any thread, one at a time. Close it."""
        reader = sqlite3.connect(
            self._read_only_uri, uri=True, isolation_level=None, check_same_thread=False, factory=_Reader
        )
        reader.path = self.path
        self._readers.add(reader)
        return reader

    def check(self, seconds: float) -> None:
        """Reads as much of the file as it can in that time, to see whether it is whole. Raises `StorageDamaged`."""
        if not seconds:
            return
        with closing(self.open_reader()) as reader:
            timer = threading.Timer(seconds, reader.interrupt)
            timer.start()
            try:
                ((first, *_),) = reader.execute("PRAGMA quick_check(1)").fetchall()
            except sqlite3.OperationalError:  # the time is over
                return
            finally:
                timer.cancel()
                timer.join()
        if first != "ok":
            raise StorageDamaged(self.path, first.rpartition("\n")[2])

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing is committed while it lasts."""
        with self._writing:
            yield

    def wipe_log(self) -> None:
        """Empties the log, with all that it still tells of what is gone from the file. Waits for readers.

        Raises `Overloaded` if they take too long.
        """
        with closing(sqlite3.connect(self.path, timeout=_WIPE_SECONDS)) as connection:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Overloaded("the log of a file is being read")

    def close(self) -> None:
        """Commits what is queued and closes the file."""
        self.queue.close()
        for connection in (*self._readers, self._writer):
            connection.close()

    def _old_outcomes(self, before_us: int, limit: int) -> list[int]:
        # Outcomes stand in the order of their commits, and hence of their instants, but for those of a clock that was
        # wrong: young ones among the oldest are stepped past, so far as this look may take.
        found = self.read().execute(
            "SELECT seq FROM (SELECT seq, created_at FROM outcomes ORDER BY seq LIMIT ?) WHERE created_at < ? LIMIT ?",
            (_OUTCOMES_LOOKED_AT, before_us, limit),
        )
        return [seq for (seq,) in found]

    def _flush(self, jobs: Sequence[Work]) -> Sequence[Any]:
        with self._writing:
            try:
                return self._commit(jobs, apart=False)
            except _HalfDone:
                return self._commit(jobs, apart=True)

    def _commit(self, jobs: Sequence[Work], *, apart: bool) -> Sequence[Any]:
        """Runs the jobs in one transaction. Raises `_HalfDone`, with nothing done, unless they are kept `apart`.

        A savepoint around each job keeps a copy of every page it touches, a tenth of all work. As good as no job fails
        behind its first change, so they are only made when one did.
        """
        self._apart = apart
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self.reach(Failpoint.FLUSH_BEGUN)
            answers = [self._attempt(job) for job in jobs]
            for gathering in self._gatherings:
                gathering.write(self._writer)
            self.reach(Failpoint.BEFORE_COMMIT)
            self._writer.execute("COMMIT")
            self.reach(Failpoint.AFTER_COMMIT)
            for gathering in self._gatherings:
                gathering.tell()
        except (sqlite3.Error, _HalfDone) as error:
            with suppress(sqlite3.Error):  # a failing disk may have ended the transaction already
                self._writer.execute("ROLLBACK")
            for gathering in self._gatherings:
                gathering.forget()
            raise meant(error, self.path) from error
        return answers

    def _attempt(self, job: Work) -> Any:
        if self._apart:
            self._writer.execute("SAVEPOINT job")
        self._changes_before = self._writer.total_changes
        for gathering in self._gatherings:
            gathering.keep()
        try:
            answer = job(self._writer)
            if isinstance(answer, sqlite3.Cursor):
                answer = None  # let go on another thread it would reset a statement that the writer may be running
        except _HalfDone:
            raise  # no way to undo this job alone: nothing of this flush may commit
        except Exception as error:
            if _is_of_the_disk(error):
                raise  # so too
            self._undo()
            answer = meant(error, self.path)
        if self._apart:
            self._writer.execute("RELEASE job")
        self.reach(Failpoint.JOB_DONE)
        return answer

    def _undo(self) -> None:
        """Takes back what the present job has changed. Raises `_HalfDone`."""
        if self._apart:
            self._writer.execute("ROLLBACK TO job")
        elif self._writer.total_changes != self._changes_before:
            raise _HalfDone
        for gathering in self._gatherings:
            gathering.undo()

    def _run_once(self, repeat: Repeat, effect: Effect, writer: sqlite3.Connection) -> Record:
        request = repeat.request
        known = _known_outcome(writer, repeat, request)
        if known is not None:
            return known
        try:
            outcome = effect(writer)
        except Refusal as refusal:
            self._undo()
            outcome = record_of_refusal(refusal)
        self.reach(Failpoint.EFFECT_DONE)
        kept = (repeat.org_id, request, repeat.body_hash, msgspec.json.encode(outcome).decode(), self._clock.now_us())
        writer.execute(
            "INSERT INTO outcomes (org_id, request, body_hash, outcome, created_at) VALUES (?, ?, ?, ?, ?)", kept
        )
        return outcome


class Gathering(Generic[Item]):
    """What the jobs of the commit in progress have added; a job that is rolled back has added nothing.

    The engine calls all methods but `add`; who added may look through it.
    """

    def __init__(
        self, write: Callable[[sqlite3.Connection, Sequence[Item]], None], committed: Callable[[int], None]
    ) -> None:
        self._write = write
        self._committed = committed
        self._items: list[Item] = []
        self._kept = self._written = 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def add(self, transaction: Transaction, item: Item) -> None:
        self._items.append(item)

    def keep(self) -> None:
        self._kept = len(self._items)

    def undo(self) -> None:
        del self._items[self._kept :]

    def write(self, writer: sqlite3.Connection) -> None:
        if self._items:
            self._write(writer, self._items)
            self._written = len(self._items)
            self._items = []

    def tell(self) -> None:
        if self._written:
            self._committed(self._written)
            self._written = 0

    def forget(self) -> None:
        self._items = []
        self._written = 0


def meant(error: Exception, path: Path) -> Exception:
    """What callers can make something of, if SQLite's error means such; else the error."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in _FULL:
        return StorageFull()
    if code is not None and code & 0xFF in _DAMAGED:
        return StorageDamaged(path, str(error))
    return error


def _is_of_the_disk(error: Exception) -> bool:
    """Whether every job of the flush fails with it. A plain `SQLITE_ERROR` is that of a statement, such as a sum's."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR


def connection_of(transaction: Transaction) -> sqlite3.Connection:
    """The connection behind a transaction that this engine made."""
    return cast(sqlite3.Connection, transaction)


def _known_outcome(writer: sqlite3.Connection, repeat: Repeat, request: bytes) -> Record | None:
    row = writer.execute(
        "SELECT body_hash, outcome FROM outcomes WHERE request = ? AND org_id = ?", (request, repeat.org_id)
    ).fetchone()
    if row is None:
        return None
    if row[0] != repeat.body_hash:
        raise RepeatedWithOtherBody
    outcome: Record = msgspec.json.decode(row[1])
    return outcome


def _forget_outcomes(writer: sqlite3.Connection, *, before_us: int, seqs: list[int]) -> None:
    writer.execute(
        "DELETE FROM outcomes WHERE seq IN (SELECT value FROM json_each(?)) AND created_at < ?",
        (msgspec.json.encode(seqs).decode(), before_us),
    )


def _opened(path: Path, migrations: str, page_bytes: int) -> sqlite3.Connection:
    """The connection of the writer. Raises `StorageDamaged` and `NewerDatabase`."""
    if not path.exists():
        with made_whole(path) as draft:
            _migrated(draft, migrations, page_bytes).close()
    if path.stat().st_size == 0:  # SQLite would begin anew
        raise StorageDamaged(path, "it is empty")
    return _migrated(path, migrations, page_bytes)


def _migrated(path: Path, migrations: str, page_bytes: int) -> sqlite3.Connection:
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        writer.execute(f"PRAGMA page_size={page_bytes}")  # of a new file, before anything is in it
        writer.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
        # What is deleted is overwritten: a purged outcome must not linger in free pages (see decision 0002).
        writer.execute("PRAGMA secure_delete=ON")
        writer.execute(f"PRAGMA cache_size=-{_WRITER_CACHE_KIB}")
        writer.execute(f"PRAGMA wal_autocheckpoint={_LOG_BYTES // page_bytes}")
        _migrate(writer, path, migrations)
    except sqlite3.Error as error:
        raise meant(error, path) from error
    return writer


def _migrate(writer: sqlite3.Connection, path: Path, folder: str) -> None:
    (version,) = writer.execute("PRAGMA user_version").fetchone()
    for number, script in pending(__package__, folder, version, path):
        writer.executescript(f"BEGIN; {script} ; PRAGMA user_version={number}; COMMIT;")
