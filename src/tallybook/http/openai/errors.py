"""Errors of the openai dialect (contract section 7)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tallybook.core.errors import (
    Fault,
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
from tallybook.http.openai.wire import ABOVE, MISSING

PREFIX = "/v1/organization/"
SCOPE = "api.usage.read"
"""What clients look for in the message of a missing right."""

_REQUEST = "invalid_request_error"
_SERVER = "server_error"

ANSWERS: Mapping[type[TallybookError], tuple[int, str, str | None]] = {
    InvalidInput: (400, _REQUEST, "invalid_value"),
    MalformedInput: (400, _REQUEST, "invalid_value"),
    Unauthenticated: (401, _REQUEST, "invalid_api_key"),
    Forbidden: (403, _REQUEST, None),
    NotFound: (404, _REQUEST, "not_found"),
    MethodNotAllowed: (405, _REQUEST, "method_not_allowed"),
    Insufficient: (402, _REQUEST, "insufficient_quota"),
    Refusal: (409, _REQUEST, "conflict"),
    TooLarge: (413, _REQUEST, "request_too_large"),
    Overloaded: (429, "requests", "rate_limit_exceeded"),
    InternalError: (500, _SERVER, "internal_error"),
    StorageFull: (503, _SERVER, "unavailable"),
    Unavailable: (503, _SERVER, "unavailable"),
}
"""Status, type and code of each error; subclasses follow their nearest base."""


def render(error: TallybookError, path: str) -> Rendered:
    status, kind, code = nearest(ANSWERS, error)
    said: dict[str, Any] = {"message": str(error), "type": kind, "param": None, "code": code}
    if isinstance(error, InvalidInput):
        said |= _about_input(error)
    if isinstance(error, Forbidden):
        said["message"] = f"You have insufficient permissions for this operation. Missing scopes: {SCOPE}. ({error})"
    return Rendered(status, msgspec.json.encode({"error": said}), headers=headers_of(error))


def _about_input(error: InvalidInput) -> dict[str, Any]:
    """The first fault decides parameter and code; the message tells them all."""
    first = error.faults[0]
    return {
        "message": " ".join(_sentence(_param(fault), fault.msg) for fault in error.faults),
        "param": _param(first),
        "code": _code(first.msg),
    }


def _param(fault: Fault) -> str:
    """The parameter alone: before its name stands where it was sent, behind it the place in a list."""
    return str(fault.loc[:2][-1])


def _sentence(param: str, message: str) -> str:
    if message == MISSING:
        return f"Missing required parameter: '{param}'."
    if message.startswith("Invalid"):
        return message
    return f"Invalid value for '{param}': {message.rstrip('.')}."


def _code(message: str) -> str:
    if message == MISSING:
        return "missing_required_parameter"
    return "integer_above_max_value" if ABOVE in message else "invalid_value"


_TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {**_TEXT_OR_NULL, "description": "The parameter at fault."},
                "code": _TEXT_OR_NULL,
            },
        }
    },
}

DIALECT = Dialect("openai", (PREFIX,), render, "application/json", _ERROR_SCHEMA)
