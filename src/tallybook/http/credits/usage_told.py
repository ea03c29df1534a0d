"""Usage as callers tell it, recorded or estimated (contract section 9): its forms and their conversion."""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, field

from tallybook.core.errors import invalid
from tallybook.core.money import COUNTER_MAX, MICRO_PER_UNIT
from tallybook.core.time_window import instant_text
from tallybook.http.credits.amounts import from_wire_amount, to_wire_amount
from tallybook.http.credits.money import to_wire_usd
from tallybook.http.credits.reading import from_wire_metadata
from tallybook.http.credits.wire import EstimateWanted, Id, UsageRecordShown, UsageWanted
from tallybook.settlement.model import Recorded, Told, UsageType
from tallybook.settlement.quantities import KINDS, Quantities, told_of

_TYPES = {kind: usage_type.value for usage_type, kind in KINDS.items()}
_NULL = Raw(b"null")

ContextName = Annotated[Literal["customer", "system"], Meta(description="customer or system")]


class RecordWanted(UsageWanted, rename="camel", kw_only=True):
    context: ContextName | None = None
    transaction_id: Id | None = None
    account_id: Id | None = None
    external_id: Id | None = None
    external_id_too: Id | None = field(name="external_id", default=None)


class UsageRecorded(Struct, rename="camel"):
    usage_record: UsageRecordShown
    success: bool = True


def to_told(wanted: UsageWanted, place: tuple[str, ...] = ()) -> Told:
    """The usage that stands at `place` in the body. Raises `InvalidInput`."""
    quantities = Quantities(
        wanted.input_tokens,
        wanted.output_tokens,
        wanted.cached_tokens,
        to_seconds_micro(wanted.audio_duration_seconds, place),
    )
    return told_of(
        wanted.usage_type,
        quantities,
        model=wanted.model_id,
        description=wanted.description,
        request_id=wanted.request_id,
        metadata=from_wire_metadata(wanted.metadata),
        place=place,
    )


def to_estimate(wanted: EstimateWanted) -> Told:
    """The most that may be used, of `text` unless it says otherwise. Raises `InvalidInput`."""
    place = ("estimate",)
    kind = wanted.usage_type or UsageType.TEXT
    seconds = to_seconds_micro(wanted.audio_duration_seconds, place)
    quantities = Quantities(wanted.input_tokens, wanted.max_output_tokens, wanted.cached_tokens, seconds)
    return told_of(kind, quantities, model=wanted.model_id, place=place, output_named="maxOutputTokens")


def recorded_shown(recorded: Recorded) -> UsageRecordShown:
    usage = recorded.usage
    seconds_micro = usage.get("audio_seconds")
    return UsageRecordShown(
        id=f"usage_{recorded.uid}",
        context=recorded.context,
        account_id=recorded.account_id,
        external_id=recorded.external_id,
        transaction_id=recorded.transaction_id,
        model_id=recorded.model,
        usage_type=_TYPES[recorded.kind],
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cached_tokens=usage.get("cache_read_tokens"),
        audio_duration_seconds=_NULL if seconds_micro is None else to_wire_amount(seconds_micro),
        description=recorded.description,
        estimated_cost_usd=to_wire_usd(recorded.cost_pico),
        created_at=instant_text(recorded.occurred_at_us),
    )


def is_told(raw: Raw) -> bool:
    """Whether there is a value: null is absent."""
    return bytes(raw) not in (b"", b"null")


def to_seconds_micro(raw: Raw, place: tuple[str, ...] = ()) -> int | None:
    """Millionths of a second; None where nothing is told. Raises `InvalidInput`, also above what a counter holds."""
    if not is_told(raw):
        return None
    name = ".".join((*place, "audioDurationSeconds"))
    micro = from_wire_amount(raw, name, zero=True)
    if micro > COUNTER_MAX:
        raise invalid(name, msg=f"must be at most {COUNTER_MAX // MICRO_PER_UNIT}")
    return micro
