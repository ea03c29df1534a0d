"""Rows by their UUIDs, few or many."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import duckdb

from tallybook.storage.duckdb.columns import batch_of

# Up to about two thousand keys an index answers an IN list; beyond it a hash join is cheaper.
_INDEXED_MAX = 2_000


def select_by(
    reader: duckdb.DuckDBPyConnection, uuids: Sequence[UUID], statement: str, parameters: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """What a statement finds in whose text `{}` is to stand for the UUIDs, after its other parameters."""
    if len(uuids) > _INDEXED_MAX:
        return select_by_join(reader, uuids, statement, parameters)
    marks = ", ".join("?" * len(uuids))
    return reader.execute(statement.format(f"({marks})"), [*parameters, *uuids]).fetchall()


def select_by_join(
    reader: duckdb.DuckDBPyConnection, uuids: Sequence[UUID], statement: str, parameters: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """As `select_by`, by one pass over the table."""
    wanted, _, _ = batch_of({"key": [uuid.bytes for uuid in uuids]}, len(uuids))
    return reader.execute(statement.format("(SELECT key FROM wanted)"), list(parameters)).fetchall()
