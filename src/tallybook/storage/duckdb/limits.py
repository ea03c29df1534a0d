"""What a read may take: its turn, its time, its memory. Beyond that, an error says how to narrow the question."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import duckdb

from tallybook.analytics.errors import QueriesWaiting, QueryOutOfMemory, QueryTimeout

_INTERRUPT_SECONDS = 0.02
"""Between two interruptions of a read over its time: one that falls between two statements is lost."""


@dataclass(frozen=True)
class Limits:
    """At most `threads` reads at once, of which `report_threads` reports: looking something up need not wait for those.
    Nor need reports wait for exports, unless there is but one thread for both.

    `timeout_seconds`: how long a read may wait for its turn, and how long it may then take.
    """

    threads: int
    report_threads: int
    timeout_seconds: float


class Turns:
    """Lets as many read as the limits say; more wait."""

    def __init__(self, limits: Limits) -> None:
        self._all = threading.BoundedSemaphore(limits.threads)
        self._of_reports = threading.BoundedSemaphore(limits.report_threads)
        # They take as long as they take: those of one caller must not keep all others from their reports.
        self._of_exports = threading.BoundedSemaphore(max(1, limits.report_threads - 1))
        self._timeout_seconds = limits.timeout_seconds

    @contextmanager
    def taken(self, *, report: bool, export: bool = False) -> Iterator[None]:
        """`export`: a report that is one. Raises `QueriesWaiting` if no turn comes."""
        until = time.monotonic() + self._timeout_seconds
        with ExitStack() as held:
            for turns in [*[self._of_exports] * export, *[self._of_reports] * report, self._all]:
                if not turns.acquire(timeout=max(0, until - time.monotonic())):
                    raise QueriesWaiting(self._timeout_seconds)
                held.callback(turns.release)
            yield


@contextmanager
def bounded(reader: duckdb.DuckDBPyConnection, timeout_seconds: float) -> Iterator[None]:
    """Ends what is read within after so long. Raises `QueryTimeout`, `QueryOutOfMemory`."""
    watch = _Watch(reader, timeout_seconds)
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise QueryOutOfMemory from error
    except duckdb.InterruptException as error:
        if not watch.has_expired:
            raise
        raise QueryTimeout(timeout_seconds) from error
    finally:
        watch.end()
    if watch.has_expired:
        raise QueryTimeout(timeout_seconds)


class _Watch:
    """Interrupts the reader once its time is over, until it is done: it may belong to somebody else afterwards."""

    def __init__(self, reader: duckdb.DuckDBPyConnection, timeout_seconds: float) -> None:
        self.has_expired = False
        self._reader = reader
        self._is_over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(timeout_seconds, self._interrupt)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._is_over = True

    def _interrupt(self) -> None:
        while True:
            with self._lock:
                if self._is_over:
                    return
                self.has_expired = True
                self._reader.interrupt()
            time.sleep(_INTERRUPT_SECONDS)
