"""`POST /v1/events/{uid}/amend`, `…/void`, `…/restore`: what is wrong with a stored event is said beside it."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from tallybook.analytics.answer import EventRecord
from tallybook.auth.key import Caller
from tallybook.core.errors import Conflict
from tallybook.core.money import MICRO_PER_UNIT, plain_digits
from tallybook.core.time_window import instant_text
from tallybook.corrections.model import Address, Amend, Corrected, CorrectionRecord, Refund, Restore, Void, Wish
from tallybook.corrections.service import CorrectionService
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.native.amendment_wire import AmendWanted, CorrectionWanted, RefundableWanted, documented, to_values
from tallybook.http.native.errors import EventRefusal
from tallybook.http.native.events_read import to_wire_event
from tallybook.http.wire_model import read_wanted

_CREDIT_DECIMALS = len(str(MICRO_PER_UNIT)) - 1


def router(corrections: CorrectionService) -> APIRouter:
    routes = APIRouter(tags=["corrections"])

    async def answered(uid: str, wanted: CorrectionWanted, wish: Wish, caller: Caller, request: Request) -> Response:
        address = Address(
            caller.org_id, uid, caller.actor, wanted.reason, wanted.expected_revision, caller.on_behalf_of
        )
        try:
            corrected = await corrections.correct(address, wish, await repeat_of(request, caller))
        except Conflict as refusal:
            raise await asyncio.to_thread(_with_event, corrections, caller.org_id, refusal) from None
        body = await asyncio.to_thread(_answer, corrections, caller.org_id, corrected)
        return Response(body, media_type="application/json")

    @routes.post("/v1/events/{uid}/amend", response_class=Response, openapi_extra=documented(AmendWanted))
    async def amend_event(uid: str, caller: CallerOf, request: Request) -> Response:
        """Appends a revision with the named fields replaced, rated again unless its cost is given."""
        wanted = read_wanted(AmendWanted, await request.body())
        return await answered(uid, wanted, Amend(to_values(wanted.set), _refund(wanted)), caller, request)

    @routes.post("/v1/events/{uid}/void", response_class=Response, openapi_extra=documented(RefundableWanted))
    async def void_event(uid: str, caller: CallerOf, request: Request) -> Response:
        """Takes the event out of every total and list."""
        wanted = read_wanted(RefundableWanted, await request.body())
        return await answered(uid, wanted, Void(_refund(wanted)), caller, request)

    @routes.post("/v1/events/{uid}/restore", response_class=Response, openapi_extra=documented(CorrectionWanted))
    async def restore_event(uid: str, caller: CallerOf, request: Request) -> Response:
        """Puts a voided event back as it was."""
        wanted = read_wanted(CorrectionWanted, await request.body())
        return await answered(uid, wanted, Restore(), caller, request)

    return routes


def _refund(wanted: RefundableWanted) -> Refund:
    return Refund.REQUIRED if wanted.refund else Refund.NONE


def _answer(corrections: CorrectionService, org_id: str, corrected: Corrected) -> bytes:
    event, correction = corrections.shown(org_id, corrected)
    refund = None
    if corrected.refund_id is not None:
        credits_text = plain_digits(corrected.refund_micro or 0, _CREDIT_DECIMALS)
        refund = {"transaction_id": corrected.refund_id, "credits": credits_text}
    told = {**to_wire_correction(correction), "refund": refund}
    return msgspec.json.encode({**_state(event, voided=corrected.replacement is None), "correction": told})


def _with_event(corrections: CorrectionService, org_id: str, refusal: Conflict) -> Conflict:
    """The refusal with the event that it met, where it names one."""
    details = refusal.details
    if "uid" not in details:
        return refusal
    event = corrections.at_revision(org_id, str(details["uid"]), int(details["revision"] or 0))
    return EventRefusal(refusal, _state(event, voided=bool(details["voided"])))


def _state(event: EventRecord, *, voided: bool) -> dict[str, Any]:
    return {**to_wire_event(event), "voided": voided}


def to_wire_correction(correction: CorrectionRecord) -> dict[str, Any]:
    """Who did what, when and why."""
    return {
        "id": correction.id,
        "action": correction.action.value,
        "superseded": correction.superseded,
        "replacement": correction.replacement,
        "actor": correction.actor,
        "reason": correction.reason,
        "recorded_at": instant_text(correction.recorded_at_us),
        "seq": correction.seq,
    }
