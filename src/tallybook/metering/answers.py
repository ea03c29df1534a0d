"""What a provider's own answer says of its usage, and how an event comes to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tallybook.core.counters import Usage
from tallybook.core.errors import Fault
from tallybook.metering.event import UsageEvent


@dataclass(frozen=True)
class Told:
    """`usage` is None where the answer says nothing of it; totals include their parts.

    `unread` are numbers of its usage above 0 that no counter was made of, by their place in the answer.
    """

    usage: Usage | None
    model: str | None = None
    service_tier: str | None = None
    context_level: str | None = None
    unread: Sequence[str] = ()


class UnreadableAnswer(ValueError):
    """The answer's usage is not as its provider documents it; the message names the field."""


class ReadAnswer(Protocol):
    def __call__(self, answer: Any, provider: str | None, model: str | None) -> Told:
        """What an answer, or the list of a streamed answer's chunks, tells. May take seconds the first time.

        Raises `UnreadableAnswer`.
        """
        ...


def with_answer(event: UsageEvent, told: Told) -> tuple[UsageEvent, list[Fault]]:
    """The event with what the answer tells: its counters, and its model and service tier where the sender names none.

    A counter that both tell must be the same. An answer without usage leaves the event unreported, unless its sender
    counted for itself or names the cost.
    """
    counted = told.usage or {}
    faults = [
        Fault(("usage", name), f"is {event.usage[name]}, but {amount} in provider_response")
        for name, amount in counted.items()
        if event.usage.get(name, amount) != amount
    ]
    filled = msgspec.structs.replace(
        event,
        usage={**event.usage, **counted},
        model=event.model or told.model,
        service_tier=event.service_tier or told.service_tier,
        context_level=event.context_level or told.context_level,
        unreported=told.usage is None and not event.usage and event.cost_pico is None,
    )
    return filled, faults
