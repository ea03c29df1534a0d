"""`GET /v1/events/{uid}/explain`: why an event costs what it costs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from tallybook.audit.service import AuditService
from tallybook.audit.statement import Line
from tallybook.audit.trail import Recomputed, Trail
from tallybook.auth.key import Scope
from tallybook.core.counters import COUNTERS
from tallybook.core.money import plain_digits, usd_text
from tallybook.core.time_window import instant_text
from tallybook.corrections.rules import WIRE_NAMES
from tallybook.http.access import CallerOf
from tallybook.http.native.corrections import to_wire_correction
from tallybook.http.native.documents import EXPLANATION, answers
from tallybook.http.native.events_read import to_wire_event, unpriced_reason
from tallybook.http.native.numbers import wire_number
from tallybook.http.native.prices_convert import to_wire_price
from tallybook.http.reach import reach_of
from tallybook.ledger.model import Transaction
from tallybook.metering.event import UsageEvent
from tallybook.pricing.cost import Pricing, Rating

_MICRO = 6

_BECAUSE = {
    Pricing.PRICED: "every reported unit has a rate",
    Pricing.FREE: "every rate is 0, or no billable unit was reported",
    Pricing.GIVEN: "the cost was given",
}


def router(audit: AuditService) -> APIRouter:
    routes = APIRouter(tags=["events"])

    answer = answers(EXPLANATION, "Why the event costs what it costs")

    @routes.get("/v1/events/{uid}/explain", response_class=Response, openapi_extra=answer)
    def explain_event(uid: str, caller: CallerOf) -> Response:
        """The event as it came in and as it is, its cost line by line, its price, corrections and transaction."""
        trail = audit.explain(reach_of(caller), uid)
        shown = _explanation(trail)
        if Scope.LEDGER in caller.key.scopes:
            shown["transactions"] = [_transaction(each) for each in trail.transactions]
        return Response(msgspec.json.encode(shown), media_type="application/json")

    return routes


def _explanation(trail: Trail) -> dict[str, Any]:
    event = trail.event
    pricing = Pricing(event.pricing)
    return {
        "object": "explanation",
        "uid": event.uid,
        "voided": event.voided,
        "received": _received(trail.received),
        "received_exactly": trail.received_exactly,
        "event": to_wire_event(event),
        "cost": {
            "pricing": pricing.value,
            "because": _BECAUSE[pricing] if pricing in _BECAUSE else unpriced_reason(event),
            "cost_usd": None if event.cost_pico is None else usd_text(event.cost_pico),
            "known_cost_usd": usd_text(event.known_cost_pico),
            "lines": _lines(trail.lines),
            "unpriced_units": event.unpriced_units,
        },
        "price": None if trail.price is None else to_wire_price(trail.price).model_dump(by_alias=True),
        "recomputed": {"at_its_time": _recomputed(trail.at_its_time), "today": _recomputed(trail.today)},
        "corrections": [to_wire_correction(each) for each in trail.corrections],
        "revisions": [to_wire_event(each) for each in trail.revisions],
    }


def _received(told: UsageEvent) -> dict[str, Any]:
    """The fields that were sent, as they were understood."""
    blank = UsageEvent()
    told_so = {name: getattr(told, name) for name in told.__struct_fields__}
    sent = {name: value for name, value in told_so.items() if name == "kind" or value != getattr(blank, name)}
    metadata, cost_pico, usage = sent.pop("metadata", None), sent.pop("cost_pico", None), sent.pop("usage", {})
    wire: dict[str, Any] = {WIRE_NAMES.get(name, name): value for name, value in sent.items()}
    if told.occurred_at_us is not None:
        wire["occurred_at"] = instant_text(told.occurred_at_us)
    if usage:
        wire["usage"] = {name: _quantity(name, amount) for name, amount in usage.items()}
    if cost_pico is not None:
        wire["cost_usd"] = usd_text(cost_pico)
    if metadata is not None:
        wire["metadata"] = msgspec.Raw(metadata.encode())
    return wire


def _lines(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {
            "unit": line.unit,
            "quantity": None if line.quantity is None else _quantity(line.unit, line.quantity),
            "usd": None if line.usd is None else f"{line.usd:f}",
            "per": line.per,
            "amount_usd": usd_text(line.amount_pico),
        }
        for line in lines
    ]


def _quantity(counter: str, amount: int) -> Any:
    return wire_number(amount, _MICRO if COUNTERS[counter].is_decimal else 0)


def _recomputed(again: Recomputed) -> dict[str, Any]:
    rating: Rating = again.rating
    return {
        "at": instant_text(again.at_us),
        "pricing": rating.pricing.value,
        "price_id": rating.price_id,
        "cost_usd": None if rating.cost_pico is None else usd_text(rating.cost_pico),
        "lines": _lines(again.lines),
    }


def _transaction(entry: Transaction) -> dict[str, Any]:
    sign = 1 if entry.type == "credit" else -1
    before_micro = entry.balance_after_micro - sign * entry.amount_micro
    return {
        "id": entry.id,
        "account_id": entry.account_id,
        "type": entry.type.value,
        "amount": plain_digits(entry.amount_micro, _MICRO),
        "balance_before": plain_digits(before_micro, _MICRO),
        "balance_after": plain_digits(entry.balance_after_micro, _MICRO),
        "description": entry.description,
        "reservation_id": entry.reservation_id,
        "created_at": instant_text(entry.created_at_us),
    }
