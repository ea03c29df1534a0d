"""What the metering room asks of a disk."""

from collections.abc import Sequence
from typing import Protocol

from tallybook.metering.event import Outcome, Submission


class EventStore(Protocol):
    def make_ready(self, submissions: Sequence[Submission]) -> object:
        """The part of storing a batch that can be done before its turn, on the caller's thread; for `append`."""
        ...

    def append(self, submissions: Sequence[Submission], ready: Sequence[object] = ()) -> list[Outcome]:
        """Stores what is new and classifies the rest, in one durable commit; one outcome per submission, in order.

        The first submission of an identity wins, within the call and for ever. The same identity again is a
        duplicate when content and filled-in user are the same as the first time, else a conflict. Stamps
        `recorded_at` and `seq` (the commit's number, rising). `ready`, if given, is what `make_ready` made of these
        submissions, batch by batch. Called from one thread at a time. Raises `StorageFull`.
        """
        ...

    def maintain(self) -> None:
        """Housekeeping for a quiet moment, called on the writer's thread."""
        ...

    def close(self) -> None: ...
