"""A page of a report as JSON, out of columns.

There may be very many rows: nothing is made for each but what is encoded, and the interpreter is let go often.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from tallybook.core.time_window import SECOND_US, TimeWindow

_AT_ONCE = 500
"""Rows for which the interpreter is held: meanwhile neither the event loop nor the writer gets a turn."""

_encode = msgspec.json.Encoder().encode

Columns = Mapping[str, Sequence[Any]]
"""The values of each field of a row, by its name, one for each row."""


def page_json(buckets: Iterable[Mapping[str, Any]], next_page: str | None) -> bytes:
    """The page of these buckets, as all dialects have it. One after the other: each is gone when it is encoded."""
    ending = _encode({"has_more": next_page is not None, "next_page": next_page})
    return b'{"object":"page","data":[%b],%b' % (b",".join(map(_encode, buckets)), ending[1:])


def seconds_page_json(
    windows: Iterable[TimeWindow], rows: Iterable[slice], columns: Columns, next_page: str | None
) -> bytes:
    """A page whose buckets tell their ends in Unix seconds. `rows`: those of each window."""
    buckets = (
        {
            "object": "bucket",
            "start_time": window.start_us // SECOND_US,
            "end_time": window.end_us // SECOND_US,
            "results": rows_json(columns, of_window),
        }
        for window, of_window in zip(windows, rows, strict=True)
    )
    return page_json(buckets, next_page)


def rows_json(columns: Columns, rows: slice) -> msgspec.Raw:
    """The array of these rows: of each an object with all fields in the order of the columns."""
    row = _row_of(tuple(map(str, columns)))
    parts = (list(map(row, *(column[part] for column in columns.values()))) for part in parts_of(rows))
    return msgspec.Raw(b"[" + b",".join(_encode(part)[1:-1] for part in parts) + b"]")


def parts_of(rows: slice) -> Iterator[slice]:
    """The same rows, so many at a time that others get their turn in between."""
    for first in range(rows.start, rows.stop, _AT_ONCE):
        yield slice(first, min(first + _AT_ONCE, rows.stop))


@lru_cache(maxsize=256)
def _row_of(names: tuple[str, ...]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Row", [(name, Any) for name in names], gc=False)
