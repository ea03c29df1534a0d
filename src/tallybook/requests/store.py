"""What the requests room asks of a disk."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tallybook.core.unit_of_work import Transaction
from tallybook.requests.model import Feedback


class FeedbackStore(Protocol):
    """Feedback by the uid of its event. Reads see the newest commit, or with `transaction` what it has done so far."""

    def find(self, org_id: str, uid: str, transaction: Transaction | None = None) -> Feedback | None: ...

    def find_all(self, org_id: str, uids: Sequence[str]) -> Mapping[str, Feedback]:
        """Of those that have any."""
        ...

    def put(self, transaction: Transaction, org_id: str, uid: str, feedback: Feedback, *, actor: str) -> None:
        """Adds it, or replaces what is there."""
        ...
