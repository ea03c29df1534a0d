"""`GET /v1/events` and `GET /v1/events/{uid}`: events as they are in force."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import Field

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.query import EVENTS_MAX, EventQuery
from tallybook.analytics.service import UsageService
from tallybook.auth.key import Caller
from tallybook.core.counters import COUNTERS
from tallybook.core.money import usd_text
from tallybook.core.time_window import instant_text
from tallybook.http.access import CallerOf
from tallybook.http.native import documents
from tallybook.http.native.filters import Filters, Instant, Texts, conditions_from, reach_from
from tallybook.http.native.listing import KnownQuery
from tallybook.http.native.numbers import wire_number
from tallybook.http.query_params import Cursor
from tallybook.http.reach import reach_of
from tallybook.pricing.cost import Pricing


class ChosenEvents(Filters):
    start: Instant | None = Field(None, description="First instant of the range; no bound by default.")
    end: Instant | None = Field(None, description="The instant after the range; no bound by default.")
    id: Texts = Field([], description="The sender's id of the event.")
    source: Texts = Field([], description="The sender's source of the event.")
    request_id: Texts = Field([], description="Also finds events without one by their id.")


class EventsParams(ChosenEvents):
    limit: int = Field(50, ge=1, le=EVENTS_MAX, description="Most events of a page.")
    page: Cursor = Field(None, description="The next_page of the page before.")


class EventParams(KnownQuery):
    as_of: Instant | None = Field(None, description="As it was recorded by then.")


def router(usage: UsageService) -> APIRouter:
    routes = APIRouter(tags=["events"])

    @routes.get(
        "/v1/events",
        summary="Events, newest first",
        response_class=Response,
        openapi_extra=documents.answers(documents.EVENT_PAGE, "A page of events"),
    )
    def list_events(params: Annotated[EventsParams, Query()], caller: CallerOf) -> Response:
        page = usage.list_events(replace(query_from(params, caller), limit=params.limit, page=params.page))
        body = {
            "object": "page",
            "data": [to_wire_event(event) for event in page.events],
            "has_more": page.next_page is not None,
            "next_page": page.next_page,
        }
        return Response(msgspec.json.encode(body), media_type="application/json")

    @routes.get(
        "/v1/events/{uid}",
        summary="One event by its uid",
        response_class=Response,
        openapi_extra=documents.answers(documents.EVENT, "The event"),
    )
    def get_event(uid: str, params: Annotated[EventParams, Query()], caller: CallerOf) -> Response:
        event = usage.get_event(reach_of(caller), uid, params.as_of)
        return Response(msgspec.json.encode(to_wire_event(event)), media_type="application/json")

    return routes


def query_from(params: ChosenEvents, caller: Caller) -> EventQuery:
    return EventQuery(
        reach=reach_from(params, caller),
        start_us=params.start,
        end_us=params.end,
        conditions=conditions_from(params),
        ids=tuple(params.id),
        sources=tuple(params.source),
        request_ids=tuple(params.request_id),
        as_of_us=params.as_of,
    )


def to_wire_event(event: EventRecord) -> dict[str, Any]:
    """The fields that are set, the counters that were reported, and how the event came by its cost."""
    fields = dict(event.fields)
    metadata = fields.pop("metadata", None)
    wire: dict[str, Any] = {
        "uid": event.uid,
        "org_id": event.org_id,
        "revision": event.revision,
        "seq": event.seq,
        "id": event.event_id,
        "occurred_at": instant_text(event.occurred_at_us),
        "recorded_at": instant_text(event.recorded_at_us),
        **fields,
        "request_id": fields.get("request_id", event.event_id),
        "usage": {
            name: wire_number(amount, 6 if COUNTERS[name].is_decimal else 0) for name, amount in event.usage.items()
        },
        "pricing": event.pricing,
        "price_id": event.price_id,
        "matched": event.matched,
        "cost_usd": None if event.cost_pico is None else usd_text(event.cost_pico),
        "known_cost_usd": usd_text(event.known_cost_pico),
        "unpriced_units": event.unpriced_units,
        "lines": {unit: usd_text(pico) for unit, pico in event.lines.items()},
    }
    if event.cost_pico is None:
        wire["unpriced_reason"] = unpriced_reason(event)
    if event.refunded:
        wire["refunded"] = True
    if metadata is not None:
        wire["metadata"] = msgspec.Raw(str(metadata).encode())
    return wire


def unpriced_reason(event: EventRecord) -> str:
    """Why an event without a known cost is so, in a caller's words."""
    if event.pricing == Pricing.UNREPORTED.value:
        return "the provider did not tell what was used"
    if event.price_id is not None:
        return f"the price of {event.matched} has no rate for {', '.join(event.unpriced_units)}"
    model = event.fields.get("model")
    if model is None:
        return "the event names no model"
    tier = event.fields.get("service_tier")
    served = "" if tier is None else f" in the service tier {tier!r}"
    return f"no price for {model!r}{served} was known for its time"
