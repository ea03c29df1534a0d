"""Changes that commit as one: an effect, its idempotent outcome and its journal entry.

A service hands an *effect* to `Writes.once`. The engine runs it inside a transaction on its single writer, together
with everything else queued, and answers after the commit. Stores take the `Transaction` the effect was given; only
the engine that made it looks inside.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from tallybook.core.errors import Conflict, Insufficient, Refusal
from tallybook.core.ids import Hasher, joined

Record = Mapping[str, Any]
"""An outcome: a plain, versioned record of ids, amounts and instants that JSON can hold. Never a float, no secret."""


class Transaction(Protocol):
    """Opaque: made by an engine, passed on to that engine's stores."""


Effect = Callable[[Transaction], Record]
"""Changes nothing but what it is given the transaction for: an engine may undo all it did, and run it again."""


@dataclass(frozen=True)
class Repeat:
    """Identity of a repeatable request: who asked, for what, under which `Idempotency-Key`, with which body."""

    org_id: str
    caller: str
    method: str
    path: str
    key: str
    body_hash: bytes

    @property
    def request(self) -> bytes:
        """128 bits that stand for all but the body."""
        return _REQUEST(joined(self.org_id, self.caller, self.method, self.path, self.key))

    @staticmethod
    def hash_of(body: bytes) -> bytes:
        return hashlib.blake2b(body, digest_size=16).digest()


_REQUEST = Hasher("repeat")


class RepeatedWithOtherBody(Conflict):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used before with another body")


Answer = TypeVar("Answer", bound=msgspec.Struct)
Result = TypeVar("Result")


def record_of_refusal(refusal: Refusal) -> Record:
    """The outcome of an effect that was refused."""
    kind = "insufficient" if isinstance(refusal, Insufficient) else "conflict"
    return {"refused": kind, "code": refusal.code, "message": str(refusal), "details": refusal.details}


def refusal_in(outcome: Record) -> Refusal | None:
    """The refusal that an outcome tells of, if any: of its base class, with code, message and details as they were."""
    kind = outcome.get("refused")
    if kind is None:
        return None
    refusal = (Insufficient if kind == "insufficient" else Conflict)(outcome["message"], outcome["details"])
    refusal.code = outcome["code"]
    return refusal


class Writes(Protocol):
    async def run(self, effect: Callable[[Transaction], Result]) -> Result:
        """Runs `effect` in a transaction and returns what it does, after the commit."""
        ...

    async def once(self, repeat: Repeat | None, effect: Effect) -> Record:
        """Runs `effect` in a transaction and returns its record after the commit.

        With `repeat`, the record (or the `Refusal` that the effect raised) is stored in the same commit and given
        again to every later repeat; another body under the same key raises `RepeatedWithOtherBody`. What a repeat
        is refused with is a plain `Conflict` or `Insufficient`, the first time too, so that all answers are equal.
        """
        ...


async def answered(
    writes: Writes,
    repeat: Repeat | None,
    effect: Callable[[Transaction], Answer],
    kind: type[Answer],
    *,
    version: int,
) -> Answer:
    """As `Writes.once`, for an effect that is answered with a struct of that kind; `version` is that of its shape."""
    if repeat is None:
        return await writes.run(effect)

    def recorded(transaction: Transaction) -> Record:
        return {"v": version, **msgspec.to_builtins(effect(transaction))}

    return msgspec.convert(await writes.once(repeat, recorded), kind)


@dataclass(frozen=True)
class JournalEntry:
    """One line of the admin log: who changed what, from what, to what. Records are plain; secrets are left out."""

    org_id: str
    actor: str
    action: str
    subject: str
    before: Record | None
    after: Record | None


class Journal(Protocol):
    def append(self, transaction: Transaction, entry: JournalEntry, at_us: int) -> None: ...
