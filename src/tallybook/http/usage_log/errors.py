"""Errors of the usage_log dialect: `detail` alone, a list for input that can be read and is wrong (status 422)."""

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

STATUS: Mapping[type[TallybookError], int] = {
    MalformedInput: 400,
    Unauthenticated: 401,
    Insufficient: 402,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Refusal: 409,
    TooLarge: 413,
    InvalidInput: 422,
    InternalError: 500,
    Overloaded: 429,
    StorageFull: 503,
    Unavailable: 503,
}
"""Subclasses follow their nearest base."""


def render(error: TallybookError, path: str) -> Rendered:
    status = nearest(STATUS, error)
    detail: Any = str(error)
    if isinstance(error, InvalidInput):
        detail = [{"loc": fault.loc, "msg": fault.msg, "type": _type_of(fault.msg)} for fault in error.faults]
    return Rendered(status, msgspec.json.encode({"detail": detail}), headers=headers_of(error))


def _type_of(message: str) -> str:
    return "missing" if message == "Field required" else "value_error"


_ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["loc", "msg", "type"],
                        "properties": {
                            "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                            "msg": {"type": "string"},
                            "type": {"type": "string"},
                        },
                    },
                },
            ]
        }
    },
}

DIALECT = Dialect("usage_log", ("/usage/",), render, error_schema=_ERROR, paths=("/usage",))
