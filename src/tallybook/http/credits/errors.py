"""Errors of the credits dialect (contract section 3.6): one sentence under both common names, and a code."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tallybook.analytics.errors import AnswerTooLarge, QueryOutOfMemory, QueryTimeout
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
from tallybook.http.credits.amounts import to_wire_amount
from tallybook.http.dialect import Dialect, InternalError, MethodNotAllowed, Rendered, headers_of, nearest
from tallybook.ledger.errors import TooManyResults
from tallybook.settlement.errors import OutboxFull, UnknownModel, UnpricedUsage

RESOURCES = ("/v1/accounts", "/v1/plans", "/v1/transactions", "/v1/reservations", "/v1/models")
PREFIXES = tuple(f"{resource}/" for resource in RESOURCES)
PATHS = (*RESOURCES, "/v1/usage", "/v1/usage/record")

ANSWERS: Mapping[type[TallybookError], tuple[int, str | None]] = {
    InvalidInput: (400, "invalid_request"),
    UnknownModel: (400, None),
    UnpricedUsage: (400, None),
    MalformedInput: (400, "invalid_request"),
    TooManyResults: (400, None),
    AnswerTooLarge: (400, "too_many_results"),
    QueryTimeout: (400, None),
    QueryOutOfMemory: (400, None),
    Unauthenticated: (401, "unauthorized"),
    Insufficient: (402, None),
    Forbidden: (403, "forbidden"),
    NotFound: (404, "not_found"),
    MethodNotAllowed: (405, "method_not_allowed"),
    Refusal: (409, "conflict"),
    TooLarge: (413, "payload_too_large"),
    Overloaded: (429, "rate_limited"),
    InternalError: (500, "internal_error"),
    OutboxFull: (503, "outbox_full"),
    StorageFull: (503, "storage_full"),
    Unavailable: (503, None),
}
"""Status and code of each error; subclasses follow their nearest base. None: the error's own code."""


def render(error: TallybookError, path: str) -> Rendered:
    status, code = nearest(ANSWERS, error)
    body: dict[str, Any] = {
        "success": False,
        "error": str(error),
        "message": str(error),
        "code": code or error.code,
    }
    details = _details(error)
    if details:
        body["details"] = details
    return Rendered(status, msgspec.json.encode(body), headers=headers_of(error))


def _details(error: TallybookError) -> dict[str, Any]:
    match error:
        case InvalidInput():
            return {
                "errors": [{"field": ".".join(map(str, fault.loc)), "message": fault.msg} for fault in error.faults]
            }
        case Refusal():
            facts = [_fact(name, value) for name, value in error.details.items() if value is not None]
            return {"reason": error.code, **dict(facts)}
    return {}


def _fact(name: str, value: str | int) -> tuple[str, Any]:
    """A room's fact as the wire spells it: `available_micro` is `available`, in credits."""
    plain = name.removesuffix("_micro")
    first, *others = plain.split("_")
    spelled = first + "".join(map(str.title, others))
    return spelled, to_wire_amount(value) if plain != name and isinstance(value, int) else value


_ERROR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "`error` and `message` are the same sentence; `code` may be matched on.",
    "required": ["success", "error", "message", "code"],
    "properties": {
        "success": {"const": False},
        "error": {"type": "string"},
        "message": {"type": "string"},
        "code": {"type": "string"},
        "details": {"type": "object"},
    },
}

DIALECT = Dialect("credits", PREFIXES, render, "application/json", _ERROR_SCHEMA, PATHS)
