"""Lists without pages: written as their rows are read, so that a long one never stands in memory whole."""

from collections.abc import Generator, Iterable
from itertools import islice

import msgspec
from msgspec import Struct

_ROWS_OF_A_PART = 500
_ENCODE = msgspec.json.Encoder().encode


def listed(head: bytes, rows: Iterable[Struct], tail: bytes) -> Generator[bytes, None, None]:
    """The rows as JSON between `head` and `tail`, part by part."""
    remaining = iter(rows)
    part = list(islice(remaining, _ROWS_OF_A_PART))
    yield head + _joined(part)
    while part := list(islice(remaining, _ROWS_OF_A_PART)):
        yield b"," + _joined(part)
    yield tail


def _joined(rows: Iterable[Struct]) -> bytes:
    return b",".join([_ENCODE(row) for row in rows])
