"""The whole HTTP surface: framework routes, raw routes beside them, one table of dialects, one OpenAPI document."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tallybook import __version__
from tallybook.core.errors import Fault, InvalidInput, MalformedInput, TallybookError
from tallybook.http.access import Gate
from tallybook.http.dialect import Dialect, MethodNotAllowed, UnknownRoute
from tallybook.http.gateway import App, Dialects, Gateway
from tallybook.http.metrics import Metrics

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
RawRoutes = Mapping[str, Mapping[str, App]]

DESCRIPTION = """
A self-hosted usage book: meters every call, prices it exactly and answers who used what, when, at what cost.

Authenticate with `Authorization: Bearer <key>` or `X-API-Key: <key>`. Every answer carries `X-Request-ID`.
"""


def create_app(
    routers: Sequence[APIRouter],
    raw: RawRoutes,
    dialects: Sequence[Dialect],
    gate: Gate,
    metrics: Metrics,
    *,
    raw_documents: Mapping[str, Any],
    lifespan: Lifespan,
    body_bytes_max: int,
    cors_origins: Sequence[str],
    access_log: bool,
) -> Gateway:
    """`raw_documents` is the OpenAPI part of the raw routes: `paths` and `schemas`."""
    table = Dialects(dialects)
    inner = FastAPI(
        title="Tallybook",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    inner.state.gate = gate
    for routes in routers:
        inner.include_router(routes)
    _word_errors(inner, table, raw)
    _document_raw_routes(inner, raw_documents)
    return Gateway(
        inner,
        raw,
        table,
        metrics,
        body_bytes_max=body_bytes_max,
        cors_origins=cors_origins,
        access_log=access_log,
    )


def _word_errors(inner: FastAPI, table: Dialects, raw: RawRoutes) -> None:
    def answer(request: Request, error: TallybookError) -> Response:
        rendered = table.render(error, request.url.path)
        return Response(rendered.body, rendered.status, dict(rendered.headers), rendered.media_type)

    @inner.exception_handler(TallybookError)
    async def ours(request: Request, error: TallybookError) -> Response:
        return answer(request, error)

    @inner.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        faults = [Fault(tuple(fault["loc"]), fault["msg"].removeprefix("Value error, ")) for fault in error.errors()]
        return answer(request, InvalidInput(faults))

    @inner.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code == 404:
            return answer(request, UnknownRoute(f"there is nothing at {path}"))
        if error.status_code == 405:
            offered = (error.headers or {}).get("Allow", "").split(", ")
            return answer(request, MethodNotAllowed(request.method, sorted({*offered, *raw.get(path, ())} - {""})))
        return answer(request, MalformedInput(str(error.detail)))


def _document_raw_routes(inner: FastAPI, documents: Mapping[str, Any]) -> None:
    framework_document = inner.openapi

    def document() -> dict[str, Any]:
        if inner.openapi_schema is None:
            schema = framework_document()
            for path, operations in documents["paths"].items():
                schema["paths"].setdefault(path, {}).update(operations)
            schema.setdefault("components", {}).setdefault("schemas", {}).update(documents["schemas"])
            schema["components"]["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            schema["security"] = [{"bearer": []}, {"key": []}]
        return inner.openapi_schema or {}

    inner.openapi = document  # type: ignore[method-assign]
