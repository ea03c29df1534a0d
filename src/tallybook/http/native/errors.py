"""Errors of the native dialect: RFC 9457 problem bodies."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from tallybook.core.errors import (
    Conflict,
    Forbidden,
    Insufficient,
    InvalidInput,
    MalformedInput,
    NotFound,
    Overloaded,
    RateLimited,
    Refusal,
    TallybookError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from tallybook.http.dialect import Dialect, InternalError, MethodNotAllowed, Rendered, headers_of, nearest

PROBLEM_TYPE = "application/problem+json"

STATUS: dict[type[TallybookError], int] = {
    MalformedInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Refusal: 409,
    Insufficient: 402,
    TooLarge: 413,
    InvalidInput: 422,
    InternalError: 500,
    RateLimited: 429,
    Overloaded: 503,
    Unavailable: 503,
}


class EventRefusal(Conflict):
    """Another room's refusal of a correction, with the event that it met as its caller may see it."""

    def __init__(self, refusal: Refusal, event: Mapping[str, Any]) -> None:
        self.event = event
        super().__init__(str(refusal))
        self.code = refusal.code


def render(error: TallybookError, path: str) -> Rendered:
    status = nearest(STATUS, error)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
    }
    if isinstance(error, InvalidInput):
        problem["errors"] = [{"loc": fault.loc, "msg": fault.msg} for fault in error.faults]
        problem["faults_total"] = error.faults_total
    if isinstance(error, EventRefusal):
        problem["event"] = error.event
    return Rendered(status, msgspec.json.encode(problem), PROBLEM_TYPE, headers_of(error))


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` may be matched on; `errors` and `faults_total` come with status 422.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "msg"],
                "properties": {
                    "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                    "msg": {"type": "string"},
                },
            },
        },
        "event": {"type": "object", "description": "The event that a correction met, with its status 409."},
        "faults_total": {"type": "integer", "description": "At most 100 are listed."},
    },
}

DIALECT = Dialect("native", ("/",), render, PROBLEM_TYPE, _PROBLEM)
