"""Refusals of the corrections room. Their details name the event, and what of it they met.

StaleRevision         another revision is in force than the caller expects
AlreadyVoided         the event is voided: it can be restored and nothing else
NotVoided             only a voided event can be restored
NothingToRefund       nothing that was charged is left to be given back
NoSuchCorrection      no correction of this id in the org
TooManyToCorrect      more events than may be corrected in one go
TooManyDifferences    more days and models than an answer may list
NotUndone             a correction that gave credits back
"""

from tallybook.analytics.answer import EventRecord
from tallybook.core.errors import Conflict, NotFound, TooLarge


class Overtaken(Exception):
    """Another change has ended or begun that revision in the meantime: decide again."""


class _OfEvent(Conflict):
    def __init__(self, message: str, event: EventRecord) -> None:
        super().__init__(message, {"uid": event.uid, "revision": event.revision, "voided": event.voided})


class StaleRevision(_OfEvent):
    code = "stale_revision"

    def __init__(self, event: EventRecord, expected: int) -> None:
        super().__init__(f"expected_revision is {expected}, but the event is at revision {event.revision}", event)


class AlreadyVoided(_OfEvent):
    code = "event_voided"

    def __init__(self, event: EventRecord) -> None:
        super().__init__("the event is voided; restore it first", event)


class NotVoided(_OfEvent):
    code = "event_not_voided"

    def __init__(self, event: EventRecord) -> None:
        super().__init__("the event is not voided", event)


class NothingToRefund(_OfEvent):
    code = "nothing_to_refund"

    def __init__(self, event: EventRecord) -> None:
        super().__init__("the correction lowers nothing that was charged and not given back yet", event)


class NoSuchCorrection(NotFound):
    code = "no_such_correction"

    def __init__(self, correction_id: str) -> None:
        super().__init__(f"no correction {correction_id!r}")


class TooManyToCorrect(TooLarge):
    code = "too_many_to_correct"

    def __init__(self, events_max: int) -> None:
        super().__init__(f"more than {events_max} events match; narrow the filter, for example to a shorter range")


class TooManyDifferences(TooLarge):
    code = "too_many_differences"

    def __init__(self, rows_max: int) -> None:
        super().__init__(f"more than {rows_max} days and models differ; narrow the filter")


class NotUndone(Conflict):
    code = "not_undone"

    def __init__(self) -> None:
        super().__init__("the correction gave credits back, which no undo takes again; amend its events instead")
