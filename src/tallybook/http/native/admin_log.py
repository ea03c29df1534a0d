"""`GET /v1/audit`: the admin log."""

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query
from pydantic import Field

from tallybook.audit.admin_log import AdminLog, Line, LogQuery
from tallybook.auth.key import Caller
from tallybook.core.paging import Cursors
from tallybook.core.time_window import instant_text
from tallybook.core.unit_of_work import Record
from tallybook.http.access import CallerOf
from tallybook.http.native.filters import Instant
from tallybook.http.native.listing import PageQuery, position
from tallybook.http.native.prices_convert import to_wire_daily
from tallybook.http.wire_model import ShortText, WireModel
from tallybook.pricing.price import DailyWindow
from tallybook.pricing.service import CLUSTER


class LogParams(PageQuery):
    start: Instant | None = Field(None, description="First instant of the range; no bound by default.")
    end: Instant | None = Field(None, description="The instant after the range; no bound by default.")
    actor: ShortText | None = Field(None, description="Id of the key that made the change.")
    action: ShortText | None = Field(None, description="What was done, such as key.created or event.voided.")
    subject: ShortText | None = Field(None, description="Id of what was changed.")


class LineShown(WireModel):
    object: Literal["change"] = "change"
    id: str
    at: str
    org_id: str | None = Field(description="Null: every org.")
    actor: str = Field(description="Id of the key that made the change; server or start: Tallybook itself.")
    action: str
    subject: str = Field(description="Id of what was changed.")
    before: dict[str, Any] | None = Field(description="What it was before, or what of it; null: it did not exist.")
    after: dict[str, Any] | None = Field(description="What it is since, or what of it; null: it is no more.")
    reason: str | None = Field(description="As it was given, for a correction.")
    correction_id: str | None = Field(description="Of a correction: what an undo takes.")


class LinePage(WireModel):
    object: Literal["list"] = "list"
    data: list[LineShown]
    has_more: bool
    next_page: str | None


def router(log: AdminLog, cursors: Cursors) -> APIRouter:
    routes = APIRouter(tags=["audit"])

    @routes.get("/v1/audit", summary="Changes to keys, orgs, settings and prices, and corrections of events")
    def list_changes(asked: Annotated[LogParams, Query()], caller: CallerOf) -> LinePage:
        """Changes in the org, newest first; cluster admins also see those that concern every org."""
        query = _query(asked, caller, cursors)
        lines = log.newest(query, asked.limit + 1)
        has_more, lines = len(lines) > asked.limit, lines[: asked.limit]
        following = cursors.seal(_question(asked, caller), lines[-1].place) if has_more else None
        return LinePage(data=[_to_wire(line) for line in lines], has_more=has_more, next_page=following)

    return routes


def _query(asked: LogParams, caller: Caller, cursors: Cursors) -> LogQuery:
    return LogQuery(
        org_ids=(caller.org_id, CLUSTER) if caller.is_cluster_admin else (caller.org_id,),
        start_us=asked.start,
        end_us=asked.end,
        actor=asked.actor,
        action=asked.action,
        subject=asked.subject,
        before=cast("tuple[int, str] | None", position(cursors, _question(asked, caller), asked.page)),
    )


def _question(asked: LogParams, caller: Caller) -> str:
    return f"changes in {caller.org_id} {asked.model_dump(exclude={'limit', 'page'})}"


def _to_wire(line: Line) -> LineShown:
    entry = line.entry
    return LineShown(
        id=line.id,
        at=instant_text(line.at_us),
        org_id=None if entry.org_id == CLUSTER else entry.org_id,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        before=_shown(entry.before),
        after=_shown(entry.after),
        reason=line.reason,
        correction_id=line.correction_id,
    )


def _shown(record: Record | None) -> dict[str, Any] | None:
    """The record in words of the wire: instants and times of day as text."""
    if record is None:
        return None
    return {_name(name): _value(name, value) for name, value in record.items()}


def _name(name: str) -> str:
    return name.removesuffix("_us")


def _value(name: str, value: Any) -> Any:
    if name == "daily" and value is not None:
        return to_wire_daily(DailyWindow(**value)).model_dump(by_alias=True)
    return instant_text(value) if name.endswith("_us") and isinstance(value, int) else value
