"""Identifiers: time-ordered uids, random ids of objects, and domain-separated 128-bit hashes."""

import hashlib
import random
import secrets
import threading
from copy import copy

from tallybook.core.clock import Clock

_VERSION_AND_VARIANT = (7 << 76) | (2 << 62)
_COUNTER_BITS = 61
_STEP_BITS = 24


class UidSource:
    """Makes UUIDv7 values (RFC 9562) that rise strictly within a process, many at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Uids need to differ, not to be secret: asking the operating system each time would cost more than the rest.
        self._random = random.Random(secrets.randbits(256))
        self._lock = threading.Lock()
        self._last = 0

    def take(self, count: int) -> list[bytes]:
        """`count` new uids in rising order, 16 bytes each; those of one call differ by a random step."""
        start, step = self._begin(count)
        return [value.to_bytes(16, "big") for value in range(start, start + step * count, step)]

    def one(self) -> bytes:
        """As `take(1)`, in half the time."""
        start, _ = self._begin(1)
        return start.to_bytes(16, "big")

    def _begin(self, count: int) -> tuple[int, int]:
        """The first of `count` uids, and the step to each next one."""
        millis = self._clock.now_us() // 1000
        with self._lock:
            # `rand_a` is random; the 62 bits of `rand_b` are a counter from a random start with room to rise.
            step = self._random.getrandbits(_STEP_BITS) + 1
            noise = (self._random.getrandbits(12) << 64) | self._random.getrandbits(_COUNTER_BITS)
            fresh = (millis << 80) | _VERSION_AND_VARIANT | noise
            start = max(fresh, self._last + step)
            self._last = start + step * count
        return start, step


def uid_text(uid: bytes) -> str:
    """The 16 bytes in the usual 8-4-4-4-12 form."""
    digits = uid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uid_bytes(text: str) -> bytes:
    """The 16 bytes of a uid in that form."""
    return bytes.fromhex(text.replace("-", ""))


def object_id(prefix: str) -> str:
    """A random id such as `key_9f2c…`: the prefix and 96 bits, URL-safe."""
    return f"{prefix}_{secrets.token_hex(12)}"


def dated_id(prefix: str, at_us: int) -> str:
    """As `object_id`, behind 13 digits of its instant: neighbours in time are neighbours in an index."""
    return f"{prefix}_{at_us:013x}{secrets.token_hex(12)}"


class Hasher:
    """BLAKE2b of `size` bytes under a domain (at most 16 ASCII characters): equal data under another one differs."""

    def __init__(self, domain: str, size: int = 16) -> None:
        # Copying a prepared state is cheaper than making one from its parameters.
        self._fresh = hashlib.blake2b(digest_size=size, person=domain.encode()).copy

    def begun(self, data: bytes) -> "Hasher":
        """A hasher of all that begins with `data`: what remains is hashed as if behind it."""
        state = self._fresh()
        state.update(data)
        begun = copy(self)
        begun._fresh = state.copy
        return begun

    def __call__(self, data: bytes) -> bytes:
        state = self._fresh()
        state.update(data)
        return state.digest()


def joined(*parts: str) -> bytes:
    """The parts, each behind its length, so that ("a-b", "c") and ("a", "b-c") differ."""
    return b"".join(map(counted, parts))


def counted(part: str) -> bytes:
    """The text in UTF-8 behind the number of its characters."""
    return f"{len(part)}:{part}".encode()
