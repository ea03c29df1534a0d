"""The whole HTTP surface: framework routes, raw routes beside them, one table of dialects, one OpenAPI document."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from tallybook import __version__
from tallybook.core.errors import Fault, InvalidInput, MalformedInput, TallybookError
from tallybook.http import docs_page
from tallybook.http.access import Gate
from tallybook.http.dialect import InternalError, MethodNotAllowed, UnknownRoute
from tallybook.http.document import complete_document
from tallybook.http.gateway import Dialects, Gateway
from tallybook.http.metrics import Metrics
from tallybook.http.mounting import Mounted, RawRoutes
from tallybook.http.wire_model import in_words

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

DESCRIPTION = """
A self-hosted usage book: meters every call, prices it exactly and answers who used what, when, at what cost.

Authenticate with `Authorization: Bearer <key>` or `X-API-Key: <key>`. Every answer carries `X-Request-ID`.
"""


def create_app(
    mounted: Sequence[Mounted],
    more_raw: RawRoutes,
    gate: Gate,
    metrics: Metrics,
    *,
    lifespan: Lifespan,
    body_bytes_max: int,
    cors_origins: Sequence[str],
    access_log: bool,
) -> Gateway:
    dialects = [each.dialect for each in mounted]
    routers = [router for each in mounted for router in each.routers]
    raw = {path: methods for part in (*(each.raw for each in mounted), more_raw) for path, methods in part.items()}
    table = Dialects(dialects)
    inner = FastAPI(
        title="Tallybook",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    inner.state.gate = gate
    for router in routers:
        inner.include_router(router)
    inner.include_router(docs_page.router(inner.title, str(inner.openapi_url)))
    routes = [route for router in routers for route in router.routes]
    _word_errors(inner, table, raw, routes)
    complete_document(inner, routes, lambda: [each.document() for each in mounted], table, dialects)
    return Gateway(
        inner,
        raw,
        table,
        metrics,
        knows=gate.knows,
        body_bytes_max=body_bytes_max,
        cors_origins=cors_origins,
        access_log=access_log,
    )


def _word_errors(inner: FastAPI, table: Dialects, raw: RawRoutes, routes: Sequence[BaseRoute]) -> None:
    def answer(request: Request, error: TallybookError) -> Response:
        rendered = table.render(error, request.url.path)
        return Response(rendered.body, rendered.status, dict(rendered.headers), rendered.media_type)

    @inner.exception_handler(TallybookError)
    async def ours(request: Request, error: TallybookError) -> Response:
        return answer(request, error)

    @inner.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # The framework raises it again behind this answer, and the gateway logs it.
        return answer(request, InternalError("something went wrong; the log says more"))

    @inner.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        faults = [Fault(tuple(fault["loc"]), in_words(fault)) for fault in error.errors()]
        return answer(request, InvalidInput(faults))

    @inner.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        beside = raw.get(path, {})
        if error.status_code == 404 and not beside:
            return answer(request, UnknownRoute(f"there is nothing at {path}"))
        if error.status_code in (404, 405):
            # The framework names those of the first route only; a path with several methods is several routes.
            of_first = (error.headers or {}).get("Allow", "").split(", ")
            offered = {*of_first, *_methods_at(routes, request), *beside} - {""}
            return answer(request, MethodNotAllowed(request.method, sorted(offered)))
        return answer(request, MalformedInput(str(error.detail)))


def _methods_at(routes: Sequence[BaseRoute], request: Request) -> Iterator[str]:
    for route in routes:
        if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE:
            yield from route.methods or ()


def _operation_id(route: APIRoute) -> str:
    return route.name
