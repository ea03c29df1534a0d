"""What the OpenAPI document says of the answers of the mka1 dialect."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tallybook.analytics.query import MEASURES
from tallybook.core.counters import Aggregate
from tallybook.http.document import later
from tallybook.http.mka1 import costs
from tallybook.http.mka1.operations import OPERATIONS, Operation
from tallybook.http.query_params import documented
from tallybook.requests.model import Rating

Schema = dict[str, Any]

LLM_COSTS, COSTS, USER_STATS = "Mka1LlmCosts", "Mka1Costs", "Mka1UserStats"
REQUEST, REQUESTS, FEEDBACK = "Mka1Request", "Mka1Requests", "Mka1Feedback"

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_AMOUNT: Schema = {"type": "number", "minimum": 0}
_INSTANT: Schema = {"type": "string", "format": "date-time"}


def answers(name: str, status: int = 200) -> Schema:
    """The part of an operation that says it answers the form of that name."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"responses": {str(status): {"description": "The answer", "content": content}}}


@later
def asked(params: type[BaseModel], groups: Sequence[str], shown: str) -> Schema:
    """As `answers`, with the parameters of the query and what may be grouped by."""
    return {"parameters": documented(params, groups), **answers(shown)}


def page_name(operation: Operation) -> str:
    name = operation.object.split(".")[-2]
    return f"Mka1{name.title().replace('_', '')}Page"


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _page(operation: Operation) -> Schema:
    row = {
        "object": {"const": operation.object},
        **{field: _number(measure) for field, measure in operation.numbers.items()},
        **_labels([*operation.dimensions, *operation.always_null]),
    }
    bucket = {
        "object": {"const": "bucket"},
        "start_time": {"type": "integer"},
        "end_time": {"type": "integer"},
        "results": _list_of(_object(row)),
    }
    page = {"object": {"const": "page"}, "data": _list_of(_object(bucket)), "has_more": {"type": "boolean"}}
    return _object({**page, "next_page": _TEXT_OR_NULL})


def _number(name: str) -> Schema:
    measure = MEASURES[name]
    kind = "number" if measure.decimals else "integer"
    return {"type": [kind, "null"] if measure.aggregate is Aggregate.MAX else kind, "minimum": 0}


def _labels(names: Iterable[str]) -> Schema:
    return {str(name): {"type": ["boolean", "null"]} if name == "background" else _TEXT_OR_NULL for name in names}


def _report(row: Schema, total: Schema) -> Schema:
    return {
        "currency": {"const": costs.CURRENCY},
        "start_time": {"type": "integer"},
        "end_time": {"type": "integer"},
        "group_by": _list_of(_TEXT),
        "data": _list_of(_object({**row, "unpriced_requests": _COUNT})),
        **total,
        "unpriced_requests": _COUNT,
    }


def _llm_costs() -> Schema:
    nano = {"type": "string", "pattern": r"^\d+$", "description": "Nanodollars."}
    row = {**_labels(costs.LLM_DIMENSIONS), "cost": _AMOUNT, "cost_nano": nano}
    report = _report(row, {"total_cost": _AMOUNT, "total_cost_nano": nano})
    return _object({"object": {"const": "usage.costs"}, **report})


def _user_stats() -> Schema:
    figures = {
        "promptTokens": _COUNT,
        "completionTokens": _COUNT,
        "totalTokens": _COUNT,
        "costUsd": _AMOUNT,
        "unpricedRequests": _COUNT,
    }
    total = {("totalCostUsd" if name == "costUsd" else name): form for name, form in figures.items()}
    return _object(
        {
            "userId": _TEXT,
            "startDate": _TEXT_OR_NULL,
            "endDate": _TEXT_OR_NULL,
            "totalRequests": _COUNT,
            **total,
            "modelUsage": _list_of(_object({"model": _TEXT_OR_NULL, "requests": _COUNT, **figures})),
            "dailyUsage": _list_of(_object({"date": _TEXT, "requests": _COUNT, **figures})),
        }
    )


def _request() -> Schema:
    rating = {"enum": [*Rating, None]}
    record = _object(
        {
            "id": _TEXT,
            "requestId": _TEXT,
            **dict.fromkeys(("userId", "model"), _TEXT_OR_NULL),
            **dict.fromkeys(("promptTokens", "completionTokens", "totalTokens"), _COUNT),
            "finishReason": _TEXT_OR_NULL,
            "stream": {"type": "boolean"},
            "feedbackRating": rating,
            "feedbackDescription": _TEXT_OR_NULL,
            "createdAt": _INSTANT,
            "updatedAt": _INSTANT,
        }
    )
    record["properties"]["messages"] = {"description": "As they were sent, where the org keeps them."}
    return record


def _requests() -> Schema:
    numbers = _object(dict.fromkeys(("page", "limit", "total", "totalPages"), _COUNT))
    return _object({"completions": _list_of({"$ref": f"#/components/schemas/{REQUEST}"}), "pagination": numbers})


def _feedback() -> Schema:
    shown = _object({"id": _TEXT, "created_at": _INSTANT, "updated_at": _INSTANT})
    shown["properties"] |= {"rating": {"enum": list(Rating)}, "description": _TEXT}
    return shown


SCHEMAS: Mapping[str, Schema] = {
    **{page_name(operation): _page(operation) for operation in OPERATIONS},
    LLM_COSTS: _llm_costs(),
    COSTS: _object(_report({**_labels(costs.DIMENSIONS), "cost": _AMOUNT}, {"total_cost": _AMOUNT})),
    USER_STATS: _user_stats(),
    REQUEST: _request(),
    REQUESTS: _requests(),
    FEEDBACK: _feedback(),
}
"""The forms of all answers, by name."""
