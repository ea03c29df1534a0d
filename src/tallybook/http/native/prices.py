"""Prices: `PUT` and `GET /v1/prices`, `GET /v1/prices/resolve` and `/diff`, `POST /v1/prices/sync` and `/compare`."""

import asyncio
from collections.abc import Callable
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request

from tallybook.core.paging import Cursors
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.native.listing import position
from tallybook.http.native.prices_convert import (
    to_new_price,
    to_wire_change,
    to_wire_comparison,
    to_wire_price,
    to_wire_resolution,
)
from tallybook.http.native.prices_wire import (
    CompareQuery,
    ComparisonShown,
    DiffQuery,
    DiffShown,
    PricePage,
    PriceQuery,
    PriceShown,
    PriceWanted,
    ResolutionShown,
    ResolveQuery,
    SyncShown,
)
from tallybook.pricing.comparison import Opinions
from tallybook.pricing.service import PricingService
from tallybook.pricing.store import Position

ReadOpinions = Callable[[bytes], Opinions]


def router(prices: PricingService, cursors: Cursors, read_litellm: ReadOpinions) -> APIRouter:
    routes = APIRouter(tags=["prices"])

    @routes.put("/v1/prices", status_code=201)
    async def put_price(wanted: PriceWanted, caller: CallerOf, request: Request) -> PriceShown:
        """Appends a dated price of the org. Events already stored keep the cost they were stored with."""
        repeat = await repeat_of(request, caller)
        price = to_new_price(wanted)
        return to_wire_price(await prices.put(caller.org_id, price, actor=caller.actor, repeat=repeat))

    @routes.get("/v1/prices")
    def list_prices(asked: Annotated[PriceQuery, Query()], caller: CallerOf) -> PricePage:
        """The prices of the org, or those of every org, newest first, with future, ended and superseded ones."""
        question = f"prices of {caller.org_id} for {(asked.origin.value, asked.provider, asked.model)}"
        before = cast(Position | None, position(cursors, question, asked.page))
        found = prices.list_prices(
            caller.org_id,
            asked.origin,
            provider=asked.provider,
            model=asked.model,
            before=before,
            limit=asked.limit + 1,
        )
        has_more, found = len(found) > asked.limit, found[: asked.limit]
        following = cursors.seal(question, (found[-1].recorded_at_us, found[-1].id)) if has_more else None
        return PricePage(data=[to_wire_price(price) for price in found], has_more=has_more, next_page=following)

    @routes.get("/v1/prices/resolve")
    def resolve_price(asked: Annotated[ResolveQuery, Query()], caller: CallerOf) -> ResolutionShown:
        """Which price an event of the org gets that names these, every price that could have been it, and why."""
        found = prices.resolve(
            caller.org_id, provider=asked.provider, model=asked.model, mode=asked.mode, at_us=asked.at, told=asked
        )
        return to_wire_resolution(asked, found)

    @routes.post("/v1/prices/sync")
    async def sync_prices(caller: CallerOf, request: Request) -> SyncShown:
        """Takes over the catalogue that is installed, whole or not at all. Stored events keep their cost."""
        done = await prices.sync(actor=caller.actor, repeat=await repeat_of(request, caller))
        return SyncShown(version=done.version, previous_version=done.before, recorded=done.recorded)

    @routes.get("/v1/prices/diff")
    def show_differences(asked: Annotated[DiffQuery, Query()], _: CallerOf) -> DiffShown:
        """What a sync would record now."""
        found = prices.differences()
        return DiffShown(
            recorded_version=found.recorded_version,
            installed_version=found.installed_version,
            changes=[to_wire_change(change) for change in found.changes[: asked.limit]],
            changes_total=len(found.changes),
        )

    @routes.post("/v1/prices/compare", openapi_extra=_LIST_BODY)
    async def compare_prices(
        asked: Annotated[CompareQuery, Query()], caller: CallerOf, request: Request
    ) -> ComparisonShown:
        """Where another list of prices disagrees with what the org is charged now. Nothing is recorded."""
        body = await request.body()
        return await asyncio.to_thread(
            lambda: to_wire_comparison(asked, prices.compare(caller.org_id, read_litellm(body)))
        )

    return routes


_LIST_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "description": "By name of the model."}}},
    }
}
