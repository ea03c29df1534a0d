"""Closed volumes, as SQL on a connection: facts in order leave `facts` for good, with the table they stand in.

Every statement passes all groups of rows of a table, of whatever time they are. A volume is passed over as a whole
where its facts are of another time. It is closed in one commit, which renames the table and begins a new one with the
facts that are in no run yet.
"""

from typing import NamedTuple

import duckdb

from tallybook.core.time_window import TimeWindow
from tallybook.storage.duckdb import runs


class Volume(NamedTuple):
    """`until`: the last run in it. `first_us` and `last_us`: the least and the greatest instant of its facts."""

    number: int
    until: int
    first_us: int
    last_us: int

    @property
    def table(self) -> str:
        return f"facts_{self.number}"

    def meets(self, window: TimeWindow) -> bool:
        return self.first_us < window.end_us and window.start_us <= self.last_us


def closed(connection: duckdb.DuckDBPyConnection) -> tuple[Volume, ...]:
    """All of them, oldest first."""
    rows = connection.execute("SELECT number, until, first_at, last_at FROM volumes ORDER BY number").fetchall()
    return tuple(Volume(*row) for row in rows)


def events_in_runs(connection: duckdb.DuckDBPyConnection) -> int:
    """How many are in runs, but in no volume yet."""
    ((events,),) = connection.execute(
        "SELECT coalesce(sum(events), 0) FROM runs WHERE number > (SELECT coalesce(max(until), 0) FROM volumes)"
    ).fetchall()
    return int(events)


def close(writer: duckdb.DuckDBPyConnection) -> Volume:
    """Closes the next one: all that is in runs. No fact of a run may still stand where it was appended."""
    ((number,),) = writer.execute("SELECT count(*) + 1 FROM volumes").fetchall()
    table = f"facts_{number}"
    ((definition,),) = writer.execute("SELECT sql FROM duckdb_tables() WHERE table_name = 'facts'").fetchall()
    columns = ", ".join(runs.columns_with_values(writer, "run = 0"))
    writer.execute(f"ALTER TABLE facts RENAME TO {table}")
    writer.execute(definition)
    if columns:  # none if all facts are in runs
        writer.execute(f"INSERT INTO facts ({columns}) SELECT {columns} FROM {table} WHERE run = 0")
        writer.execute(f"DELETE FROM {table} WHERE run = 0")
    writer.execute(
        "INSERT INTO volumes SELECT ?, (SELECT max(number) FROM runs), min(occurred_at), max(occurred_at)"
        f" FROM {table}",
        [number],
    )
    return closed(writer)[-1]
