"""What the OpenAPI document says of the openai dialect."""

from collections.abc import Iterable, Mapping
from typing import Any

from tallybook.http.document import later
from tallybook.http.openai.operations import (
    COST_GROUPS,
    COSTS_OBJECT,
    LINE_ITEM,
    OPERATIONS,
    Operation,
)
from tallybook.http.openai.wire import CostParams
from tallybook.http.query_params import documented

Schema = dict[str, Any]

_START, _END = 1767225600, 1767312000  # the first day of 2026
_TEXT_OR_NULL = {"type": ["string", "null"]}
_FLAG_OR_NULL = {"type": ["boolean", "null"]}


@later
def of_usage(operation: Operation) -> Schema:
    """The operation's part of its path."""
    example = {
        "object": operation.object,
        **dict.fromkeys(operation.numbers, 0),
        **dict.fromkeys(operation.groups),
        **dict.fromkeys(_required(operation), 7),
    }
    return {
        "parameters": documented(operation.params, list(operation.groups)),
        "responses": _responses(_page_name(operation.name), example),
    }


@later
def of_costs() -> Schema:
    """The part of the path of costs."""
    return {
        "parameters": documented(CostParams, [LINE_ITEM, *COST_GROUPS]),
        "responses": _responses(
            _page_name("costs"),
            {
                "object": COSTS_OBJECT,
                "amount": {"value": 0.06, "currency": "usd"},
                LINE_ITEM: "gpt-4o, input_tokens",
                **dict.fromkeys(COST_GROUPS),
                "quantity": 24000,
                "quantity_unit": "tokens",
            },
        ),
    }


def _required(operation: Operation) -> list[str]:
    """The counts that every client expects; those by modality and retention came later."""
    return list(operation.numbers)[:3]


def _responses(page: str, example: Schema) -> Schema:
    bucket = {"object": "bucket", "start_time": _START, "end_time": _END, "results": [example]}
    whole = {"object": "page", "data": [bucket], "has_more": False, "next_page": None}
    content = {"schema": {"$ref": f"#/components/schemas/{page}"}, "example": whole}
    return {"200": {"description": "A page of buckets", "content": {"application/json": content}}}


def _page_name(name: str) -> str:
    return f"Openai{name.title().replace('_', '')}Page"


def _page_of(result: Schema) -> Schema:
    bucket = _object(
        {
            "object": {"const": "bucket"},
            "start_time": {"type": "integer"},
            "end_time": {"type": "integer"},
            "results": {"type": "array", "items": result},
        }
    )
    return _object(
        {
            "object": {"const": "page"},
            "data": {"type": "array", "items": bucket},
            "has_more": {"type": "boolean"},
            "next_page": _TEXT_OR_NULL,
        }
    )


def _usage_result(operation: Operation) -> Schema:
    return _object(
        {
            "object": {"const": operation.object},
            **{name: {"type": "integer", "minimum": 0} for name in operation.numbers},
            **_keys(operation.groups),
        }
    )


def _keys(groups: Iterable[str]) -> Schema:
    return {name: _FLAG_OR_NULL if name == "batch" else _TEXT_OR_NULL for name in groups}


def _object(properties: Schema, optional: Iterable[str] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


_AMOUNT = _object({"value": {"type": "number", "minimum": 0}, "currency": {"const": "usd"}})
_COST = _object(
    {
        "object": {"const": COSTS_OBJECT},
        "amount": _AMOUNT,
        LINE_ITEM: _TEXT_OR_NULL,
        **_keys(COST_GROUPS),
        "quantity": {"type": ["number", "null"]},
        "quantity_unit": _TEXT_OR_NULL,
        "unpriced_requests": {
            "type": "integer",
            "minimum": 0,
            "description": "Calls whose cost is not known, and not in the amount; absent where lines are asked for.",
        },
    },
    optional=["unpriced_requests"],
)

SCHEMAS: Mapping[str, Schema] = {
    **{_page_name(operation.name): _page_of(_usage_result(operation)) for operation in OPERATIONS},
    _page_name("costs"): _page_of(_COST),
}
"""The forms of all pages, by name."""
