"""From an event as it is read back to the row of a next revision of it. Pure."""

from typing import Any

from tallybook.analytics.answer import EventRecord
from tallybook.core.ids import uid_bytes
from tallybook.metering.event import Submission, UsageEvent
from tallybook.metering.identity import identity_of, request_key
from tallybook.pricing.cost import Pricing, Rating


def event_of(event: EventRecord) -> UsageEvent:
    """The event as told, with what the server filled in. A cost is in it only where it was given."""
    given_pico = event.cost_pico if event.pricing == Pricing.GIVEN.value else None
    told: dict[str, Any] = dict(event.fields)
    return UsageEvent(
        id=event.event_id,
        occurred_at_us=event.occurred_at_us,
        usage=event.usage,
        cost_pico=given_pico,
        unreported=event.pricing == Pricing.UNREPORTED.value,
        **told,
    )


def rating_of(event: EventRecord) -> Rating:
    """How it is rated."""
    return Rating(
        Pricing(event.pricing),
        event.cost_pico,
        event.known_cost_pico,
        tuple(event.lines.items()),
        event.unpriced_units,
        event.price_id,
        event.matched,
        tuple(event.pools.items()),
    )


def row_of(event: EventRecord, told: UsageEvent, rating: Rating, actor: str) -> Submission:
    """What a next revision of `event` holds, said by `actor`. Its content is not hashed: the first one's counts."""
    event_id = event.event_id
    return Submission(
        org_id=event.org_id,
        event=told,
        event_id=event_id,
        identity=identity_of(event.org_id, told.source, event_id),
        content=b"",
        request_key=request_key(event.org_id, told, event_id),
        uid=uid_bytes(event.uid),
        occurred_at_us=event.occurred_at_us,
        user_id=told.user_id,
        api_key_id=told.api_key_id,
        project_id=told.project_id,
        recorded_by=actor,
        rating=rating,
    )


def content_of(event: EventRecord, actor: str) -> Submission:
    """The event as it is, said by `actor`: what brings a voided one back."""
    return row_of(event, event_of(event), rating_of(event), actor)
