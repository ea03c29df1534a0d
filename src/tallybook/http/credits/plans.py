"""Plans, and which account is on which (contract section 6)."""

import asyncio
import logging
from typing import Any

from tallybook.core.errors import invalid
from tallybook.http.credits.amounts import to_wire_amount
from tallybook.http.credits.convert import pagination, to_address, to_slice_if_asked
from tallybook.http.credits.operations import Answer, Call, Operation
from tallybook.http.credits.plans_wire import (
    AccountPlanList,
    ArchiveWanted,
    AssignWanted,
    PlanAssigned,
    PlanList,
    PlanMade,
    PlanUnassigned,
    PlanWanted,
    UnassignWanted,
    account_plan_shown,
    plan_shown,
    to_new_plan,
)
from tallybook.http.credits.streams import listed
from tallybook.http.credits.wire import Paged, PagedOfAccount
from tallybook.plans.service import PlanService

IMMEDIATE = ("immediate", "now")
DEFERRED = ("next_period", "next_interval", "scheduled", "deferred")

log = logging.getLogger("tallybook.credits")


class Plans:
    def __init__(self, plans: PlanService) -> None:
        self._plans = plans
        self.operations: list[Operation[Any]] = [
            Operation(
                "GET", "/v1/accounts/plans", "list_account_plans", "List the plan assignments of an account",
                PagedOfAccount, AccountPlanList, self._list_of_account,
            ),
            Operation(
                "POST", "/v1/accounts/plans/assign", "assign_plan", "Put an account on a plan",
                AssignWanted, PlanAssigned, self._assign,
            ),
            Operation(
                "POST", "/v1/accounts/plans/unassign", "unassign_plan", "End an account's plan assignment",
                UnassignWanted, PlanUnassigned, self._unassign,
            ),
            Operation("GET", "/v1/plans", "list_plans", "List plans", Paged, PlanList, self._list),
            Operation("POST", "/v1/plans/create", "create_plan", "Create a plan", PlanWanted, PlanMade, self._create),
            Operation(
                "POST", "/v1/plans/archive", "archive_plan", "Archive a plan", ArchiveWanted, PlanMade, self._archive
            ),
        ]  # fmt: skip

    async def _list(self, call: Call[Paged]) -> Answer:
        page = to_slice_if_asked(call.wanted)
        found = await asyncio.to_thread(self._plans.list_plans, call.org_id, page)
        shown = map(plan_shown, found.rows)
        if page is None:
            return listed(b'{"success":true,"plans":[', shown, b"]}")
        plans = list(shown)
        return PlanList(plans, pagination(page, len(plans), found.total))

    async def _create(self, call: Call[PlanWanted]) -> PlanMade:
        return PlanMade(plan_shown(await self._plans.create(call.org_id, to_new_plan(call.wanted), call.repeat)))

    async def _archive(self, call: Call[ArchiveWanted]) -> PlanMade:
        spelled, otherwise = call.wanted.plan_id, call.wanted.id
        plan_id = spelled or otherwise
        if plan_id is None:
            raise invalid("planId", msg="is required")
        if otherwise not in (None, plan_id):
            raise invalid("planId", msg="id says something else")
        return PlanMade(plan_shown(await self._plans.archive(call.org_id, plan_id, call.repeat)))

    async def _list_of_account(self, call: Call[PagedOfAccount]) -> Answer:
        page, address = to_slice_if_asked(call.wanted), to_address(call.wanted)
        found = await asyncio.to_thread(self._plans.list_assignments, call.org_id, address, page)
        shown = map(account_plan_shown, found.rows)
        if page is None:
            return listed(b'{"success":true,"plans":[', shown, b"]}")
        plans = list(shown)
        return AccountPlanList(plans, pagination(page, len(plans), found.total))

    async def _assign(self, call: Call[AssignWanted]) -> PlanAssigned:
        made = await self._plans.assign(
            call.org_id,
            to_address(call.wanted),
            call.wanted.plan_id,
            deferred=_is_deferred(call.wanted.start_mode),
            repeat=call.repeat,
        )
        return PlanAssigned(account_plan_shown(made.assignment), to_wire_amount(made.balance_micro))

    async def _unassign(self, call: Call[UnassignWanted]) -> PlanUnassigned:
        ended = await self._plans.unassign(call.org_id, to_address(call.wanted), call.wanted.plan_id, call.repeat)
        return PlanUnassigned(None if ended.assignment is None else account_plan_shown(ended.assignment))


def _is_deferred(start_mode: str | None) -> bool:
    """Clients may send words nobody wrote down: those mean what saying nothing does."""
    if start_mode is not None and start_mode not in (*IMMEDIATE, *DEFERRED):
        log.info("unknown start mode taken as immediate", extra={"start_mode": start_mode})
    return start_mode in DEFERRED
