"""Which columns of `facts` hold anything. Of 130, most stores use some forty; each that is read takes time to plan."""

import threading
from collections.abc import Iterable

import duckdb


class UsedColumns:
    """At least those that hold a value in any fact that a reader can see.

    Known from DuckDB's statistics when the file is opened, and told by whoever appends facts, before the commit.
    """

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._telling = threading.Lock()

    def of(self, names: Iterable[str]) -> list[str]:
        """Those of the names, in their order."""
        known = self._names
        return [name for name in names if name in known]

    def tell(self, names: Iterable[str]) -> None:
        """Says that facts with values in these columns are about to be seen."""
        if not self._names.issuperset(names):
            with self._telling:  # readers tell too, of what waits: none may undo what another has said
                self._names = self._names.union(names)

    def read(self, connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
        """Adds those of these tables of facts."""
        for table in tables:
            self._read(connection, table)

    def _read(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        names = [name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]
        columns = ", ".join(map("stats({})".format, names))
        try:
            known = connection.execute(f"SELECT {columns} FROM {table} LIMIT 1").fetchone()
        except duckdb.Error:  # damaged: that is told when it is read, and it may hold anything
            self.tell(names)
            return
        if known is not None:
            self.tell([name for name, stats in zip(names, known, strict=True) if stats["has_no_null"]])
