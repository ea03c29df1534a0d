"""Where the events of small commits wait, one row for each commit, until it pays to spread them over `facts`.

The cost of an INSERT and its commit grows with the columns of the table, not with a few rows: over `facts` it is
several times that of all else in a small commit. A reader spreads what waits for itself, inside the transaction that
it will roll back, so that nobody sees a difference: whoever reads `facts` begins with `reading`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from tallybook.analytics.plan import STORABLE
from tallybook.core.time_window import TimeWindow
from tallybook.storage.duckdb.columns import Columns, Values, batch_of, joined
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.waiting import Commit

# Several threads would each gather rows of their own and copy them in afterwards, which takes twice the processor time.
# DuckDB leaves an INSERT to one thread when its source can't be read in numbered parts, as a positional join can't.
# For few rows it costs more to plan the join than it saves.
_ON_ONE_THREAD = "batch POSITIONAL JOIN (SELECT 1 AS one)"
_ON_ONE_THREAD_FROM = 1_000


@contextmanager
def reading(engine: DuckEngine, window: TimeWindow | None = STORABLE) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `engine.reading`, with the events that wait among the facts, and those of the window in volumes.

    `window` None: none in volumes, until `engine.facts.reach` shows them.
    """
    with engine.reading() as reader:
        if window is not None:
            engine.facts.reach(reader, window)
        if columns := engine.waiting.of(reader):
            append_facts(engine, reader, columns)
        yield reader


def spread(engine: DuckEngine, writer: duckdb.DuckDBPyConnection, fresh: Sequence[Columns] = ()) -> None:
    """Moves what waits to `facts`, and appends the `fresh` ones behind it."""
    columns = engine.waiting.of(writer)
    if columns:
        writer.execute("DELETE FROM arrivals")
    append_facts(engine, writer, joined([columns, *fresh] if columns else fresh))


def stamped(facts: Columns, commit: Commit) -> Columns:
    """Columns of facts with those that say when they were recorded."""
    count = len(facts["uid"])
    return {**facts, "seq": [commit.seq] * count, "recorded_at": [commit.recorded_at_us] * count}


def append_facts(engine: DuckEngine, connection: duckdb.DuckDBPyConnection, columns: Columns) -> None:
    """Appends facts that readers of the connection's transaction are about to see."""
    engine.used_columns.tell(columns)
    append(connection, engine.facts.table, columns)


def append(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Values]) -> None:
    """Appends rows, given as columns of equal length, to a table."""
    # DuckDB finds `batch` by its name among the caller's variables: registering it would be a catalog change.
    rows = len(next(iter(columns.values())))
    batch, expressions, parameters = batch_of(columns, rows)
    source = _ON_ONE_THREAD if rows >= _ON_ONE_THREAD_FROM else "batch"
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(expressions)} FROM {source}", parameters
    )
