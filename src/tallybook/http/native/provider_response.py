"""`provider_response`: the raw answer of a provider in place of counters, read before the event is anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tallybook.core.errors import Fault
from tallybook.http.native.event_wire import Reading
from tallybook.metering.answers import ReadAnswer, UnreadableAnswer, with_answer

FIELD = "provider_response"


class Answered(NamedTuple):
    """A reading whose events hold what their answers tell; `unread` are the numbers that no counter was made of."""

    reading: Reading
    unread: Mapping[int, Sequence[str]]


def with_answers(reading: Reading, read_answer: ReadAnswer) -> Answered:
    """Reads each answer into its event; an unreadable one is a fault of the event. May take seconds the first time."""
    events, faults = list(reading.events), list(reading.faults)
    unread: dict[int, Sequence[str]] = {}
    for index, answer in reading.answers.items():
        event = events[index]
        if event is None:
            continue
        try:
            told = read_answer(answer, event.provider, event.model)
        except UnreadableAnswer as error:
            found = [Fault((FIELD,), str(error))]
        else:
            event, found = with_answer(event, told)
            if told.unread:
                unread[index] = told.unread
        faults.extend(Fault(("events", index, *fault.loc), fault.msg) for fault in found)
        events[index] = None if found else event
    # The answer's texts were not looked at.
    return Answered(replace(reading, events=events, faults=faults, texts_checked=False), unread)
