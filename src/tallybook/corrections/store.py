"""What the corrections room asks of the event store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tallybook.analytics.answer import EventRecord
from tallybook.core.errors import TallybookError
from tallybook.core.unit_of_work import Record, Repeat
from tallybook.corrections.model import Change, Corrected, CorrectionRecord, Decision


class Entry(NamedTuple):
    """One job of the event writer: a change and its outcome, or what the caller is refused with."""

    change: Change | None
    repeat: Repeat | None = None
    outcome: Record | TallybookError | None = None


class Purge(NamedTuple):
    """A job of the event writer: to forget the outcomes from before that instant."""

    before_us: int


@dataclass(frozen=True)
class InForce:
    """Of an org. The cost is what is known, of unpriced events too."""

    events: int
    cost_pico: int


class CorrectionStore(Protocol):
    def commit(self, entries: Sequence[Entry | Purge]) -> list[Record | BaseException]:
        """Commits every change whose claim is free, with the outcomes of repeatable entries; an answer for each.

        A repeat is answered with its first outcome and changes nothing, nor does a change that is there already. Where
        the claim is taken by another one the answer is `Overtaken`; a refusal is kept for repeats and answered as its
        record, any other error as itself. A purge is answered with how many are `purged`. Called on the thread of the
        event writer.
        """
        ...

    def history(self, org_id: str, uid: str) -> tuple[Sequence[EventRecord], Sequence[CorrectionRecord]]:
        """Every revision of an event, and every correction, in order."""
        ...

    def corrections_of(self, org_id: str | None, correction_id: str, limit: int) -> Sequence[CorrectionRecord]:
        """At most `limit` changes of one correction, in a fixed order. `org_id` None: in whatever orgs."""
        ...

    def revisions(self, corrections: Sequence[CorrectionRecord]) -> Sequence[EventRecord]:
        """Every revision of the events of these corrections; `voided` are those that a correction has ended."""
        ...

    def in_force(self, org_id: str) -> tuple[InForce, InForce]:
        """As it is listed, and as sums have it, of the same commit."""
        ...


class Committer(Protocol):
    """Where the changes of some events are decided for good."""

    async def once(self, repeat: Repeat | None, decided: Decision | TallybookError) -> Corrected:
        """Commits the decision, or raises the error; a repeat gets the outcome of the first time.

        Raises `Overtaken`, with nothing done.
        """
        ...
