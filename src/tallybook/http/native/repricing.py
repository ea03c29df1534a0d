"""`POST /v1/events/reprice` and `POST /v1/corrections/{correction_id}/undo`: many events corrected in one go."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tallybook.analytics.query import Dimension
from tallybook.core.errors import invalid
from tallybook.core.money import usd_text
from tallybook.corrections.bulk import Done
from tallybook.corrections.differences import Difference
from tallybook.corrections.repricing import Repricing, Which
from tallybook.corrections.undoing import Undoing
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.document import later
from tallybook.http.native.amendment_wire import Reason
from tallybook.http.native.filters import Filters, Instant, conditions_from, reach_from
from tallybook.http.wire_model import WireModel, read_wanted
from tallybook.pricing.cost import Pricing


class RepriceFilter(Filters):
    """As the filters of a query: a text, or a list of alternatives."""

    model_config = ConfigDict(extra="forbid")

    start: Instant | None = Field(None, description="First instant of the range; no bound by default.")
    end: Instant | None = Field(None, description="The instant after the range; no bound by default.")

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return {name: [value] if _is_one_of_many(name, value) else value for name, value in sent.items()}


def _is_one_of_many(name: str, value: Any) -> bool:
    lists = {*Dimension, "org_ids"}
    return name in lists and isinstance(value, str | bool)


class _Asked(WireModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason | None = Field(None, description="Kept with each correction.")
    dry_run: Annotated[bool, Field(strict=True)] = Field(False, description="Only tell what would change.")


class RepriceWanted(_Asked):
    filter: RepriceFilter = Field(RepriceFilter.model_construct(), description="Which events; the unpriced by default.")


class UndoWanted(_Asked):
    pass


class DifferenceShown(WireModel):
    org_id: str
    model: str | None
    day: str = Field(description="UTC.")
    events: int
    unpriced_before: int
    unpriced_after: int
    known_cost_usd_before: str
    known_cost_usd_after: str


class BulkCorrection(WireModel):
    object: Literal["bulk_correction"] = "bulk_correction"
    correction_id: str | None = Field(description="What an undo names; null if nothing was done.")
    matched: int
    changed: int
    skipped: int = Field(description="Corrected by somebody else meanwhile.")
    differences: list[DifferenceShown]


def router(repricing: Repricing, undoing: Undoing) -> APIRouter:
    routes = APIRouter(tags=["corrections"])

    @routes.post("/v1/events/reprice", openapi_extra=_documented(RepriceWanted))
    async def reprice_events(caller: CallerOf, request: Request) -> BulkCorrection:
        """Rates events anew with the prices that are known now; their given costs stand."""
        wanted = read_wanted(RepriceWanted, await request.body())
        asked = wanted.filter
        if asked.as_of is not None:
            raise invalid("filter", "as_of", msg="cannot be set: only what is in force is repriced")
        if not asked.pricing:
            asked.pricing = [Pricing.UNPRICED.value]
        which = Which(reach_from(asked, caller), asked.start, asked.end, conditions_from(asked))
        repeat = await repeat_of(request, caller)
        return _answer(
            await repricing.reprice(which, caller.actor, wanted.reason, dry_run=wanted.dry_run, repeat=repeat)
        )

    @routes.post("/v1/corrections/{correction_id}/undo", openapi_extra=_documented(UndoWanted))
    async def undo_correction(correction_id: str, caller: CallerOf, request: Request) -> BulkCorrection:
        """Gives every event of the correction the content it had before, where it was not corrected again since."""
        wanted = read_wanted(UndoWanted, await request.body() or b"{}")
        org_id = None if caller.is_cluster_admin and "x-org-id" not in request.headers else caller.org_id
        repeat = await repeat_of(request, caller)
        return _answer(
            await undoing.undo(
                org_id, correction_id, caller.actor, wanted.reason, dry_run=wanted.dry_run, repeat=repeat
            )
        )

    return routes


@later
def _documented(kind: type[BaseModel]) -> dict[str, Any]:
    """The body as OpenAPI lists it, with the form of the filter in its place."""
    schema = kind.model_json_schema()
    forms = schema.pop("$defs", {})
    if "filter" in schema["properties"]:
        schema["properties"]["filter"] = forms[RepriceFilter.__name__]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _answer(done: Done) -> BulkCorrection:
    return BulkCorrection(
        correction_id=done.correction_id,
        matched=done.matched,
        changed=done.changed,
        skipped=done.skipped,
        differences=[_difference(row) for row in done.differences],
    )


def _difference(row: Difference) -> DifferenceShown:
    return DifferenceShown(
        org_id=row.org_id,
        model=row.model,
        day=row.day,
        events=row.events,
        unpriced_before=row.unpriced_before,
        unpriced_after=row.unpriced_after,
        known_cost_usd_before=usd_text(row.before_pico),
        known_cost_usd_after=usd_text(row.after_pico),
    )
