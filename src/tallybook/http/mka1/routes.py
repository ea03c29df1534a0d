"""Routes of the mka1 dialect: one per row of `OPERATIONS`, the two cost reports, statistics of a user."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel

from tallybook.analytics.answer import UsagePage
from tallybook.analytics.errors import TooManyBuckets
from tallybook.analytics.query import UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.core.errors import invalid
from tallybook.http.access import CallerOf
from tallybook.http.mka1 import costs, documents
from tallybook.http.mka1.convert import to_query, to_wire_page
from tallybook.http.mka1.operations import OPERATIONS, Operation
from tallybook.http.mka1.user_stats import to_stats_query, to_wire_stats
from tallybook.http.mka1.wire import CostParams, LlmCostParams, StatsParams, parse

LLM_COSTS = "/api/v1/llm/usage/costs"
COSTS = "/api/v1/budgeting/usage/costs"
USER_STATS = "/api/v1/llm/usage/users/{userId:path}/stats"


def router(usage: UsageService, *, unpaged_buckets_max: int) -> APIRouter:
    """`unpaged_buckets_max`: most buckets of an answer that has no pages."""
    routes = APIRouter(tags=["mka1"])

    def add(
        path: str,
        endpoint: Callable[..., Response],
        summary: str,
        shown: str,
        params: type[BaseModel],
        groups: Sequence[str] = (),
    ) -> None:
        name = path.removeprefix("/api/v1/").replace("/", "_").replace("{userId:path}_", "")
        routes.add_api_route(
            path,
            endpoint,
            name=name,
            summary=summary,
            response_class=Response,
            openapi_extra=documents.asked(params, groups, shown),
        )

    for operation in OPERATIONS:
        endpoint = _bucket_endpoint(usage, operation, unpaged_buckets_max)
        shown = documents.page_name(operation)
        add(operation.path, endpoint, operation.summary, shown, operation.params, operation.dimensions)

    def llm_costs(request: Request, caller: CallerOf) -> Response:
        params = parse(LlmCostParams, request.query_params.multi_items(), costs.LLM_DIMENSIONS)
        names = params.group_by or ["model"]
        query = costs.to_cost_query(params, names, caller, (costs.LLM_KINDS,))
        spends = costs.spends(names, query, usage.query(query).all_rows)
        return _response(costs.to_wire_llm_costs(params, names, spends))

    def all_costs(request: Request, caller: CallerOf) -> Response:
        params = parse(CostParams, request.query_params.multi_items(), costs.DIMENSIONS)
        names = params.group_by
        query = costs.to_cost_query(params, names, caller)
        spends = costs.spends(names, query, usage.query(query).all_rows)
        return _response(costs.to_wire_costs(params, names, spends))

    def user_stats(request: Request, caller: CallerOf, user_id: Annotated[str, Path(alias="userId")]) -> Response:
        params = parse(StatsParams, request.query_params.multi_items())
        query = to_stats_query(user_id, params, caller, buckets_max=unpaged_buckets_max)
        return _response(to_wire_stats(user_id, params, _asked(usage, query, "startDate").buckets))

    add(LLM_COSTS, llm_costs, "What language models cost", documents.LLM_COSTS, LlmCostParams, costs.LLM_DIMENSIONS)
    add(COSTS, all_costs, "What all services cost", documents.COSTS, CostParams, costs.DIMENSIONS)
    add(USER_STATS, user_stats, "Usage of one user: totals, by model and by day", documents.USER_STATS, StatsParams)
    return routes


def _bucket_endpoint(
    usage: UsageService, operation: Operation, unpaged_buckets_max: int
) -> Callable[[Request, CallerOf], Response]:
    def bucket_usage(request: Request, caller: CallerOf) -> Response:
        params = parse(operation.params, request.query_params.multi_items(), operation.dimensions)
        query = to_query(operation, params, caller, buckets_max=unpaged_buckets_max)
        body = to_wire_page(operation, query, _asked(usage, query, "start_time"))
        return Response(body, media_type="application/json")

    return bucket_usage


def _asked(usage: UsageService, query: UsageQuery, start: str) -> UsagePage:
    """A range of too many buckets is a fault of the parameter `start`: there are no pages to ask for instead."""
    try:
        return usage.query(query)
    except TooManyBuckets as error:
        msg = f"the range has more than {error.buckets_max} buckets; ask for a shorter range or wider buckets"
        raise invalid("query", start, msg=msg) from None


def _response(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
