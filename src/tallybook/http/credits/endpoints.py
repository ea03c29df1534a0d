"""The operations as the server mounts them: hot ones as raw ASGI endpoints, all others as framework routes."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from msgspec import Struct

from tallybook.http.access import CallerOf, Gate
from tallybook.http.body import Receive, read_body
from tallybook.http.credits.operations import Operation, Parts, schemas
from tallybook.http.document import later
from tallybook.http.gateway import Send, send_json

TAG = "credits"
JSON = "application/json"
_ENCODE = msgspec.json.Encoder().encode

Operations = Sequence[Operation[Any]]


class HotEndpoint:
    """A raw ASGI endpoint of an operation whose answers are whole."""

    def __init__(self, operation: Operation[Any], gate: Gate, *, body_bytes_max: int) -> None:
        self._operation = operation
        self._gate = gate
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        operation = self._operation
        caller = self._gate.admit(scope["headers"], operation.method, operation.path)
        body = await read_body(receive, scope["headers"], self._body_bytes_max) if operation.method == "POST" else b""
        await send_json(send, _ENCODE(await operation.answer(scope, caller, body)))


def raw_routes(operations: Operations, gate: Gate, *, body_bytes_max: int) -> dict[str, dict[str, HotEndpoint]]:
    return {
        operation.path: {operation.method: HotEndpoint(operation, gate, body_bytes_max=body_bytes_max)}
        for operation in operations
        if operation.hot
    }


def document(operations: Operations) -> dict[str, Any]:
    """The OpenAPI part of the raw routes, and the forms that the framework's routes refer to."""
    hot = [operation for operation in operations if operation.hot]
    paths = {
        operation.path: {
            operation.method.lower(): {"operationId": operation.name, "tags": [TAG], **operation.document()}
        }
        for operation in hot
    }
    return {"paths": paths, "schemas": schemas(operations)}


def router(operations: Operations) -> APIRouter:
    routes = APIRouter(tags=[TAG])
    for operation in operations:
        if not operation.hot:
            routes.add_api_route(
                operation.path,
                _endpoint(operation),
                methods=[operation.method],
                name=operation.name,
                response_class=Response,
                openapi_extra=later(operation.document)(),
            )
    return routes


def _endpoint(operation: Operation[Any]) -> Callable[[Request, CallerOf], Awaitable[Response]]:
    async def endpoint(request: Request, caller: CallerOf) -> Response:
        answer = await operation.answer(request.scope, caller, await request.body())
        if isinstance(answer, Struct):
            return Response(_ENCODE(answer), media_type=JSON)
        return _Streamed(answer)

    return endpoint


class _Streamed(StreamingResponse):
    """Lets go of the rows when the caller hangs up: whoever reads them holds a connection open meanwhile."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, media_type=JSON)
        self._parts = parts

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._parts.close()
