"""Whether the event store is whole, as far as it can be told within a bounded time."""

import threading
import time

import duckdb

from tallybook.storage.duckdb.engine import DuckEngine

_TABLES = ("arrivals", "corrections", "superseded", "keys", "older_keys", "request_keys")
# DuckDB compares a block with its checksum when it reads it, and stores no more than so many rows together: one row of
# so many makes it read every block of the columns, for a third of the work that all rows are.
_ROWS = 2_048


def read_through(engine: DuckEngine, seconds: float) -> None:
    """Reads every block of the tables, or as many as it can in that time. Raises `StorageDamaged`.

    On one core: the other one is loading the rest of the server meanwhile.
    """
    until = time.monotonic() + seconds
    with engine.one_thread_each(), engine.reading() as reader:
        timer = threading.Timer(seconds, reader.interrupt)
        timer.start()
        try:
            for table in (*_TABLES, *engine.facts.tables):
                if time.monotonic() < until:
                    reader.execute(
                        f"SELECT bit_xor(hash(stored)) FROM {table} AS stored WHERE rowid % {_ROWS} = 0"
                    ).fetchall()
        except duckdb.InterruptException:
            pass
        finally:
            timer.cancel()
            timer.join()
