"""A body is given up as soon as it cannot be taken any more."""

import asyncio
import gzip
from collections.abc import MutableMapping
from typing import Any

import pytest
import zstandard

from tallybook.core.errors import MalformedInput
from tallybook.http.body import read_body


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"{}", mtime=0)), ("zstd", zstandard.ZstdCompressor().compress(b"{}"))],
)
def test_what_follows_a_whole_compressed_body_is_not_gathered(encoding: str, packed: bytes) -> None:
    parts = iter([packed, b"more", *[b"and more"] * 3])

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": next(parts), "more_body": True}

    with pytest.raises(MalformedInput):
        asyncio.run(read_body(receive, [(b"content-encoding", encoding.encode())], 1024))
    assert len(list(parts)) == 3
