"""Sorted runs, as SQL on a connection: facts are put again in `facts`, ordered by org, stretch of time and user.

A question about one org, one month or one user then reads little beside what it asks for: DuckDB keeps the least and
the greatest value of every column for each group of rows. Request keys are put again in the same way, ordered by key.

A run takes two commits: the first adds it, the second removes what it replaces. `shown_while_added` and
`shown_while_removed` are true of exactly one copy of each fact for a reader that begins during either.
"""

from typing import NamedTuple

import duckdb

_LAST_SEQ = 2**63 - 1

STRETCH = 122_880
"""Facts of one org, next to each other in time, that stand together by user. With more a question about an hour would
read too much, with fewer one about a user."""

_PART = 122_880
"""Facts that are sorted at a time, with all their columns: those of a whole run take half as much memory again."""


# Ranked by themselves and joined by their places: a window over the facts would hold all their columns once more.
_PLACES = """
    CREATE TEMP TABLE places AS
    SELECT place, row_number() OVER (ORDER BY org_id, stretch, user_id, occurred_at) - 1 AS rank
    FROM (
        SELECT
            rowid AS place, org_id, user_id, occurred_at,
            row_number() OVER (PARTITION BY org_id ORDER BY occurred_at) // {stretch} AS stretch
        FROM facts WHERE {arrived}
    )
"""
_FACTS = """
    INSERT INTO facts (run, {columns})
    SELECT ?::INTEGER, {columns}
    FROM facts JOIN (SELECT * FROM places WHERE rank >= ? AND rank < ?) ON facts.rowid = place
    WHERE {arrived}
    ORDER BY rank
"""
_REQUEST_KEYS = """
    INSERT INTO request_keys
    SELECT * REPLACE (?::INTEGER AS run) FROM request_keys WHERE {arrived} ORDER BY key
"""


class Run(NamedTuple):
    """`until`: the last commit with rows in it."""

    number: int
    until: int


def newest(connection: duckdb.DuckDBPyConnection) -> Run:
    """The last run that was added; number 0 if there is none."""
    (row,) = connection.execute("SELECT coalesce(max(number), 0), coalesce(max(until), 0) FROM runs").fetchall()
    return Run(*row)


def events_of_newest(connection: duckdb.DuckDBPyConnection) -> int:
    """How many facts the last run has; 0 if there is none."""
    (events,) = _present(connection.execute("SELECT coalesce(max_by(events, number), 0) FROM runs").fetchone())
    return events


def next_run(connection: duckdb.DuckDBPyConnection, least: int, most: int) -> Run | None:
    """The oldest facts that were not put in order yet, with the rest of their last commit; None while they are fewer.

    Events that wait in `arrivals` end it: their commits may be older than those of corrections among the facts.
    """
    count, waiting_from = _unordered(connection)
    if count < least:
        return None
    (until,) = _present(
        connection.execute(
            "SELECT seq FROM facts WHERE run = 0 AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?",
            [waiting_from, min(count, most) - 1],
        ).fetchone()
    )
    return Run(newest(connection).number + 1, until)


def unordered(connection: duckdb.DuckDBPyConnection) -> int:
    """How many facts the next run may have."""
    return _unordered(connection)[0]


def _unordered(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """And the first commit that may not be in it."""
    (waiting_from,) = _present(connection.execute(f"SELECT coalesce(min(seq), {_LAST_SEQ}) FROM arrivals").fetchone())
    (count,) = _present(
        connection.execute("SELECT count(*) FROM facts WHERE run = 0 AND seq < ?", [waiting_from]).fetchone()
    )
    return count, waiting_from


def add(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Puts what the run holds in order. Raises `RuntimeError` if that is not what has arrived, row for row."""
    _add_facts(connection, run)
    connection.execute(_REQUEST_KEYS.format(arrived=_arrived(run)), [run.number])
    arrived, ordered = (_sums(connection, where) for where in (_arrived(run), f"run = {run.number}"))
    if arrived != ordered:
        raise RuntimeError(f"run {run.number} holds {ordered}, of {arrived} that arrived")
    connection.execute(
        "INSERT INTO runs SELECT ?, ?, max(recorded_at), count(*) FROM facts WHERE run = ?", [*run, run.number]
    )


def _add_facts(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    arrived = _arrived(run)
    columns = ", ".join(columns_with_values(connection, arrived))
    connection.execute(_PLACES.format(arrived=arrived, stretch=STRETCH))
    (count,) = _present(connection.execute("SELECT count(*) FROM places").fetchone())
    for first in range(0, count, _PART):
        connection.execute(_FACTS.format(arrived=arrived, columns=columns), [run.number, first, first + _PART])
    connection.execute("DROP TABLE places")


def remove_replaced(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Removes what stands in the run, or in one before it, from where it was appended."""
    for table in ("facts", "request_keys"):
        connection.execute(f"DELETE FROM {table} WHERE {_arrived(run)}")


def shown_while_added(run: Run) -> str:
    return f"run < {run.number}"


def shown_while_removed(run: Run) -> str:
    return f"(run > 0 OR seq > {run.until})"


def shown_now(connection: duckdb.DuckDBPyConnection) -> str | None:
    """What is to be shown of the facts as they are: None, all, unless the newest run has not replaced its own yet."""
    run = newest(connection)
    (is_twice,) = _present(connection.execute(f"SELECT EXISTS (SELECT 1 FROM facts WHERE {_arrived(run)})").fetchone())
    return shown_while_removed(run) if is_twice else None


def columns_with_values(connection: duckdb.DuckDBPyConnection, where: str) -> list[str]:
    """The columns, but for `run`, in which any of these facts has a value: of 130 most events use some forty."""
    names = [name for name, *_ in connection.execute("DESCRIBE facts").fetchall() if name != "run"]
    counts = ", ".join(map("count({})".format, names))
    held = _present(connection.execute(f"SELECT {counts} FROM facts WHERE {where}").fetchone())
    return [name for name, count in zip(names, held, strict=True) if count]


def _arrived(run: Run) -> str:
    return f"run = 0 AND seq <= {run.until}"


def _sums(connection: duckdb.DuckDBPyConnection, where: str) -> tuple[int, ...]:
    sums = "count(*), sum(known_cost), bit_xor(hash(uid, revision, seq))"
    return _present(connection.execute(f"SELECT {sums} FROM facts WHERE {where}").fetchone())


def _present(row: tuple[int, ...] | None) -> tuple[int, ...]:
    if row is None:
        raise RuntimeError("an aggregate without groups always has a row")
    return row
