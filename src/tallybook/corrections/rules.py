"""The rulebook: an event as it is, and what is asked of it, lead to a change or to a refusal. Pure."""

from collections.abc import Callable, Iterator
from typing import Any, assert_never

import msgspec

from tallybook.analytics.answer import EventRecord
from tallybook.core.errors import Fault, InvalidInput, invalid
from tallybook.core.ids import uid_bytes
from tallybook.core.money import COST_PICO_MAX, COST_USD_MAX
from tallybook.corrections.errors import AlreadyVoided, NotVoided, StaleRevision
from tallybook.corrections.model import Action, Address, Amend, Change, Decision, GiveBack, Refund, Restore, Void, Wish
from tallybook.corrections.revision import content_of, event_of, rating_of, row_of
from tallybook.metering.event import Sender, Submission, UsageEvent
from tallybook.metering.normalize import faults_of
from tallybook.pricing.cost import Rating

Rate = Callable[[str, UsageEvent, int], Rating]
"""What an event of that org costs that occurred at that instant, as known now."""

WIRE_NAMES = {"cost_pico": "cost_usd", "occurred_at_us": "occurred_at"}
_OF_THE_LEDGER = ("account_id", "context")


def decide(event: EventRecord, wish: Wish, address: Address, correction_id: str, rate: Rate) -> Decision:
    """Raises `StaleRevision`, `AlreadyVoided`, `NotVoided`, and `InvalidInput` with faults under `("set", field)`."""
    if address.expected_revision not in (None, event.revision):
        raise StaleRevision(event, address.expected_revision or 0)
    match wish:
        case Restore():
            if not event.voided:
                raise NotVoided(event)
            return _decided(event, address, correction_id, Action.RESTORE, content_of(event, address.actor))
        case Void():
            _check_in_force(event)
            return _decided(event, address, correction_id, Action.VOID, None, wish.refund)
        case Amend(revive=True) if event.voided:
            row = amended(event, wish.set, address.actor, rate) if wish.set else content_of(event, address.actor)
            return _decided(event, address, correction_id, Action.RESTORE, row, wish.refund)
        case Amend():
            _check_in_force(event)
            row = amended(event, wish.set, address.actor, rate)
            return _decided(event, address, correction_id, Action.AMEND, row, wish.refund)
    assert_never(wish)


def repriced(event: EventRecord, address: Address, correction_id: str, rate: Rate) -> Decision | None:
    """The event at the price of its time as known now; None where that is what it is rated as already."""
    told = event_of(event)
    rating = rate(event.org_id, told, event.occurred_at_us)
    if rating == rating_of(event) or rating.known_cost_pico > COST_PICO_MAX:
        return None
    return _decided(event, address, correction_id, Action.REPRICE, row_of(event, told, rating, address.actor))


def reverted(
    event: EventRecord, before: EventRecord | None, address: Address, correction_id: str, *, voided: bool
) -> Decision:
    """The event with the content it had `before` a correction (None: that brought it back). `voided`: as it is now."""
    row = None if before is None else row_of(event, event_of(before), rating_of(before), address.actor)
    paid_by = _paid_by(event)
    change = Change(
        org_id=event.org_id,
        uid=uid_bytes(event.uid),
        occurred_at_us=event.occurred_at_us,
        superseded=None if voided else event.revision,
        replacement=None if row is None else event.revision + 1,
        row=row,
        before=content_of(event, address.actor),
        id=correction_id,
        action=Action.UNDO,
        actor=address.actor,
        reason=address.reason,
        refunded=before is not None and before.refunded,
    )
    return Decision(change, None, paid_by)


def amended(event: EventRecord, values: Any, actor: str, rate: Rate) -> Submission:
    """The event with these fields. Raises `InvalidInput`."""
    if not values:
        raise invalid("set", msg="name at least one field")
    if "usage" in values or "cost_pico" in values:
        values = {"unreported": False, **values}  # what was not told before is told now
    told = msgspec.structs.replace(event_of(event), **{name: _blank(name, value) for name, value in values.items()})
    sender = Sender(event.org_id, actor, may_name_others=True, source=told.source)
    faults = [*_ledger_faults(event, values), *faults_of(msgspec.structs.replace(told, occurred_at_us=None), sender, 0)]
    if faults:
        raise InvalidInput([Fault(("set", *_named(fault)), fault.msg) for fault in faults])
    rating = rate(event.org_id, told, event.occurred_at_us)
    if rating.known_cost_pico > COST_PICO_MAX:
        raise invalid("set", "usage", msg=f"costs more than {COST_USD_MAX} USD")
    return row_of(event, told, rating, actor)


def _decided(
    event: EventRecord,
    address: Address,
    correction_id: str,
    action: Action,
    row: Submission | None,
    refund: Refund = Refund.NONE,
) -> Decision:
    after_pico = 0 if row is None else row.rating.cost_pico
    change = Change(
        org_id=event.org_id,
        uid=uid_bytes(event.uid),
        occurred_at_us=event.occurred_at_us,
        superseded=None if action is Action.RESTORE else event.revision,
        replacement=None if row is None else event.revision + 1,
        row=row,
        before=content_of(event, address.actor),
        id=correction_id,
        action=action,
        actor=address.actor,
        reason=address.reason,
        refunded=row is not None and after_pico == 0 and (refund is not Refund.NONE or event.refunded),
    )
    paid_by = _paid_by(event)
    return Decision(change, _give_back(event, refund, paid_by, after_pico), paid_by)


def _give_back(event: EventRecord, refund: Refund, paid_by: str | None, after_pico: int | None) -> GiveBack | None:
    if refund is Refund.NONE or (paid_by is None and refund is Refund.IF_ANY):
        return None
    if paid_by is None:
        raise invalid("refund", msg="the event names no transaction that charged it")
    if after_pico is None:
        raise invalid("refund", msg="the corrected event has no known cost")
    return GiveBack(refund is Refund.REQUIRED, paid_by, event, after_pico)


def _paid_by(event: EventRecord) -> str | None:
    transaction_id = event.fields.get("transaction_id")
    return None if transaction_id is None else str(transaction_id)


def _check_in_force(event: EventRecord) -> None:
    if event.voided:
        raise AlreadyVoided(event)


def _blank(name: str, value: Any) -> Any:
    """What a cleared field holds."""
    return _BLANKS[name] if value is None else value


_BLANKS = {name: getattr(UsageEvent(), name) for name in UsageEvent.__struct_fields__}


def _ledger_faults(event: EventRecord, values: Any) -> Iterator[Fault]:
    if "transaction_id" in event.fields:
        for name in _OF_THE_LEDGER:
            if name in values:
                yield Fault((name,), "is that of the event's transaction and cannot be set")


def _named(fault: Fault) -> tuple[str | int, ...]:
    first, *rest = fault.loc
    return (WIRE_NAMES.get(str(first), first), *rest)
