"""The rows of a long answer as columns, copied from DuckDB's memory: no object is made for a number, nor for a row."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, starmap
from typing import Any

import duckdb
import nanoarrow as na
from nanoarrow.c_array import CArray
from nanoarrow.c_array_stream import CArrayStream

from tallybook.storage.duckdb.in_force import Sql

_UNDERWAY = {
    "INTERRUPT Error": duckdb.InterruptException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "IO Error": duckdb.IOException,
}
"""What may end an answer between two of its parts."""
_BITS = [tuple(byte >> bit & 1 for bit in range(8)) for byte in range(256)]


def stream(reader: duckdb.DuckDBPyConnection, sql: Sql) -> Iterator[Sequence[Sequence[Any]]]:
    """The columns of some rows at a time: an `array` where all are numbers of 64 bits, else a list.

    Raises what DuckDB does.
    """
    parts = na.c_array_stream(reader.sql(sql.text, params=sql.parameters))
    while (rows := _next(parts)) is not None:
        yield [_values(column) for column in rows.children]


def _next(parts: CArrayStream) -> CArray | None:
    try:
        return next(parts, None)
    except RuntimeError as error:  # an Arrow stream has no other errors than text
        told = str(error)
        raise next((kind for name, kind in _UNDERWAY.items() if name in told), duckdb.Error)(told) from error


def _values(column: CArray) -> Sequence[Any]:
    if column.schema.format == "l" and not column.null_count:
        return array("q", bytes(_buffer(column, 1)))
    if column.schema.format == "u":
        return _texts(column)
    values: list[Any] = na.Array(column).to_pylist()
    return values


def _texts(column: CArray) -> list[str | None]:
    """All at once, in half the time that one by one takes."""
    edges = memoryview(_buffer(column, 1)).tolist()
    encoded = bytes(_buffer(column, 2))
    texts: list[str | None]
    if encoded.isascii():
        texts = list(map(encoded.decode().__getitem__, starmap(slice, pairwise(edges))))
    else:
        texts = [encoded[start:end].decode() for start, end in pairwise(edges)]
    if not column.null_count:
        return texts
    are_told = chain.from_iterable(map(_BITS.__getitem__, bytes(_buffer(column, 0))))
    return [text if is_told else None for text, is_told in zip(texts, are_told, strict=False)]


def _buffer(column: CArray, number: int) -> Any:
    """Arrow's: whether there is a value, one bit each; the numbers, or the edges of the texts; the texts."""
    if column.offset:
        raise RuntimeError("DuckDB answers with arrays that begin at their beginning")
    return column.view().buffer(number)
