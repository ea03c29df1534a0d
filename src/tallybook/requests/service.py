"""The request log: the requests of a user, newest first, and one request by its id."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.query import Condition, Dimension, EventQuery, Reach
from tallybook.analytics.service import UsageService
from tallybook.requests.errors import NoSuchRequest
from tallybook.requests.model import TOLD, LoggedRequest, LogPage
from tallybook.requests.store import FeedbackStore, MessageStore

KINDS = ("completion", "response")
"""Kinds of events that are requests."""


@dataclass(frozen=True)
class Of:
    """Whose requests: those within reach, in one org, of a platform user or end user of that id."""

    reach: Reach
    user_id: str

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return of_kinds(KINDS), Condition((Dimension.USER_ID, Dimension.EXTERNAL_USER_ID), (self.user_id,))


class RequestLog:
    def __init__(self, usage: UsageService, feedback: FeedbackStore, messages: MessageStore) -> None:
        self._usage = usage
        self._feedback = feedback
        self._messages = messages

    def of_user(self, of: Of, *, limit: int, offset: int) -> LogPage:
        """At most `limit` requests behind the newest `offset`, and how many there are in all."""
        asked = EventQuery(of.reach, conditions=of.conditions, limit=limit, offset=offset, with_total=True, wanted=TOLD)
        found = self._usage.list_events(asked)
        return LogPage(self._logged(found.events), found.total or 0)

    def get(self, reach: Reach, request_id: str, kinds: Sequence[str] = KINDS) -> LoggedRequest:
        """The newest event of that request id and one of the kinds. Raises `NoSuchRequest`."""
        asked = EventQuery(reach, conditions=(of_kinds(kinds),), request_ids=(request_id,), limit=1, wanted=TOLD)
        found = self._logged(self._usage.list_events(asked).events)
        if not found:
            raise NoSuchRequest(request_id)
        return found[0]

    def _logged(self, events: Sequence[EventRecord]) -> tuple[LoggedRequest, ...]:
        if not events:
            return ()
        uids = [event.uid for event in events]
        feedback, messages = self._feedback.find_all(events[0].org_id, uids), self._messages.find_all(uids)
        return tuple(LoggedRequest(event, feedback.get(event.uid), messages.get(event.uid)) for event in events)


def of_kinds(kinds: Sequence[str]) -> Condition:
    return Condition((Dimension.KIND,), tuple(kinds))
