"""Submissions as metering would hand them to a store, without rating or HTTP."""

from tallybook.core.clock import Clock
from tallybook.core.ids import UidSource
from tallybook.metering.event import Submission, UsageEvent
from tallybook.metering.identity import content_hash, identity_of, request_key_of
from tallybook.pricing.cost import Pricing, Rating

RATING = Rating(Pricing.PRICED, 30_000_000, 30_000_000, (("input_tokens", 25_000_000), ("output_tokens", 5_000_000)))


class Submitter:
    def __init__(self, clock: Clock) -> None:
        self._uids = UidSource(clock)

    def __call__(
        self,
        event: UsageEvent,
        *,
        org_id: str = "org",
        user_id: str | None = None,
        api_key_id: str | None = None,
        rating: Rating = RATING,
    ) -> Submission:
        event_id = event.id or "no-id"
        own_request = event.request_id is None and event.source == ""
        return Submission(
            org_id=org_id,
            event=event,
            event_id=event_id,
            identity=identity_of(org_id, event.source, event_id),
            content=content_hash(event),
            request_key=None if own_request else request_key_of(org_id, event.request_id or event_id),
            uid=self._uids.take(1)[0],
            occurred_at_us=event.occurred_at_us or 1_767_225_600_000_000,
            user_id=event.user_id or user_id,
            api_key_id=event.api_key_id or api_key_id,
            project_id=event.project_id,
            recorded_by="key_sender",
            rating=rating,
        )
