"""What the usage log writes: records by hand, and what they are set to."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.errors import NoSuchEvent
from tallybook.auth.key import Caller
from tallybook.auth.service import AuthService
from tallybook.core.errors import Conflict, Fault, Forbidden, InvalidInput
from tallybook.core.ids import uid_text
from tallybook.core.unit_of_work import Repeat, RepeatedWithOtherBody
from tallybook.corrections.errors import AlreadyVoided
from tallybook.corrections.model import Address, Wish
from tallybook.corrections.service import CorrectionService
from tallybook.http.sender import sender_of
from tallybook.http.usage_log.convert import SOURCE, AlreadyActive, to_event
from tallybook.http.usage_log.wire import RecordWanted
from tallybook.metering.event import Status
from tallybook.metering.service import MeteringService

_WIRE_NAMES = {"operation": "api_name", "usage": "units_used"}


class Recording:
    def __init__(self, auth: AuthService, metering: MeteringService, corrections: CorrectionService) -> None:
        self._auth = auth
        self._metering = metering
        self._corrections = corrections

    async def record(self, wanted: RecordWanted, caller: Caller, repeat: Repeat | None) -> EventRecord:
        """Stores a record; a repeat is answered with the first one.

        Raises `Forbidden` for another user's record, `InvalidInput`, `RepeatedWithOtherBody`.
        """
        if wanted.user_id not in (None, caller.key.user_id) and not caller.may_name_others:
            raise Forbidden("this key may only record usage of its own user")
        event = to_event(wanted, self._key_linked(wanted.api_key_used, caller))
        key = None if repeat is None else repeat.request.hex()
        try:
            submissions = self._metering.prepare([event], sender_of(caller, SOURCE), idempotency_key=key)
        except InvalidInput as error:
            raise InvalidInput([Fault(("body", *_named(fault)), fault.msg) for fault in error.faults]) from None
        (outcome,) = await self._metering.commit(submissions)
        if outcome.status is Status.CONFLICT:
            raise RepeatedWithOtherBody
        uid = submissions[0].uid if outcome.stored is None else outcome.stored.uid
        return await asyncio.to_thread(self._corrections.at_revision, caller.org_id, uid_text(uid), 1)

    async def correct(
        self, address: Address, wish: Callable[[EventRecord], Wish], repeat: Repeat | None
    ) -> EventRecord:
        """The event as it was left. One that is voided already is `NoSuchEvent`, as any that is not there."""
        try:
            corrected = await self._corrections.correct(address, wish, repeat)
        except AlreadyActive as nothing:
            return nothing.event
        except Conflict as refusal:
            if refusal.code == AlreadyVoided.code:
                raise NoSuchEvent(address.uid) from None
            raise
        shown = await asyncio.to_thread(self._corrections.shown, address.org_id, corrected)
        return replace(shown.event, voided=corrected.replacement is None)

    def _key_linked(self, key_text: str | None, caller: Caller) -> str | None:
        """The id of the key that was used, if it is the org's and the caller may name it."""
        key_id = None if key_text is None else self._auth.find_key_id(key_text, caller.org_id)
        return key_id if caller.may_name_others or key_id == caller.key.id else None


def _named(fault: Fault) -> tuple[str | int, ...]:
    """The place of a fault in the body; it was found at `("events", 0, field…)`."""
    field, *rest = fault.loc[2:]
    return (_WIRE_NAMES.get(str(field), field), *rest)
