"""Routes of the mka1 dialect, one per row of `OPERATIONS`."""

from collections.abc import Callable

import msgspec
from fastapi import APIRouter, Request, Response

from tallybook.analytics.service import UsageService
from tallybook.http.access import CallerOf
from tallybook.http.mka1.convert import to_query, to_wire_page
from tallybook.http.mka1.operations import OPERATIONS, Operation
from tallybook.http.mka1.wire import documented, parse


def router(usage: UsageService) -> APIRouter:
    routes = APIRouter(tags=["mka1"])
    for operation in OPERATIONS:
        routes.add_api_route(
            operation.path,
            _bucket_endpoint(usage, operation),
            methods=["GET"],
            name=operation.path.removeprefix("/api/v1/").replace("/", "_"),
            summary=operation.summary,
            response_class=Response,
            openapi_extra={"parameters": documented(operation.params)},
        )
    return routes


def _bucket_endpoint(usage: UsageService, operation: Operation) -> Callable[[Request, CallerOf], Response]:
    def bucket_usage(request: Request, caller: CallerOf) -> Response:
        params = parse(operation.params, request.query_params.multi_items(), operation.dimensions)
        query = to_query(operation, params, caller)
        body = to_wire_page(operation, query, usage.query(query))
        return Response(msgspec.json.encode(body), media_type="application/json")

    return bucket_usage
