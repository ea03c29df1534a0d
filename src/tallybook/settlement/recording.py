"""From a usage as told to an event ready for the event store, rated at its instant."""

import msgspec

from tallybook.core.clock import Clock
from tallybook.core.ids import Hasher, UidSource, uid_text
from tallybook.core.money import COST_PICO_MAX, COST_USD_MAX
from tallybook.metering.event import Sender, Submission, UsageEvent
from tallybook.metering.identity import CONTENT_VERSION, identity_of, request_key
from tallybook.metering.rating import Rater
from tallybook.pricing.cost import Rating
from tallybook.settlement.errors import UnpricedUsage
from tallybook.settlement.model import SOURCE_CONFIRMED, Context, Told
from tallybook.settlement.quantities import charged_of

_TOLD = Hasher("told", size=15)
_VERSION_BYTE = bytes((CONTENT_VERSION,))
_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode


class Draft(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A usage that is rated and lacks only its place in the ledger. `content` is the hash of what was told."""

    told: Told
    source: str
    content: bytes
    uid: bytes
    occurred_at_us: int
    rating: Rating
    sender: Sender


class Placed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A draft in its place in the ledger, as the outbox keeps it: short, and quickly made while a commit waits."""

    draft: Draft
    context: Context
    account_id: str | None = None
    transaction_id: str | None = None

    def submission(self) -> Submission:
        """The finished event."""
        draft = self.draft
        told, sender = draft.told, draft.sender
        confirmed_by = self.transaction_id if draft.source == SOURCE_CONFIRMED else None
        event_id = confirmed_by or uid_text(draft.uid)
        event = UsageEvent(
            source=draft.source,
            kind=told.kind,
            account_id=self.account_id,
            transaction_id=self.transaction_id,
            context=self.context._value_,
            model=told.model,
            request_id=told.request_id,
            description=told.description,
            metadata=told.metadata,
            usage=told.usage,
        )
        return Submission(
            org_id=sender.org_id,
            event=event,
            event_id=event_id,
            identity=identity_of(sender.org_id, draft.source, event_id),
            content=draft.content,
            request_key=request_key(sender.org_id, event, event_id),
            uid=draft.uid,
            occurred_at_us=draft.occurred_at_us,
            user_id=sender.user_id,
            api_key_id=sender.key_id,
            project_id=sender.project_id,
            recorded_by=sender.key_id,
            rating=draft.rating,
        )


class Recording:
    """Rates usages and makes events of them."""

    def __init__(self, rater: Rater, clock: Clock) -> None:
        self._rater = rater
        self._clock = clock
        self._uids = UidSource(clock)

    def rating(self, org_id: str, told: Told, at_us: int) -> Rating:
        return self._rater.rating(
            org_id,
            provider=None,
            model=told.model,
            service_tier=None,
            batch=False,
            at_us=at_us,
            usage=charged_of(told.kind, told.usage),
            given_pico=None,
        )

    def draft(self, told: Told, sender: Sender, source: str) -> Draft:
        """The usage, occurring now and rated with the price of now."""
        now_us = self._clock.now_us()
        content = _VERSION_BYTE + _TOLD(_ENCODE(told))
        return Draft(told, source, content, self._uids.one(), now_us, self.rating(sender.org_id, told, now_us), sender)


def cost_of(rating: Rating, model: str, field: str = "modelId") -> int:
    """Picodollars. Raises `UnpricedUsage` where there is no price, or none for some of what was used.

    `field` is the one of the request that named the model.
    """
    if rating.price_id is None:
        raise UnpricedUsage(field, f"there is no price for {model!r}")
    if rating.cost_pico is None:
        raise UnpricedUsage(field, f"the price of {model!r} has no rate for {', '.join(rating.unpriced_units)}")
    if rating.cost_pico > COST_PICO_MAX:
        raise UnpricedUsage(field, f"the usage costs more than {COST_USD_MAX} USD")
    return rating.cost_pico
