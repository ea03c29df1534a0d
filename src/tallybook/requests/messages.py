"""Messages of requests: kept only for orgs that want it, without what is redacted, up to a size, for some days."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tallybook.core.clock import Clock
from tallybook.core.time_window import DAY_US
from tallybook.requests.model import Chunk
from tallybook.requests.redaction import redacted
from tallybook.requests.store import MessageStore

CHUNK_BYTES = 256 * 2**10
"""Texts that are packed together: enough to pack them well, and quickly unpacked to read one."""


class Policy(NamedTuple):
    """Whether an org keeps messages, and for how many days."""

    keeps: bool
    days: int


class Truncated(msgspec.Struct):
    """Stands for messages that were too long: how they began, as JSON text."""

    bytes: int
    beginning: str
    truncated: bool = True


class Messages:
    """`policy_of` tells the policy of an org; `bytes_max` is the most that is kept of one event."""

    def __init__(
        self, store: MessageStore, policy_of: Callable[[str], Policy], clock: Clock, *, bytes_max: int
    ) -> None:
        self._store = store
        self._policy_of = policy_of
        self._clock = clock
        self._bytes_max = bytes_max

    def keeps(self, org_id: str) -> bool:
        return self._policy_of(org_id).keeps

    def packed(self, org_id: str, messages: Mapping[bytes, bytes]) -> list[object]:
        """What `keep` takes, from JSON texts by uid. Any thread; it is work."""
        now_us = self._clock.now_us()
        return [self._store.packed(Chunk(org_id, now_us, self._cleaned(part))) for part in _parts(messages)]

    async def keep(self, packed: Sequence[object]) -> None:
        """Durable when it returns. Before the events themselves: what is acknowledged is there with its messages."""
        await self._store.add(packed)

    async def forget(self, uids: Sequence[bytes]) -> None:
        """Those of events that turned out to be stored already."""
        if uids:
            await self._store.remove(uids)

    async def expire(self) -> int:
        """Removes what is older than its org keeps it, from every file; returns how many chunks."""
        gone = 0
        for org_id in await asyncio.to_thread(self._store.orgs):
            before_us = self._clock.now_us() - self._policy_of(org_id).days * DAY_US
            while removed := await self._store.remove_before(org_id, before_us):
                gone += removed
        await asyncio.to_thread(self._store.wipe)
        return gone

    def _cleaned(self, part: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
        texts = redacted([text for _, text in part])
        return [(uid, self._capped(text)) for (uid, _), text in zip(part, texts, strict=True)]

    def _capped(self, text: bytes) -> bytes:
        if len(text) <= self._bytes_max:
            return text
        # A character that is cut in two goes.
        return msgspec.json.encode(Truncated(len(text), text[: self._bytes_max].decode(errors="ignore")))


def _parts(messages: Mapping[bytes, bytes]) -> list[Sequence[tuple[bytes, bytes]]]:
    parts: list[list[tuple[bytes, bytes]]] = []
    size = CHUNK_BYTES
    for uid, text in messages.items():
        if size >= CHUNK_BYTES:
            parts.append([])
            size = 0
        parts[-1].append((uid, text))
        size += len(text)
    return list(parts)
