"""What the requests room asks of a disk."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tallybook.core.unit_of_work import Transaction
from tallybook.requests.model import Chunk, Feedback


class FeedbackStore(Protocol):
    """Feedback by the uid of its event. Reads see the newest commit, or with `transaction` what it has done so far."""

    def find(self, org_id: str, uid: str, transaction: Transaction | None = None) -> Feedback | None: ...

    def find_all(self, org_id: str, uids: Sequence[str]) -> Mapping[str, Feedback]:
        """Of those that have any."""
        ...

    def put(self, transaction: Transaction, org_id: str, uid: str, feedback: Feedback, *, actor: str) -> None:
        """Adds it, or replaces what is there."""
        ...


class MessageStore(Protocol):
    """Messages by the uid of their event, packed in chunks. All but `packed` and reads run one at a time."""

    def packed(self, chunk: Chunk) -> object:
        """The chunk as `add` takes it, on the caller's thread."""
        ...

    async def add(self, packed: Sequence[object]) -> None:
        """In one durable commit. Raises `StorageFull`."""
        ...

    async def remove(self, uids: Sequence[bytes]) -> None:
        """A chunk of which nothing is left goes; what others share stays until they go."""
        ...

    async def remove_before(self, org_id: str, before_us: int) -> int:
        """Removes some chunks that were kept before that instant; returns how many."""
        ...

    def wipe(self) -> None:
        """Sees to it that nothing that was removed is left in any file. Waits for readers."""
        ...

    def orgs(self) -> Sequence[str]:
        """Those that have messages."""
        ...

    def find_all(self, uids: Sequence[str]) -> Mapping[str, bytes]:
        """Of those that have any."""
        ...
