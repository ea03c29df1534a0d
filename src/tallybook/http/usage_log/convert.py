"""Between the usage log's records and events."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Raw

from tallybook.analytics.answer import EventRecord
from tallybook.core.counters import COUNTERS, Usage
from tallybook.core.errors import Fault, InvalidInput, NotFound, invalid
from tallybook.core.money import MICRO_PER_UNIT, pico_from_usd, plain_digits, scaled
from tallybook.core.time_window import instant_text
from tallybook.corrections.model import Amend, Refund, Void, Wish
from tallybook.http.usage_log.masking import masked
from tallybook.http.usage_log.wire import TOKENS, RecordChanges, RecordWanted, UsageRecord
from tallybook.metering.event import UsageEvent

SOURCE = "tallybook:usage_log"

KINDS = frozenset(
    [
        *("completion", "response", "decision", "embedding", "moderation", "image", "audio_speech"),
        *("audio_transcription", "conversation", "extract", "classify", "vector_store", "file", "web_search"),
        *("file_search", "code_interpreter", "sandbox"),
    ]
)
"""API names that are a kind of event; what goes by another name is an `api_call`."""

_TOTALS = ("input_tokens", "output_tokens")
_MEASURED = ("audio_seconds", "characters", "images", "web_searches", "bytes", "operations")
_USD_DECIMALS = 12
_NULL = Raw(b"null")


def to_event(wanted: RecordWanted, api_key_id: str | None) -> UsageEvent:
    """Raises `InvalidInput` where units, tokens and cost do not go together."""
    tokens = {name: amount for name in TOKENS if (amount := getattr(wanted, name, None)) is not None}
    faults = list(_faults_of(wanted, tokens))
    if faults:
        raise InvalidInput(faults)
    return UsageEvent(
        source=SOURCE,
        kind=wanted.api_name if wanted.api_name in KINDS else "api_call",
        operation=wanted.api_name,
        endpoint=wanted.endpoint,
        user_id=wanted.user_id,
        api_key_id=api_key_id,
        provider=wanted.provider,
        model=wanted.model,
        cost_pico=None if wanted.cost_usd is None else pico_from_usd(wanted.cost_usd),
        usage=tokens or {"units": scaled(wanted.units_used or Decimal(0), MICRO_PER_UNIT)},
        api_key_used=None if wanted.api_key_used is None else masked(wanted.api_key_used),
    )


def _faults_of(wanted: RecordWanted, tokens: Usage) -> Iterator[Fault]:
    if wanted.units_used is None and not tokens:
        yield Fault(("body", "units_used"), "Field required")
    if tokens and wanted.units_used not in (None, _total(tokens)):
        yield Fault(("body", "units_used"), "must be the total of the tokens, or left out")
    if wanted.cost_usd is None and not (tokens and wanted.model):
        yield Fault(("body", "cost_usd"), "Field required")


class AlreadyActive(NotFound):
    """A record that is asked to be active is so: there is nothing to do."""

    def __init__(self, event: EventRecord) -> None:
        super().__init__("the record is active")
        self.event = event


def to_wish(changes: RecordChanges, event: EventRecord) -> Wish:
    """What is asked of the event.

    Raises `AlreadyActive`, and `InvalidInput` for what its units cannot be set to and for one that is refunded.
    """
    _check_inactive(changes, event)
    values = dict(_values(changes, event))
    if changes.status_active is False:
        if values:
            raise invalid("body", "status_active", msg="must not be false beside other values")
        return Void()
    emptied = changes.units_used == 0 and changes.cost_usd == 0
    return Amend(values, Refund.IF_ANY if emptied else Refund.NONE, revive=changes.status_active is True)


def _check_inactive(changes: RecordChanges, event: EventRecord) -> None:
    """Raises as `to_wish` where a record that is not deleted is only asked to be active."""
    asked = (changes.status_active, changes.units_used, changes.cost_usd)
    if asked != (True, None, None) or event.voided:
        return
    if event.refunded:
        raise invalid("body", "status_active", msg="the record is refunded: set its units_used or cost_usd")
    raise AlreadyActive(event)


def _values(changes: RecordChanges, event: EventRecord) -> Iterator[tuple[str, int | Usage]]:
    if changes.cost_usd is not None:
        yield "cost_pico", pico_from_usd(changes.cost_usd)
    if changes.units_used is not None:
        yield "usage", _usage_of(changes.units_used, event.usage)


def _usage_of(units: Decimal, usage: Usage) -> Usage:
    """The usage with so many units. Tokens and other measures can only be emptied: nobody says which of them."""
    if set(usage) <= {"units", "requests"}:
        return {**usage, "units": scaled(units, MICRO_PER_UNIT)}
    if units == 0:
        return {name: amount if name == "requests" else 0 for name, amount in usage.items()}
    if units != _units_of(usage):
        msg = "must be 0 or as it is: this record counts more than units; amend its event instead"
        raise invalid("body", "units_used", msg=msg)
    return usage


def to_record(event: EventRecord) -> UsageRecord:
    fields: Mapping[str, Any] = event.fields
    return UsageRecord(
        usage_id=event.uid,
        user_id=fields.get("user_id"),
        api_name=fields.get("operation") or fields["kind"],
        endpoint=fields.get("endpoint"),
        units_used=_to_wire_number(scaled(_units_of(event.usage), MICRO_PER_UNIT), 6),
        cost_usd=_NULL if event.cost_pico is None else _to_wire_number(event.cost_pico, _USD_DECIMALS),
        api_key_used=fields.get("api_key_used") or fields.get("api_key_id"),
        status_active=not (event.voided or event.refunded),
        created_at=instant_text(event.occurred_at_us),
    )


def _units_of(usage: Usage) -> Decimal:
    """Its units, else the total of its tokens, else what else it measures, else how many requests it is for."""
    if "units" in usage:
        return _real("units", usage)
    if any(name in usage for name in _TOTALS):
        return _total(usage)
    return next(
        (_real(name, usage) for name in _MEASURED if name in usage), _real("requests", {"requests": 1, **usage})
    )


def _total(usage: Usage) -> Decimal:
    return Decimal(sum(usage.get(name, 0) for name in _TOTALS))


def _real(name: str, usage: Usage) -> Decimal:
    return Decimal(usage[name]) / COUNTERS[name].scale


def _to_wire_number(amount: int, decimals: int) -> Raw:
    return Raw(plain_digits(amount, decimals).encode())
