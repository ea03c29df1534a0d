"""The OpenAPI document of the whole server: what the framework knows of its routes, completed.

Added are raw routes, forms of bodies that pass the framework unseen, how to authenticate, one type for money, and for
every operation an example and how its dialect words an error.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any, ParamSpec

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from tallybook.core.errors import Fault, InvalidInput
from tallybook.http.access import ACCESS
from tallybook.http.dialect import Dialect
from tallybook.http.gateway import Dialects

Node = dict[str, Any]
Given = ParamSpec("Given")

MONEY: Node = {"type": "string", "format": "decimal"}
"""How a form marks US dollars in a text; the document refers to one schema wherever it stands."""

_MONEY_NAME = "Money"
_MONEY_SCHEMA: Node = {
    **MONEY,
    "description": "US dollars as a decimal number in text, exact to the picodollar.",
    "pattern": r"^\d+(\.\d+)?$",
    "examples": ["0.0068"],
}
_MONEY_REFERENCE = {"$ref": f"#/components/schemas/{_MONEY_NAME}"}
_REPEAT: Node = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "Makes it safe to send the request again.",
}
_ODD = InvalidInput([Fault(("query", "limit"), "must be a whole number")])


_LATER = "later"
"""Where an operation's part holds the function that makes it, instead of the part."""


def later(make: Callable[Given, Node]) -> Callable[Given, Node]:
    """For `openapi_extra`: has it made when the document is asked for, which is costly and not done at most starts."""

    def promised(*args: Given.args, **kwargs: Given.kwargs) -> Node:
        return {_LATER: partial(make, *args, **kwargs)}

    return promised


def complete_document(
    inner: FastAPI,
    routes: Sequence[BaseRoute],
    parts: Callable[[], Sequence[Mapping[str, Any]]],
    table: Dialects,
    dialects: Sequence[Dialect],
) -> None:
    """Makes the framework serve the whole document of these routes. `parts` have `paths` and `schemas`."""
    framework_document = inner.openapi

    @cache
    def document() -> Node:
        _make_what_was_promised(routes)
        return _completed(framework_document(), parts(), table, dialects)

    inner.openapi = document  # type: ignore[method-assign]


def _make_what_was_promised(routes: Sequence[BaseRoute]) -> None:
    for route in routes:
        extra = route.openapi_extra if isinstance(route, APIRoute) else None
        if extra and _LATER in extra:
            extra.update(extra.pop(_LATER)())


def _completed(whole: Node, parts: Sequence[Mapping[str, Any]], table: Dialects, dialects: Sequence[Dialect]) -> Node:
    schemas = whole.setdefault("components", {}).setdefault("schemas", {})
    for part in parts:
        for path, operations in part["paths"].items():
            whole["paths"].setdefault(path, {}).update(operations)
        schemas.update(part["schemas"])
    # What the framework would answer; ours is the problem of the dialect.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas.update({_error_name(dialect): dialect.error_schema for dialect in dialects})
    schemas[_MONEY_NAME] = _MONEY_SCHEMA
    whole = _referring_to_money(whole)
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            _tell_refusals(operation, table.at(path), path, public=ACCESS[method.upper(), path].public)
            if method != "get":
                _tell_repeats(operation)
            _show(operation)
    whole["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    whole["security"] = [{"bearer": []}, {"key": []}]
    return whole


def _tell_refusals(operation: Node, dialect: Dialect, path: str, *, public: bool) -> None:
    operation["responses"].pop("422", None)
    content = {
        "schema": {"$ref": f"#/components/schemas/{_error_name(dialect)}"},
        "example": json.loads(dialect.render(_ODD, path).body),
    }
    operation["responses"]["default"] = {
        "description": "A refusal or failure",
        "content": {dialect.error_type: content},
    }
    if public:
        operation["security"] = []


def _tell_repeats(operation: Node) -> None:
    parameters = operation.setdefault("parameters", [])
    if all(parameter["name"] != _REPEAT["name"] for parameter in parameters):
        parameters.append(_REPEAT)


def _error_name(dialect: Dialect) -> str:
    return f"{dialect.name.title()}Error"


def _show(operation: Node) -> None:
    """Adds what a server was once sent and answered."""
    recorded = examples().get(operation["operationId"], {})
    for body, content in (
        ("request", operation.get("requestBody", {}).get("content", {})),
        ("response", _success(operation).get("content", {})),
    ):
        if body in recorded and "application/json" in content:
            content["application/json"]["example"] = recorded[body]


def _success(operation: Node) -> Node:
    found: Node = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    return found


@cache
def examples() -> dict[str, Node]:
    """`request` and `response` of one call of each operation, by operation id; recorded by `tests/docs/examples.py`."""
    recorded: dict[str, Node] = json.loads(files("tallybook.http").joinpath("examples.json").read_text())
    return recorded


def _referring_to_money(value: Any) -> Any:
    """The same document, a copy throughout, in which forms refer to the one schema of money."""
    if isinstance(value, list):
        return [_referring_to_money(part) for part in value]
    if not isinstance(value, dict) or value is _MONEY_SCHEMA:
        return value
    copy = {name: _referring_to_money(part) for name, part in value.items()}
    if MONEY.items() <= copy.items():
        return {name: part for name, part in copy.items() if name not in MONEY} | _MONEY_REFERENCE
    return copy
