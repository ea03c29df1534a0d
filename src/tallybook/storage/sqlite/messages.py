"""Messages of requests in a SQLite file of their own, packed with Zstandard."""

import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, cast
from uuid import UUID

import zstandard

from tallybook.requests.model import Chunk
from tallybook.storage.sqlite.engine import SqliteEngine

_LEVEL = 1
"""Of compression: the next two take twice as long for a thirtieth of the size."""

PAGE_BYTES = 8 * 2**10
"""Of the file: a chunk fills many pages, and each is written and checked by itself."""

_CHUNKS = 100
"""Chunks that are removed in one commit, so that writers waiting behind it hardly notice."""


class _Packed(NamedTuple):
    chunk: Chunk
    data: bytes


class SqliteMessageStore:
    """Implements `requests.store.MessageStore`."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self._local = threading.local()

    def packed(self, chunk: Chunk) -> object:
        packer = getattr(self._local, "packer", None)
        if packer is None:
            packer = self._local.packer = zstandard.ZstdCompressor(level=_LEVEL)
        return _Packed(chunk, packer.compress(b"".join(text for _, text in chunk.texts)))

    async def add(self, packed: Sequence[object]) -> None:
        await self._engine.write(lambda writer: _add(writer, cast(Sequence[_Packed], packed)))

    async def remove(self, uids: Sequence[bytes]) -> None:
        await self._engine.write(lambda writer: _remove(writer, uids))

    async def remove_before(self, org_id: str, before_us: int) -> int:
        return cast(int, await self._engine.write(lambda writer: _remove_before(writer, org_id, before_us)))

    def wipe(self) -> None:
        self._engine.wipe_log()

    def orgs(self) -> Sequence[str]:
        return [org_id for (org_id,) in self._engine.read().execute("SELECT DISTINCT org_id FROM chunks")]

    def find_all(self, uids: Sequence[str]) -> Mapping[str, bytes]:
        with self._engine.snapshot() as reader:
            where = f"SELECT uid, chunk, start, size FROM messages WHERE uid IN ({_marks(uids)}) ORDER BY start"
            found = reader.execute(where, [UUID(uid).bytes for uid in uids]).fetchall()
            # Of each chunk only what reaches to the last one wanted is unpacked.
            ends = {chunk: start + size for _, chunk, start, size in found}
            rows = reader.execute(f"SELECT id, data FROM chunks WHERE id IN ({_marks(ends)})", sorted(ends)).fetchall()
        unpacker = zstandard.ZstdDecompressor()
        texts = {id: unpacker.stream_reader(data).read(ends[id]) for id, data in rows}
        return {str(UUID(bytes=uid)): texts[chunk][start : start + size] for uid, chunk, start, size in found}


def _add(writer: sqlite3.Connection, packed: Sequence[_Packed]) -> None:
    for chunk, data in packed:
        added = writer.execute(
            "INSERT INTO chunks (org_id, kept_at, data) VALUES (?, ?, ?)", (chunk.org_id, chunk.kept_at_us, data)
        )
        sizes = [len(text) for _, text in chunk.texts]
        starts = accumulate(sizes, initial=0)
        writer.executemany(
            "INSERT INTO messages (uid, chunk, start, size) VALUES (?, ?, ?, ?)",
            [
                (uid, added.lastrowid, start, size)
                for (uid, _), start, size in zip(chunk.texts, starts, sizes, strict=False)
            ],
        )


def _remove(writer: sqlite3.Connection, uids: Sequence[bytes]) -> None:
    found = [writer.execute("DELETE FROM messages WHERE uid = ? RETURNING chunk", (uid,)).fetchone() for uid in uids]
    for chunk in {row[0] for row in found if row is not None}:
        writer.execute(
            "DELETE FROM chunks WHERE id = ? AND NOT EXISTS (SELECT 1 FROM messages WHERE chunk = ?)", (chunk, chunk)
        )


def _remove_before(writer: sqlite3.Connection, org_id: str, before_us: int) -> int:
    old = writer.execute(
        "SELECT id FROM chunks WHERE org_id = ? AND kept_at < ? ORDER BY kept_at LIMIT ?", (org_id, before_us, _CHUNKS)
    ).fetchall()
    writer.executemany("DELETE FROM messages WHERE chunk = ?", old)
    writer.executemany("DELETE FROM chunks WHERE id = ?", old)
    return len(old)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
