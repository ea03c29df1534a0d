"""A correction as a line of the admin log: what the event said before, and says since."""

from tallybook.analytics.answer import EventRecord
from tallybook.audit.admin_log import Line
from tallybook.core.counters import COUNTERS
from tallybook.core.money import plain_digits, usd_text
from tallybook.core.unit_of_work import JournalEntry, Record
from tallybook.corrections.model import Action, CorrectionRecord

ACTIONS = {
    Action.AMEND: "event.amended",
    Action.VOID: "event.voided",
    Action.RESTORE: "event.restored",
    Action.REPRICE: "event.repriced",
    Action.UNDO: "event.undone",
}


def line_of(org_id: str, recorded: CorrectionRecord, before: EventRecord | None, after: EventRecord | None) -> Line:
    """`before` is the revision that the correction ended, `after` the one that it began; None where there is none.

    Of two revisions only what differs is told.
    """
    was, is_now = _told(before), _told(after)
    if was is not None and is_now is not None:
        was, is_now = _differing(was, is_now), _differing(is_now, was)
    entry = JournalEntry(org_id, recorded.actor, ACTIONS[recorded.action], recorded.uid, was, is_now)
    return Line(recorded.recorded_at_us, line_id(recorded), entry, recorded.reason, recorded.id)


def line_id(recorded: CorrectionRecord) -> str:
    return f"correction-{recorded.uid}-{recorded.superseded or 0:06}-{recorded.replacement or 0:06}"


def _told(event: EventRecord | None) -> Record | None:
    if event is None:
        return None
    usage = {name: plain_digits(amount, _decimals(name)) for name, amount in event.usage.items()}
    cost = None if event.cost_pico is None else usd_text(event.cost_pico)
    return {
        "revision": event.revision,
        **event.fields,
        **{f"usage.{name}": amount for name, amount in usage.items()},
        "pricing": event.pricing,
        "price_id": event.price_id,
        "cost_usd": cost,
    }


def _decimals(counter: str) -> int:
    return 6 if COUNTERS[counter].is_decimal else 0


def _differing(told: Record, other: Record) -> Record:
    return {name: told.get(name) for name in {**told, **other} if told.get(name) != other.get(name)}
