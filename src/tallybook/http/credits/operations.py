"""An operation of the credits dialect: what it takes, what it gives, and how the OpenAPI document shows it."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import msgspec
from msgspec import Struct

from tallybook.auth.key import Caller
from tallybook.core.unit_of_work import Repeat
from tallybook.http.access import repeat_with
from tallybook.http.credits.reading import Wanted, from_body, from_query

Parts = Generator[bytes, None, None]
Answer = Struct | Parts
"""A whole answer, or its parts where there may be many."""


class Call(Struct, Generic[Wanted], frozen=True):
    caller: Caller
    wanted: Wanted
    repeat: Repeat | None

    @property
    def org_id(self) -> str:
        return self.caller.org_id


@dataclass(frozen=True)
class Operation(Generic[Wanted]):
    """`wanted` is the form of the query (GET) or of the body, `shown` that of the answer.

    `hot` ones are served by raw endpoints, all others by the framework.
    """

    method: str
    path: str
    name: str
    summary: str
    wanted: type[Wanted]
    shown: type[Struct]
    handle: Callable[[Call[Wanted]], Awaitable[Answer]]
    hot: bool = False

    async def answer(self, scope: Mapping[str, Any], caller: Caller, body: bytes) -> Answer:
        """Reads the request, and runs it. Raises whatever either does."""
        if self.method == "GET":
            return await self.handle(Call(caller, from_query(self.wanted, scope["query_string"]), None))
        return await self.handle(Call(caller, from_body(self.wanted, body), repeat_with(scope, caller, body)))

    def document(self) -> dict[str, Any]:
        """The operation as OpenAPI has it."""
        content = {"application/json": {"schema": _reference(self.shown)}}
        shared = {"summary": self.summary, "responses": {"200": {"description": "Done", "content": content}}}
        if self.method == "GET":
            return {**shared, "parameters": _parameters(self.wanted)}
        body = {"required": True, "content": {"application/json": {"schema": _reference(self.wanted)}}}
        return {**shared, "parameters": [_IDEMPOTENCY_KEY], "requestBody": body}


def schemas(operations: Sequence[Operation[Any]]) -> dict[str, Any]:
    """The forms of all bodies and answers, by name."""
    bodies = [operation.wanted for operation in operations if operation.method == "POST"]
    _, found = msgspec.json.schema_components(
        [*bodies, *(operation.shown for operation in operations)], ref_template=_REFERENCE
    )
    for schema in found.values():
        schema["properties"].pop(_SPELLED_OTHERWISE, None)
    return found


_REFERENCE = "#/components/schemas/{name}"
_SPELLED_OTHERWISE = "external_id"
_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}


def _reference(kind: type[Struct]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _parameters(kind: type[Struct]) -> list[dict[str, Any]]:
    (schema,) = msgspec.json.schema(kind)["$defs"].values()
    return [
        {"name": name, "in": "query", "schema": described}
        for name, described in schema["properties"].items()
        if name != _SPELLED_OTHERWISE
    ]
