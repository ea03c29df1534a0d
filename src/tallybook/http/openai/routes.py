"""Routes of the openai dialect: one per row of `OPERATIONS`, and costs."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from tallybook.analytics.query import LineQuery
from tallybook.analytics.service import UsageService
from tallybook.http.access import CallerOf
from tallybook.http.openai import documents
from tallybook.http.openai.convert import to_cost_query, to_query, to_wire_costs, to_wire_lines, to_wire_page
from tallybook.http.openai.operations import COST_GROUPS, COSTS_PATH, LINE_ITEM, OPERATIONS, Operation
from tallybook.http.openai.wire import CostParams, parse

Endpoint = Callable[[Request, CallerOf], Response]


def router(usage: UsageService) -> APIRouter:
    routes = APIRouter(tags=["openai"])

    def add(path: str, name: str, summary: str, endpoint: Endpoint, document: dict[str, Any]) -> None:
        routes.add_api_route(
            path,
            endpoint,
            methods=["GET"],
            name=name,
            summary=summary,
            response_class=Response,
            openapi_extra=document,
        )

    for each in OPERATIONS:
        name = f"organization_usage_{each.name}"
        add(each.path, name, each.summary, _usage_endpoint(usage, each), documents.of_usage(each))
    add(COSTS_PATH, "organization_costs", "Costs", _costs_endpoint(usage), documents.of_costs())
    return routes


def _usage_endpoint(usage: UsageService, operation: Operation) -> Endpoint:
    def usage_of(request: Request, caller: CallerOf) -> Response:
        params = parse(operation.params, request.query_params.multi_items(), list(operation.groups))
        page = usage.query(to_query(operation, params, caller))
        return _answer(to_wire_page(operation, params, page))

    return usage_of


def _costs_endpoint(usage: UsageService) -> Endpoint:
    def costs(request: Request, caller: CallerOf) -> Response:
        params = parse(CostParams, request.query_params.multi_items(), [LINE_ITEM, *COST_GROUPS])
        query = to_cost_query(params, caller)
        if isinstance(query, LineQuery):
            return _answer(to_wire_lines(params, usage.query_lines(query)))
        return _answer(to_wire_costs(params, usage.query(query)))

    return costs


def _answer(body: bytes) -> Response:
    return Response(body, media_type="application/json")
