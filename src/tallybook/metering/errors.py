"""The refusals of the metering room."""

from tallybook.core.errors import Conflict, TooLarge
from tallybook.metering.event import Outcome


class BatchTooLarge(TooLarge):
    code = "batch_too_large"

    def __init__(self, events: int, bound: int) -> None:
        super().__init__(f"{events} events in one request; at most {bound} are taken")


class EventConflict(Conflict):
    """A single event whose identity is stored with other content."""

    code = "event_conflict"

    def __init__(self, event_id: str, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(f"event {event_id!r} is already stored with other content")
