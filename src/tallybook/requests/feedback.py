"""Feedback on requests: given once, then changed; by whoever may see the request."""

from collections.abc import Callable

import msgspec

from tallybook.analytics.query import Reach
from tallybook.core.clock import Clock
from tallybook.core.unit_of_work import Repeat, Transaction, Writes, answered
from tallybook.requests.errors import FeedbackExists, NoFeedback
from tallybook.requests.model import Feedback, LoggedRequest, Rating
from tallybook.requests.service import RequestLog
from tallybook.requests.store import FeedbackStore

_OUTCOME_VERSION = 1


class Given(msgspec.Struct, frozen=True):
    """Feedback with the instants of the request it is on."""

    request_id: str
    rating: Rating | None
    description: str | None
    created_at_us: int
    updated_at_us: int


Change = Callable[[Feedback | None], tuple[Rating | None, str | None]]
"""From what is there to the rating and description that shall be; or raises."""


class FeedbackService:
    def __init__(self, log: RequestLog, store: FeedbackStore, writes: Writes, clock: Clock) -> None:
        self._log = log
        self._store = store
        self._writes = writes
        self._clock = clock

    def get(self, reach: Reach, request_id: str, kind: str) -> Given:
        """Raises `NoSuchRequest` and `NoFeedback`."""
        request = self._log.get(reach, request_id, (kind,))
        if request.feedback is None:
            raise NoFeedback(request_id)
        return _given(request_id, request, request.feedback)

    async def change(
        self, request: LoggedRequest, request_id: str, change: Change, *, actor: str, repeat: Repeat | None
    ) -> Given:
        """Feedback on that request, as found by that id."""
        org_id, uid = request.event.org_id, request.event.uid

        def effect(transaction: Transaction) -> Given:
            rating, description = change(self._store.find(org_id, uid, transaction))
            feedback = Feedback(rating, description, self._clock.now_us())
            self._store.put(transaction, org_id, uid, feedback, actor=actor)
            return _given(request_id, request, feedback)

        return await answered(self._writes, repeat, effect, Given, version=_OUTCOME_VERSION)


def first(request_id: str, rating: Rating | None, description: str | None) -> Change:
    """Feedback where there is none yet. Raises `FeedbackExists`."""

    def change(before: Feedback | None) -> tuple[Rating | None, str | None]:
        if before is not None:
            raise FeedbackExists(request_id)
        return rating, description

    return change


def update(request_id: str, **sent: str | None) -> Change:
    """Other values for those of `rating` and `description` that are sent; None clears. Raises `NoFeedback`."""

    def change(before: Feedback | None) -> tuple[Rating | None, str | None]:
        if before is None:
            raise NoFeedback(request_id)
        rating = sent.get("rating", before.rating)
        return None if rating is None else Rating(rating), sent.get("description", before.description)

    return change


def _given(request_id: str, request: LoggedRequest, feedback: Feedback) -> Given:
    now = LoggedRequest(request.event, feedback)
    return Given(request_id, feedback.rating, feedback.description, request.event.occurred_at_us, now.updated_at_us)
