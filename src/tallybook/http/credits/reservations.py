"""Holds on credits, from creation to what becomes of them (contract section 8), and their extension."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from tallybook.core.errors import invalid
from tallybook.http.credits.amounts import from_wire_amount
from tallybook.http.credits.convert import (
    cancelled,
    confirmed,
    pagination,
    reservation_shown,
    to_address,
    to_hold,
    to_slice_if_asked,
)
from tallybook.http.credits.operations import Answer, Call, Operation
from tallybook.http.credits.streams import listed
from tallybook.http.credits.usage_record import sender_of
from tallybook.http.credits.usage_told import is_told, to_estimate, to_told
from tallybook.http.credits.wire import (
    Cancelled,
    CancelWanted,
    Confirmed,
    ConfirmWanted,
    ExtendWanted,
    ReservationList,
    ReservationMade,
    ReservationsAsked,
    ReservationWanted,
)
from tallybook.ledger.model import Terms
from tallybook.ledger.service import LedgerService
from tallybook.orgs.model import LateConfirm, OrgSettings, Overrun
from tallybook.settlement.model import Tariff
from tallybook.settlement.service import SettlementService


class Reservations:
    """`settings_of` gives the settings in force of an org; it is asked with every call."""

    def __init__(
        self, ledger: LedgerService, settlement: SettlementService, settings_of: Callable[[str], OrgSettings]
    ) -> None:
        self._ledger = ledger
        self._settlement = settlement
        self._settings_of = settings_of
        self.operations: list[Operation[Any]] = [
            Operation(
                "POST", "/v1/reservations/create", "create_reservation", "Hold credits",
                ReservationWanted, ReservationMade, self._create, hot=True,
            ),
            Operation(
                "GET", "/v1/reservations", "list_reservations", "List the holds of an account",
                ReservationsAsked, ReservationList, self._list,
            ),
            Operation(
                "POST", "/v1/reservations/confirm", "confirm_reservation", "Settle a hold with the actual amount",
                ConfirmWanted, Confirmed, self._confirm, hot=True,
            ),
            Operation(
                "POST", "/v1/reservations/cancel", "cancel_reservation", "Free a hold",
                CancelWanted, Cancelled, self._cancel, hot=True,
            ),
            Operation(
                "POST", "/v1/reservations/extend", "extend_reservation", "Let a hold expire later",
                ExtendWanted, ReservationMade, self._extend,
            ),
        ]  # fmt: skip

    async def _create(self, call: Call[ReservationWanted]) -> ReservationMade:
        wanted, settings, address = call.wanted, self._settings_of(call.org_id), to_address(call.wanted)
        if wanted.estimate is None:
            hold = to_hold(wanted, from_wire_amount(_said(wanted.amount, "amount"), "amount"), settings)
            made = await self._ledger.reserve(call.org_id, address, hold, call.repeat)
        else:
            _check_alone(wanted.amount, "amount", "estimate")
            estimate, tariff = to_estimate(wanted.estimate), _tariff(settings)
            hold = to_hold(wanted, 0, settings)
            made = await self._settlement.reserve(call.org_id, address, hold, estimate, tariff, call.repeat)
        return ReservationMade(reservation_shown(made))

    async def _list(self, call: Call[ReservationsAsked]) -> Answer:
        page = to_slice_if_asked(call.wanted)
        found = await asyncio.to_thread(
            self._ledger.list_reservations,
            call.org_id,
            to_address(call.wanted),
            active_only=call.wanted.active_only or False,
            page=page,
        )
        shown = map(reservation_shown, found.rows)
        if page is None:
            return listed(b'{"success":true,"reservations":[', shown, b"]}")
        reservations = list(shown)
        return ReservationList(reservations, pagination(page, len(reservations), found.total))

    async def _confirm(self, call: Call[ConfirmWanted]) -> Confirmed:
        wanted, settings = call.wanted, self._settings_of(call.org_id)
        terms = Terms(settings.late_confirm is LateConfirm.CHARGE, settings.overrun is Overrun.AVAILABLE)
        if wanted.usage is None:
            actual_micro = from_wire_amount(_said(wanted.actual_amount, "actualAmount"), "actualAmount", zero=True)
            made = await self._ledger.confirm(call.org_id, wanted.reservation_id, actual_micro, terms, call.repeat)
            return confirmed(made)
        _check_alone(wanted.actual_amount, "actualAmount", "usage")
        told, tariff, sender = to_told(wanted.usage, ("usage",)), _tariff(settings), sender_of(call.caller)
        settled = await self._settlement.confirm(wanted.reservation_id, told, terms, tariff, sender, call.repeat)
        return confirmed(settled.confirmation, usage_uid=settled.uid)

    async def _cancel(self, call: Call[CancelWanted]) -> Cancelled:
        spelled, otherwise = call.wanted.reservation_id, call.wanted.id
        reservation_id = spelled or otherwise
        if reservation_id is None:
            raise invalid("reservationId", msg="is required")
        if otherwise not in (None, reservation_id):
            raise invalid("reservationId", msg="id says something else")
        return cancelled(await self._ledger.cancel(call.org_id, reservation_id, call.repeat))

    async def _extend(self, call: Call[ExtendWanted]) -> ReservationMade:
        wanted = call.wanted
        made = await self._ledger.extend(call.org_id, wanted.reservation_id, wanted.expires_in_seconds, call.repeat)
        return ReservationMade(reservation_shown(made))


def _said(amount: Raw, name: str) -> Raw:
    if not is_told(amount):
        raise invalid(name, msg="is required")
    return amount


def _check_alone(amount: Raw, name: str, other: str) -> None:
    if is_told(amount):
        raise invalid(name, msg=f"cannot be sent with {other}, from which it follows")


def _tariff(settings: OrgSettings) -> Tariff:
    return Tariff(settings.credits_per_usd, settings.markup_percent)
