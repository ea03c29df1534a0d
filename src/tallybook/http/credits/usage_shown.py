"""Usage as it is read, field by field (contract section 9), and its conversion."""

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import UNSET, Raw, Struct, UnsetType

from tallybook.analytics.answer import EventRecord, UsageRow
from tallybook.core.time_window import instant_text
from tallybook.http.credits.amounts import to_wire_amount
from tallybook.http.credits.money import to_wire_usd
from tallybook.http.credits.usage_told import ContextName
from tallybook.http.credits.wire import (
    Flag,
    Id,
    Number,
    PagedOfAccount,
    Pagination,
    Text,
    TypeOfUsage,
    UsageRecordShown,
)

KINDS: Mapping[str, tuple[str, ...]] = {
    "text": ("completion", "response", "decision", "extract", "classify", "moderation"),
    "embedding": ("embedding",),
    "audio_stt": ("audio_transcription",),
    "audio_tts": ("audio_speech",),
}
"""The kinds of events that a `usageType` stands for; all other kinds have none."""

MEASURES = (
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "audio_seconds",
    "events",
    "unpriced_events",
)
"""What a summary is made of, by context and model."""

_TYPES = {kind: name for name, kinds in KINDS.items() for kind in kinds}
_OF_TOKENS = ("text", "embedding")
_NULL = Raw(b"null")
_NONE = ""
"""Under which stands usage that names no model or no context."""


class UsageAsked(PagedOfAccount, rename="camel"):
    model_id: Text | None = None
    context: ContextName | None = None
    usage_type: TypeOfUsage | None = None
    transaction_id: Id | None = None
    start_date: Text | None = None
    end_date: Text | None = None
    summary: Flag | None = None


class UsageOfModel(Struct, rename="camel"):
    cost_usd: Number
    count: int


class SummaryShown(Struct, rename="camel"):
    total_cost_usd: Number
    total_input_tokens: int
    total_output_tokens: int
    total_cached_tokens: int
    total_audio_duration_seconds: Number
    by_context: dict[str, Number]
    by_model: dict[str, UsageOfModel]
    record_count: int
    unpriced_count: int


class UsageList(Struct, rename="camel"):
    """`summary` if it is asked for, else `usageRecords`."""

    usage_records: list[UsageRecordShown] | UnsetType = UNSET
    summary: SummaryShown | UnsetType = UNSET
    pagination: Pagination | UnsetType = UNSET
    success: bool = True


def usage_record_shown(event: EventRecord, external_id: str | None) -> UsageRecordShown:
    usage, said = event.usage, {name: value for name, value in event.fields.items() if isinstance(value, str)}
    usage_type, seconds_micro = _TYPES.get(said["kind"]), usage.get("audio_seconds")
    uncached = 0 if usage_type in _OF_TOKENS and "input_tokens" in usage else None
    return UsageRecordShown(
        id=f"usage_{event.uid}",
        context=said.get("context"),
        account_id=said.get("account_id"),
        external_id=external_id,
        transaction_id=said.get("transaction_id"),
        model_id=said.get("model"),
        usage_type=usage_type,
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cached_tokens=usage.get("cache_read_tokens", uncached),
        audio_duration_seconds=_NULL if seconds_micro is None else to_wire_amount(seconds_micro),
        description=said.get("description"),
        estimated_cost_usd=_NULL if event.cost_pico is None else to_wire_usd(event.cost_pico),
        created_at=instant_text(event.occurred_at_us),
    )


def summary_shown(rows: Iterable[UsageRow]) -> SummaryShown:
    """From `MEASURES` by context and model. The figures of all contexts, and of all models, add up to the totals."""
    total: Counter[str] = Counter()
    by_context: Counter[str] = Counter({"customer": 0, "system": 0})
    by_model: dict[str, Counter[str]] = {}
    for (context, model), numbers in rows:
        figures = {name: number or 0 for name, number in zip(MEASURES, numbers, strict=True)}
        total.update(figures)
        by_context[str(context or _NONE)] += figures["cost_usd"]
        by_model.setdefault(str(model or _NONE), Counter()).update(figures)
    return SummaryShown(
        total_cost_usd=to_wire_usd(total["cost_usd"]),
        total_input_tokens=total["input_tokens"],
        total_output_tokens=total["output_tokens"],
        total_cached_tokens=total["cache_read_tokens"],
        total_audio_duration_seconds=to_wire_amount(total["audio_seconds"]),
        by_context={name: to_wire_usd(cost_pico) for name, cost_pico in by_context.items()},
        by_model={
            name: UsageOfModel(to_wire_usd(figures["cost_usd"]), figures["events"])
            for name, figures in by_model.items()
        },
        record_count=total["events"],
        unpriced_count=total["unpriced_events"],
    )
