"""What the OpenAPI document says of native answers that pass the framework as they are."""

from collections.abc import Mapping
from typing import Any

from tallybook.analytics.query import MEASURES, Dimension, Measure
from tallybook.core.counters import COUNTERS, Aggregate
from tallybook.http.document import MONEY
from tallybook.http.native.numbers import USD_DECIMALS
from tallybook.pricing.cost import Pricing

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer", "minimum": 0}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_MONEY_OR_NULL: Schema = {"anyOf": [MONEY, {"type": "null"}]}
_FLAGS = ("batch", "background", "stream")


def answers(name: str, description: str, **other_types: Schema) -> Schema:
    """The part of an operation that says it answers the form of that name as JSON."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"responses": {"200": {"description": description, "content": {**content, **other_types}}}}


def _object(required: Schema, optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def _page_of(item: Schema) -> Schema:
    return _object(
        {
            "object": {"const": "page"},
            "data": {"type": "array", "items": item},
            "has_more": {"type": "boolean"},
            "next_page": _TEXT_OR_NULL,
        }
    )


def _measure(measure: Measure) -> Schema:
    if measure.decimals == USD_DECIMALS:
        return MONEY
    kind = "number" if measure.decimals else "integer"
    return {"type": [kind, "null"] if measure.aggregate is Aggregate.MAX else kind, "minimum": 0}


def _dimension(dimension: Dimension) -> Schema:
    return {"type": "boolean"} if dimension in _FLAGS else _TEXT_OR_NULL


def _usage_page() -> Schema:
    numbers = {name: _measure(measure) for name, measure in MEASURES.items()}
    row = _object({}, {**numbers, **{str(dimension): _dimension(dimension) for dimension in Dimension}})
    row["description"] = "The measures that were asked for, and the dimensions that were grouped by."
    bucket = _object({"start": _INSTANT, "end": _INSTANT, "results": {"type": "array", "items": row}})
    return _page_of(bucket)


def _event() -> Schema:
    texts = [name for name in Dimension if name not in (*_FLAGS, "org_id", "kind")]
    return _object(
        {
            "uid": {"type": "string", "format": "uuid"},
            "org_id": _TEXT,
            "revision": _INTEGER,
            "seq": _INTEGER,
            "id": _TEXT,
            "source": _TEXT,
            "kind": _TEXT,
            "occurred_at": _INSTANT,
            "recorded_at": _INSTANT,
            **{name: {"type": "boolean"} for name in _FLAGS},
            "request_id": _TEXT,
            "usage": _object({}, {name: _counter(name) for name in COUNTERS}),
            "pricing": {"enum": [state.value for state in Pricing]},
            "price_id": _TEXT_OR_NULL,
            "matched": _TEXT_OR_NULL,
            "cost_usd": _MONEY_OR_NULL,
            "known_cost_usd": MONEY,
            "unpriced_units": {"type": "array", "items": _TEXT},
            "lines": {"type": "object", "additionalProperties": MONEY},
        },
        {
            **{str(name): _TEXT for name in texts},
            "finish_reason": _TEXT,
            "description": _TEXT,
            "metadata": {"type": "object"},
            "api_key_used": _TEXT,
            "unpriced_reason": _TEXT,
            "refunded": {"type": "boolean"},
            "latency_ms": _INTEGER,
            "ttft_ms": _INTEGER,
        },
    )


def _counter(name: str) -> Schema:
    return {"type": "number" if COUNTERS[name].is_decimal else "integer", "minimum": 0}


def _corrected_event() -> Schema:
    refund = _object({"transaction_id": _TEXT, "credits": {"type": "string"}})
    correction = _object(
        {
            "id": _TEXT,
            "action": _TEXT,
            "superseded": {"type": ["integer", "null"]},
            "replacement": {"type": ["integer", "null"]},
            "actor": _TEXT,
            "reason": _TEXT_OR_NULL,
            "recorded_at": _INSTANT,
            "seq": _INTEGER,
            "refund": {"anyOf": [refund, {"type": "null"}]},
        }
    )
    event = _event()
    event["properties"] |= {"voided": {"type": "boolean"}, "correction": correction}
    event["required"] += ["voided", "correction"]
    return event


def _explanation() -> Schema:
    line = _object(
        {
            "unit": _TEXT,
            "quantity": {"type": ["number", "null"]},
            "usd": _TEXT_OR_NULL,
            "per": {"type": ["integer", "null"]},
            "amount_usd": MONEY,
        }
    )
    lines: Schema = {"type": "array", "items": line}
    rating: Schema = {"pricing": _TEXT, "cost_usd": _MONEY_OR_NULL, "lines": lines}
    cost = {**rating, "because": _TEXT, "known_cost_usd": MONEY, "unpriced_units": {"type": "array", "items": _TEXT}}
    again = _object({**rating, "at": _INSTANT, "price_id": _TEXT_OR_NULL})
    objects: Schema = {"type": "array", "items": {"type": "object"}}
    event: Schema = {"$ref": f"#/components/schemas/{EVENT}"}
    return _object(
        {
            "object": {"const": "explanation"},
            "uid": {"type": "string", "format": "uuid"},
            "voided": {"type": "boolean"},
            "received": {"type": "object"},
            "received_exactly": {"type": "boolean"},
            "event": event,
            "cost": _object(cost),
            "price": {"anyOf": [{"type": "object"}, {"type": "null"}]},
            "recomputed": _object({"at_its_time": again, "today": again}),
            "corrections": objects,
            "revisions": {"type": "array", "items": event},
        },
        {"transactions": objects},
    )


USAGE_PAGE, EVENT_PAGE, EVENT, CORRECTED_EVENT = "UsagePage", "EventPage", "EventShown", "CorrectedEvent"
EXPLANATION = "Explanation"

SCHEMAS: Mapping[str, Schema] = {
    USAGE_PAGE: _usage_page(),
    EVENT: _event(),
    CORRECTED_EVENT: _corrected_event(),
    EXPLANATION: _explanation(),
    EVENT_PAGE: _page_of({"$ref": f"#/components/schemas/{EVENT}"}),
}
"""The forms of those answers, by name."""
