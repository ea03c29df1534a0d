"""Identifiers: time-ordered uids, random ids of objects, and domain-separated 128-bit hashes."""

import hashlib
import secrets
import threading
from uuid import UUID

from tallybook.core.clock import Clock

_RANDOM_BITS = 74


class UidSource:
    """Makes UUIDv7 values (RFC 9562) that rise strictly within a process, many at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def take(self, count: int) -> list[UUID]:
        """`count` new uids in rising order. Neighbours of one call share a millisecond and differ by a random step."""
        millis = self._clock.now_us() // 1000
        with self._lock:
            # The 74 random bits are a counter seeded at random per call: unguessable start, strictly rising.
            start = max((millis << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS - 1), self._last + 1)
            step = secrets.randbelow(1 << 24) + 1
            self._last = start + step * count
        return [_uuid7(start + step * index) for index in range(count)]


def _uuid7(value: int) -> UUID:
    millis, random = value >> _RANDOM_BITS, value & ((1 << _RANDOM_BITS) - 1)
    return UUID(int=(millis << 80) | (7 << 76) | ((random >> 62) << 64) | (2 << 62) | (random & ((1 << 62) - 1)))


def object_id(prefix: str) -> str:
    """A random id such as `key_9f2c…`: the prefix and 96 bits, URL-safe."""
    return f"{prefix}_{secrets.token_hex(12)}"


def hash128(domain: str, *parts: str) -> bytes:
    """16 bytes of BLAKE2b over length-prefixed parts, so that ("a-b", "c") and ("a", "b-c") differ.

    `domain` (at most 16 ASCII characters) separates uses: the same parts under another domain hash differently.
    """
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.blake2b(text.encode(), digest_size=16, person=domain.encode()).digest()
