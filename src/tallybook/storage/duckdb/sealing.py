"""Puts facts and keys in order beside writer and readers, a run or a generation at a time, once there are enough."""

import time

import duckdb

from tallybook.core.errors import Overloaded
from tallybook.storage.duckdb import key_generations, runs, volumes
from tallybook.storage.duckdb.engine import DuckEngine

_INTERRUPT_SECONDS = 0.02
"""Between two interruptions: one between two statements has no effect."""


_RUNS_OF_KEYS = 4
"""A generation has as many keys as so many runs have facts: if more, each checkpoint has more of an index to write; if
fewer, each new key has more filters to pass."""

_RUNS_OF_A_VOLUME = 32
"""With more a question about the newest facts has more groups of rows to pass, with fewer one about all more tables."""

_MOVED_PART = 16
"""When a volume is closed facts that are in no run are moved, and nothing is written meanwhile: one part of so many of
a run at most."""


class Sealer:
    """`rows`: how many must have arrived for a run. More take more memory at once, fewer leave more to read later.

    `volume_runs`: how many runs have the facts of a volume.
    """

    def __init__(self, engine: DuckEngine, *, rows: int, volume_runs: int = _RUNS_OF_A_VOLUME) -> None:
        self._engine = engine
        self._rows = rows
        self._volume_rows = volume_runs * rows
        self._stopped = False
        self._connection: duckdb.DuckDBPyConnection | None = None

    def seal(self) -> bool:
        """Adds the next run or generation, or closes a volume; whether any was due.

        Reads are exact meanwhile, and the writer goes on. Raises `Overloaded` when the file is closed or reopened,
        `StorageFull`. If it is interrupted, by the end of the process too, each fact stays where it was appended or in
        the run, and each key under the primary key.
        """
        with self._engine.beside() as connection:
            self._connection = connection
            try:
                return not self._stopped and self._seal(connection)
            finally:
                self._connection = None

    def stop(self) -> None:
        """Interrupts what is under way, and nothing is begun any more."""
        self._stopped = True
        while (connection := self._connection) is not None:
            connection.interrupt()
            time.sleep(_INTERRUPT_SECONDS)

    def _seal(self, connection: duckdb.DuckDBPyConnection) -> bool:
        if not self._engine.facts.are_all:
            self._remove_replaced(connection, runs.newest(connection))  # which was not done, or has failed
        # Keys first: where facts come faster than they are put in order, a run is always due, and the index of keys
        # would grow with every event.
        if self._add_generation(connection):
            return True
        least = self._rows
        if volumes.events_in_runs(connection) >= self._volume_rows:
            few, unordered = max(1, self._rows // _MOVED_PART), runs.unordered(connection)
            if unordered < few:
                self._engine.close_volume()
                return True
            # The last runs are smaller and smaller, until few facts arrive while one is added. Where they do not become
            # so, runs are as large as ever: each has a cost of its own.
            if unordered <= runs.events_of_newest(connection) // 2:
                least = few
        run = self._add_next(connection, least)
        if run is None:
            return False
        self._remove_replaced(connection, run)
        return True

    def _add_next(self, connection: duckdb.DuckDBPyConnection, least: int) -> runs.Run | None:
        connection.execute("BEGIN")
        run = runs.next_run(connection, least, self._rows)
        if run is None:
            connection.execute("ROLLBACK")
            return None
        runs.add(connection, run)
        # While a large commit is made any reader may see rows of it, one that began before as well (DuckDB 2.0).
        self._engine.facts.show(runs.shown_while_added(run))
        try:
            self._await_earlier_reads(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._engine.facts.show(None)
            raise
        self._engine.facts.show(runs.shown_while_removed(run))
        return run

    def _await_earlier_reads(self, connection: duckdb.DuckDBPyConnection) -> None:
        until = self._engine.newest_lending
        while not self._engine.await_reads(until, connection, _INTERRUPT_SECONDS):
            if self._stopped:
                raise Overloaded("the server is shutting down")

    def _add_generation(self, connection: duckdb.DuckDBPyConnection) -> bool:
        keys = _RUNS_OF_KEYS * self._rows
        connection.execute("BEGIN")
        generation = key_generations.next_generation(connection, keys)
        if generation is None:
            connection.execute("ROLLBACK")
            return False
        key_generations.add(connection, generation, keys)
        connection.execute("COMMIT")
        self._engine.key_generation = generation.number
        return True

    def _remove_replaced(self, connection: duckdb.DuckDBPyConnection, run: runs.Run) -> None:
        connection.execute("BEGIN")
        runs.remove_replaced(connection, run)
        connection.execute("COMMIT")
        self._engine.facts.show(None)
