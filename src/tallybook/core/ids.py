"""Identifiers: time-ordered uids, random ids of objects, and domain-separated 128-bit hashes."""

import hashlib
import secrets
import threading

from tallybook.core.clock import Clock

_RANDOM_BITS = 74


class UidSource:
    """Makes UUIDv7 values (RFC 9562) that rise strictly within a process, many at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def take(self, count: int) -> list[bytes]:
        """`count` new uids in rising order, 16 bytes each; those of one call differ by a random step."""
        millis = self._clock.now_us() // 1000
        with self._lock:
            # The 74 random bits are a counter seeded at random per call: unguessable start, strictly rising.
            start = max((millis << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS - 1), self._last + 1)
            step = secrets.randbelow(1 << 24) + 1
            self._last = start + step * count
        return [_uuid7(start + step * index) for index in range(count)]


def _uuid7(value: int) -> bytes:
    millis, random = value >> _RANDOM_BITS, value & ((1 << _RANDOM_BITS) - 1)
    layout = (millis << 80) | (7 << 76) | ((random >> 62) << 64) | (2 << 62) | (random & ((1 << 62) - 1))
    return layout.to_bytes(16, "big")


def uid_text(uid: bytes) -> str:
    """The 16 bytes in the usual 8-4-4-4-12 form."""
    digits = uid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def object_id(prefix: str) -> str:
    """A random id such as `key_9f2c…`: the prefix and 96 bits, URL-safe."""
    return f"{prefix}_{secrets.token_hex(12)}"


def hash128(domain: str, *parts: str) -> bytes:
    """16 bytes of BLAKE2b over length-prefixed parts, so that ("a-b", "c") and ("a", "b-c") differ.

    `domain` (at most 16 ASCII characters) separates uses: the same parts under another domain hash differently.
    """
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.blake2b(text.encode(), digest_size=16, person=domain.encode()).digest()
