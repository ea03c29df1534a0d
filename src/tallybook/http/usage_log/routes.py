"""The six operations below `/usage` (contract `usage-log.md`)."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.plan import STORABLE
from tallybook.analytics.query import Condition, Dimension, EventQuery, Reach, UsageQuery, conditions_of
from tallybook.analytics.service import UsageService
from tallybook.auth.key import Caller
from tallybook.core.errors import Forbidden, invalid
from tallybook.core.time_window import Bucket
from tallybook.corrections.model import Address, Void
from tallybook.corrections.service import CorrectionService
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.reach import reach_of
from tallybook.http.usage_log.convert import to_record, to_wish
from tallybook.http.usage_log.recording import Recording
from tallybook.http.usage_log.wire import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    RecordChanges,
    RecordWanted,
    answering,
    asking,
)
from tallybook.http.wire_model import read_wanted

Skip = Annotated[int, Query(ge=0, description="Records to pass over.")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Most records of the answer.")]
IncludeInactive = Annotated[bool, Query(description="Also those that are deleted.")]

_ENCODE = msgspec.json.Encoder().encode


def router(recording: Recording, usage: UsageService, corrections: CorrectionService) -> APIRouter:
    routes = APIRouter(tags=["usage_log"])

    @routes.post("/usage", status_code=201, response_class=Response, openapi_extra=asking(RecordWanted, status=201))
    async def log_usage(caller: CallerOf, request: Request) -> Response:
        """Logs a call by hand."""
        wanted = read_wanted(RecordWanted, await request.body(), "body")
        event = await recording.record(wanted, caller, await repeat_of(request, caller))
        return _answer(event, status=201)

    @routes.get("/usage", response_class=Response, openapi_extra=answering(listed=True))
    def list_usage_logs(
        caller: CallerOf,
        request: Request,
        skip: Skip = 0,
        limit: Limit = LIMIT_DEFAULT,
        include_inactive: IncludeInactive = False,
    ) -> Response:
        """Records of every event that you may see, newest first; how many there are is `X-Total-Count`."""
        return _listed(usage, _reach(caller, request), (), skip, limit, with_voided=include_inactive)

    @routes.get("/usage/user/{user_id:path}", response_class=Response, openapi_extra=answering(listed=True))
    def list_usage_logs_of_user(
        user_id: str,
        caller: CallerOf,
        request: Request,
        skip: Skip = 0,
        limit: Limit = LIMIT_DEFAULT,
        include_inactive: IncludeInactive = False,
    ) -> Response:
        """Records of one user."""
        if not caller.is_org_admin and caller.key.user_id != user_id:
            raise Forbidden("this key may only see usage of its own user")
        of_user = conditions_of([((Dimension.USER_ID,), [user_id])])
        return _listed(usage, _reach(caller, request), of_user, skip, limit, with_voided=include_inactive)

    @routes.get("/usage/{usage_id}", response_class=Response, openapi_extra=answering())
    def get_usage_log(
        usage_id: str, caller: CallerOf, request: Request, include_inactive: IncludeInactive = False
    ) -> Response:
        return _answer(usage.get_event(_reach(caller, request), usage_id, with_voided=include_inactive))

    @routes.put("/usage/{usage_id}", response_class=Response, openapi_extra=asking(RecordChanges))
    async def update_usage_log(usage_id: str, caller: CallerOf, request: Request) -> Response:
        """Sets units, cost or status. Units and cost of 0 mark the record as refunded."""
        changes = read_wanted(RecordChanges, await request.body(), "body")
        if changes.units_used is None and changes.cost_usd is None and changes.status_active is None:
            raise invalid("body", msg="name at least one of units_used, cost_usd, status_active")
        event = await _found(usage_id, caller, request)
        address = Address(event.org_id, event.uid, caller.actor, changes.reason)
        repeat = await repeat_of(request, caller)
        return _answer(await recording.correct(address, lambda event: to_wish(changes, event), repeat))

    @routes.delete("/usage/{usage_id}", status_code=204, response_class=Response)
    async def delete_usage_log(usage_id: str, caller: CallerOf, request: Request) -> Response:
        """Takes the record out of every total and list."""
        event = await _found(usage_id, caller, request)
        address = Address(event.org_id, event.uid, caller.actor)
        await recording.correct(address, lambda event: Void(), await repeat_of(request, caller))
        return Response(status_code=204)

    async def _found(usage_id: str, caller: Caller, request: Request) -> EventRecord:
        """The event, also if it is voided."""
        return await asyncio.to_thread(usage.get_event, _reach(caller, request), usage_id, with_voided=True)

    return routes


def _reach(caller: Caller, request: Request) -> Reach:
    """Cluster admins see every org, unless they name one."""
    return reach_of(caller, all_orgs=caller.is_cluster_admin and "x-org-id" not in request.headers)


def _listed(
    usage: UsageService,
    reach: Reach,
    conditions: tuple[Condition, ...],
    skip: int,
    limit: int,
    *,
    with_voided: bool,
) -> Response:
    total = _total(usage, reach, conditions, with_voided=with_voided)
    events: tuple[EventRecord, ...] = ()
    if skip < total:
        asked = EventQuery(reach, conditions=conditions, limit=limit, offset=skip, with_voided=with_voided)
        events = usage.list_events(asked).events
    body = _ENCODE([to_record(event) for event in events])
    return Response(body, media_type="application/json", headers={"X-Total-Count": str(total)})


def _total(usage: UsageService, reach: Reach, conditions: tuple[Condition, ...], *, with_voided: bool) -> int:
    asked = UsageQuery(
        reach,
        STORABLE.start_us,
        STORABLE.end_us,
        bucket=Bucket.ALL,
        conditions=conditions,
        measures=("events",),
        with_voided=with_voided,
    )
    (total,) = usage.query(asked).sums
    return total


def _answer(event: EventRecord, *, status: int = 200) -> Response:
    return Response(_ENCODE(to_record(event)), status, media_type="application/json")
