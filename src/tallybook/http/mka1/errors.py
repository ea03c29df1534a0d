"""Errors of the mka1 dialect (contract section 5.2).

The LLM and budgeting services word an error as an object with `code`, `status` and `message`; the sandbox
service as `detail`. What their common gateway refuses (401, 429) looks the same everywhere.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tallybook.core.errors import (
    Forbidden,
    Insufficient,
    InvalidInput,
    MalformedInput,
    NotFound,
    Overloaded,
    Refusal,
    StorageFull,
    TallybookError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from tallybook.http.dialect import Dialect, InternalError, MethodNotAllowed, Rendered, headers_of, nearest

RETRY_AFTER_SECONDS_MAX = 5

SANDBOX_PREFIX = "/api/v1/sandbox/"
PREFIXES = ("/api/v1/llm/", SANDBOX_PREFIX, "/api/v1/budgeting/")

ANSWERS: Mapping[type[TallybookError], tuple[int, str]] = {
    InvalidInput: (400, "BAD_REQUEST"),
    MalformedInput: (400, "BAD_REQUEST"),
    Unauthenticated: (401, "UNAUTHORIZED"),
    Forbidden: (403, "FORBIDDEN"),
    NotFound: (404, "NOT_FOUND"),
    MethodNotAllowed: (405, "METHOD_NOT_SUPPORTED"),
    Insufficient: (402, "PAYMENT_REQUIRED"),
    Refusal: (409, "CONFLICT"),
    TooLarge: (413, "PAYLOAD_TOO_LARGE"),
    Overloaded: (429, "TOO_MANY_REQUESTS"),
    InternalError: (500, "INTERNAL_SERVER_ERROR"),
    StorageFull: (503, "SERVICE_UNAVAILABLE"),
    Unavailable: (503, "SERVICE_UNAVAILABLE"),
}
"""Status and code of each error; subclasses follow their nearest base."""


def render(error: TallybookError, path: str) -> Rendered:
    status, code = nearest(ANSWERS, error)
    sandbox = path.startswith(SANDBOX_PREFIX)
    if sandbox and isinstance(error, InvalidInput):
        status = 422
    if status in _OF_THE_GATEWAY:
        body = _OF_THE_GATEWAY[status]
    else:
        body = _sandbox_body(error) if sandbox else _service_body(error, status, code)
    return Rendered(status, msgspec.json.encode(body), headers=_headers(error))


_OF_THE_GATEWAY: Mapping[int, dict[str, Any]] = {
    401: {"error": "Unauthorized"},
    429: {"error": "Rate limit exceeded"},
}


def _service_body(error: TallybookError, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = {"defined": False, "code": code, "status": status, "message": str(error)}
    if isinstance(error, InvalidInput):
        body["message"] = "Input validation failed"
        # The first part of a place says "query"; the service names the parameter alone.
        body["data"] = {"issues": [{"path": fault.loc[1:], "message": fault.msg} for fault in error.faults]}
    return body


def _sandbox_body(error: TallybookError) -> dict[str, Any]:
    if not isinstance(error, InvalidInput):
        return {"detail": str(error)}
    return {"detail": [{"loc": fault.loc, "msg": fault.msg, "type": _type_of(fault.msg)} for fault in error.faults]}


def _type_of(message: str) -> str:
    return next((kind for beginning, kind in _FAULT_TYPES.items() if message.startswith(beginning)), "value_error")


_FAULT_TYPES = {
    "Field required": "missing",
    "Input should be a valid integer": "int_parsing",
    "Input should be a valid boolean": "bool_parsing",
    "Input should be '": "enum",
}
"""What the sandbox service calls a fault, by how its message begins."""


def _headers(error: TallybookError) -> dict[str, str]:
    headers = headers_of(error)
    if isinstance(error, Overloaded):
        # The published client takes 0 for no answer at all, and sleeps through any other number, hours too: told a few
        # seconds it tries again for a quarter of a minute and then lets its caller know.
        headers["Retry-After"] = str(min(max(1, error.retry_after_seconds), RETRY_AFTER_SECONDS_MAX))
    return headers


_ERROR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "`error` alone for 401 and 429; `detail` in the sandbox service; else the others.",
    "properties": {
        "error": {"type": "string"},
        "detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
        "defined": {"type": "boolean"},
        "code": {"type": "string"},
        "status": {"type": "integer"},
        "message": {"type": "string"},
        "data": {"type": "object"},
    },
}

DIALECT = Dialect("mka1", PREFIXES, render, "application/json", _ERROR_SCHEMA)
