"""Orgs: `POST /v1/orgs`, `GET /v1/orgs`, `GET` and `PATCH /v1/orgs/{org}/settings`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from tallybook.auth.key import Caller
from tallybook.core.errors import NotFound
from tallybook.core.paging import Cursors
from tallybook.core.time_window import instant_text
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.native.listing import PageQuery, position
from tallybook.http.wire_model import ShortText, WireModel
from tallybook.orgs.model import LateConfirm, Org, OrgSettings, Overrun
from tallybook.orgs.service import OrgService


class OrgWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: ShortText = Field(description="1 to 255 of the characters A-Z a-z 0-9 . _ : -")
    name: ShortText


class OrgShown(WireModel):
    object: Literal["org"] = "org"
    id: str
    name: str
    created_at: str


class OrgPage(WireModel):
    object: Literal["list"] = "list"
    data: list[OrgShown]
    has_more: bool
    next_page: str | None


class SettingsShown(WireModel):
    late_confirm: LateConfirm = Field(description="What a confirmation after the hold's expiry does.")
    overrun: Overrun = Field(description="What may cover an actual amount above the hold.")
    credits_per_usd: str = Field(description="Credits charged for one USD of cost: above 0, at most 1000000.")
    markup_percent: str = Field(description="Added to the cost before it is charged: 0 to 10000.")
    reservation_seconds: int = Field(description="How long a hold lasts unless asked otherwise: 1 to 86400.")
    store_messages: bool = Field(description="Whether messages sent with events are kept.")
    message_retention_days: int = Field(description="Days for which messages are kept: 1 to 3650.")


def router(orgs: OrgService, cursors: Cursors) -> APIRouter:
    routes = APIRouter(tags=["orgs"])

    @routes.post("/v1/orgs", status_code=201)
    async def create_org(wanted: OrgWanted, caller: CallerOf, request: Request) -> OrgShown:
        repeat = await repeat_of(request, caller)
        return _to_wire(await orgs.create(wanted.id, wanted.name, actor=caller.actor, repeat=repeat))

    @routes.get("/v1/orgs")
    def list_orgs(asked: Annotated[PageQuery, Query()], caller: CallerOf) -> OrgPage:
        """Every org by its id for cluster admins; your own for everybody else."""
        if not caller.is_cluster_admin:
            return OrgPage(data=[_to_wire(orgs.get(caller.org_id))], has_more=False, next_page=None)
        after = position(cursors, "orgs", asked.page) or [""]
        found = orgs.list_orgs(after=str(after[0]), limit=asked.limit + 1)
        has_more, found = len(found) > asked.limit, found[: asked.limit]
        following = cursors.seal("orgs", [found[-1].id]) if has_more else None
        return OrgPage(data=[_to_wire(org) for org in found], has_more=has_more, next_page=following)

    @routes.get("/v1/orgs/{org}/settings")
    def get_settings(org: str, caller: CallerOf) -> SettingsShown:
        """The settings in force."""
        _check_reach(caller, org)
        return _to_wire_settings(orgs.settings_of(org))

    @routes.patch("/v1/orgs/{org}/settings")
    async def change_settings(
        org: str, values: Annotated[dict[str, Any], Body()], caller: CallerOf, request: Request
    ) -> SettingsShown:
        """Sets the named settings, null back to the default; answers all that are then in force."""
        _check_reach(caller, org)
        repeat = await repeat_of(request, caller)
        return _to_wire_settings(await orgs.change_settings(org, values, actor=caller.actor, repeat=repeat))

    return routes


def _check_reach(caller: Caller, org_id: str) -> None:
    if org_id != caller.org_id and not caller.is_cluster_admin:
        raise NotFound("there is no such org")


def _to_wire(org: Org) -> OrgShown:
    return OrgShown(id=org.id, name=org.name, created_at=instant_text(org.created_at_us))


def _to_wire_settings(settings: OrgSettings) -> SettingsShown:
    return SettingsShown(**settings.to_record())
