"""Every error a caller can meet.

    TallybookError
        InvalidInput        the request is well formed but says something impossible; lists its faults
        MalformedInput      the request cannot be read at all
        Unauthenticated     no key, or one we do not know
        Forbidden           a known key without the right
        NotFound            no such object in this org
        Refusal             what is stored does not grant the request; a repeat is refused alike
            Conflict            contradicts what is stored
            Insufficient        the balance does not cover it
        TooLarge            over a configured bound
        Overloaded          try again after `retry_after_seconds`
        RateLimited         so too for one key, which called too often
        StorageFull         the disk is full; nothing was stored
        Unavailable         something the server needs for this is missing or broken; somebody has to see to it
            StorageDamaged      a file of the data folder

Rooms subclass these and add facts; they never name a status code. Each dialect maps the classes above to its own
statuses and bodies in its `errors.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the input: where (`("events", 3, "usage", "input_tokens")`) and what."""

    loc: Location
    msg: str


class TallybookError(Exception):
    """Base of all errors. `code` is stable and may be matched on; `retryable` says whether a repeat may succeed."""

    code: str = "error"
    retryable: ClassVar[bool] = False


class MalformedInput(TallybookError):
    code = "malformed"


class InvalidInput(TallybookError):
    """Holds at most `LISTED` faults; `faults_total` counts them all."""

    code = "invalid"
    LISTED: ClassVar[int] = 100

    def __init__(self, faults: list[Fault] | tuple[Fault, ...]) -> None:
        self.faults = tuple(faults[: self.LISTED])
        self.faults_total = len(faults)
        first = self.faults[0]
        super().__init__(f"{'.'.join(map(str, first.loc))}: {first.msg}")


class Unauthenticated(TallybookError):
    code = "unauthenticated"


class Forbidden(TallybookError):
    code = "forbidden"


class NotFound(TallybookError):
    code = "not_found"


class Refusal(TallybookError):
    """`details` are facts for the caller: ids, states, amounts (`…_micro`) as plain values."""

    code = "refused"

    def __init__(self, message: str, details: Mapping[str, str | int | None] | None = None) -> None:
        self.details = details or {}
        super().__init__(message)


class Conflict(Refusal):
    code = "conflict"


class Insufficient(Refusal):
    code = "insufficient"


class TooLarge(TallybookError):
    code = "too_large"


class Overloaded(TallybookError):
    code = "overloaded"
    retryable = True

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class RateLimited(Overloaded):
    code = "rate_limited"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("this key has called too often", retry_after_seconds)


class StorageFull(Overloaded):
    code = "storage_full"

    def __init__(self) -> None:
        super().__init__("the disk is full; nothing was stored", retry_after_seconds=5)


class Unavailable(TallybookError):
    code = "unavailable"


class StorageDamaged(Unavailable):
    """Callers learn the name of the file; `path` and `why` are for those who run the server."""

    code = "storage_damaged"

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.why = why.partition("\n")[0]
        super().__init__(f"the file {path.name} is damaged")


def invalid(*loc: str | int, msg: str) -> InvalidInput:
    """An `InvalidInput` of a single fault."""
    return InvalidInput([Fault(loc, msg)])
