"""How an event comes by its cost: as told, or by its price."""

from typing import Protocol

from tallybook.core.counters import Usage
from tallybook.metering.event import UsageEvent
from tallybook.pricing.cost import UNREPORTED, Rating


class Rater(Protocol):
    def rating(
        self,
        org_id: str,
        *,
        provider: str | None,
        model: str | None,
        service_tier: str | None,
        batch: bool,
        at_us: int,
        usage: Usage,
        given_pico: int | None,
        told: UsageEvent | None = None,
    ) -> Rating: ...


def rate_event(rater: Rater, org_id: str, event: UsageEvent, at_us: int, charged: Usage) -> Rating:
    """What the event costs if it occurred then, and is charged for that usage."""
    if event.unreported:
        return UNREPORTED
    return rater.rating(
        org_id,
        provider=event.provider,
        model=event.model,
        service_tier=event.service_tier,
        batch=event.batch,
        at_us=at_us,
        usage=charged,
        given_pico=event.cost_pico,
        told=event,
    )
