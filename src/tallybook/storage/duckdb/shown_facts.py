"""What a read sees as `facts`: a table, less what is there twice for a moment, and the volumes that it asks for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from tallybook.core.time_window import TimeWindow
from tallybook.storage.duckdb.volumes import Volume


@dataclass(frozen=True)
class _Shown:
    """The rows for which `where` holds, None all, and those of the volumes it has `reached`.

    `closed`: the volumes there were when the read began.
    """

    where: str | None = None
    closed: tuple[Volume, ...] = ()
    reached: tuple[Volume, ...] = ()


class ShownFacts:
    """Of the file that is attached as `schema`.

    A read whose `facts` are not just the table has a temporary view of that name, inside its own transaction, so that
    no statement need know of it. One that is to be planned quickly names the tables of volumes instead (`tables_of`).
    """

    def __init__(self, schema: str) -> None:
        self._schema = f'"{schema}"'
        self._beginning = threading.Lock()
        """Held while a read begins: what it is shown is what is so then."""
        self._next = _Shown()
        """Is shown to the next read that begins."""
        self._begun: dict[duckdb.DuckDBPyConnection, _Shown] = {}

    @property
    def table(self) -> str:
        """By a name that means it whatever a reader is shown as `facts`."""
        return f"{self._schema}.facts"

    @property
    def tables(self) -> list[str]:
        """All tables of facts, by such names."""
        return [self.table, *map(self._table_of, self._next.closed)]

    @property
    def are_all(self) -> bool:
        """Whether the next read sees all rows of the table."""
        return self._next.where is None

    def begin_with(self, where: str | None, closed: tuple[Volume, ...]) -> None:
        """When the file is opened."""
        with self._beginning:
            self._next = _Shown(where, closed)

    def show(self, where: str | None) -> None:
        """To the reads that begin from now on, these rows of the table; None: all."""
        with self._beginning:
            self._next = replace(self._next, where=where)

    @contextmanager
    def closing(self, volume: Volume) -> Iterator[None]:
        """For the commit that closes it: reads begin before or after it, and those after find its facts there."""
        with self._beginning:
            yield
            self._next = replace(self._next, closed=(*self._next.closed, volume))

    def begin(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Begins its transaction."""
        with self._beginning:
            reader.execute("BEGIN")
            shown = self._begun[reader] = self._next
        if shown.where is not None:
            self._show(reader, shown)

    def end(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Its transaction has ended, if there was one."""
        self._begun.pop(reader, None)

    def reach(self, reader: duckdb.DuckDBPyConnection, window: TimeWindow) -> None:
        """Shows the reader those facts of the window too that stand in volumes. Before, it sees none of them."""
        if hidden := self._hidden(reader, window):
            shown = self._begun[reader]
            self._show(reader, replace(shown, reached=(*shown.reached, *hidden)))

    def tables_of(self, reader: duckdb.DuckDBPyConnection, window: TimeWindow) -> list[str]:
        """What there is to read for facts of the window: what it is shown as `facts`, and tables of volumes.

        A statement that names each table is planned in a fraction of the time that one over a view of them takes.
        """
        return ["facts", *map(self._table_of, self._hidden(reader, window))]

    def end_of_volumes(self, reader: duckdb.DuckDBPyConnection, window: TimeWindow) -> int:
        """From this instant on, in microseconds, the reader is shown all facts of the window; 0 if it is shown all."""
        return max((each.last_us + 1 for each in self._hidden(reader, window)), default=0)

    def _hidden(self, reader: duckdb.DuckDBPyConnection, window: TimeWindow) -> list[Volume]:
        """Volumes with facts of the window that the reader is not shown."""
        shown = self._begun[reader]
        return [each for each in shown.closed if each not in shown.reached and each.meets(window)]

    def _show(self, reader: duckdb.DuckDBPyConnection, shown: _Shown) -> None:
        rows = f"FROM {self.table}" + (f" WHERE {shown.where}" if shown.where is not None else "")
        volumes = (f"FROM {self._table_of(volume)}" for volume in shown.reached)
        reader.execute(f"CREATE OR REPLACE TEMP VIEW facts AS {' UNION ALL '.join([rows, *volumes])}")
        self._begun[reader] = shown

    def _table_of(self, volume: Volume) -> str:
        return f"{self._schema}.{volume.table}"
