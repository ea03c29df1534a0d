"""What each type of usage counts, and what of it is charged."""

from typing import NamedTuple

from tallybook.core.counters import Usage
from tallybook.core.errors import Fault, InvalidInput
from tallybook.metering.event import UsageEvent
from tallybook.settlement.model import SOURCE_CONFIRMED, SOURCE_RECORDED, Told, UsageType

KINDS = {
    UsageType.TEXT: "completion",
    UsageType.EMBEDDING: "embedding",
    UsageType.AUDIO_STT: "audio_transcription",
    UsageType.AUDIO_TTS: "audio_speech",
}
"""The kind of event that a type is kept as."""

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens")
_CHARGED = {
    UsageType.TEXT: _TOKENS,
    UsageType.EMBEDDING: _TOKENS,
    UsageType.AUDIO_STT: ("audio_seconds",),
    UsageType.AUDIO_TTS: ("audio_seconds",),
}


_CHARGED_OF_KIND = {kind: _CHARGED[usage_type] for usage_type, kind in KINDS.items()}

_NAMES = (*_TOKENS, "audio_seconds")
"""Of the counters, in the order of `Quantities`."""
_OF_TOKENS = (UsageType.TEXT, UsageType.EMBEDDING)


class Quantities(NamedTuple):
    """As told; None where nothing is. `audio_seconds_micro`: millionths of a second."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    audio_seconds_micro: int | None = None


def told_of(
    kind: UsageType,
    quantities: Quantities,
    *,
    model: str,
    description: str | None = None,
    request_id: str | None = None,
    metadata: str | None = None,
    place: tuple[str, ...] = (),
    output_named: str = "outputTokens",
) -> Told:
    """What of a usage is kept and what is charged: quantities of the other family are kept only.

    Cached tokens are 0 by default. Raises `InvalidInput`, with the faults at `place` of the request, where one that the
    type counts is missing, or where more is cached than was put in.
    """
    faults = _faults_of(kind, quantities, output_named)
    if faults:
        raise InvalidInput([Fault((*place, name), why) for name, why in faults])
    if kind in _OF_TOKENS and quantities.cached_tokens is None:
        quantities = quantities._replace(cached_tokens=0)
    usage = {name: amount for name, amount in zip(_NAMES, quantities, strict=True) if amount is not None}
    priced = {name: usage[name] for name in _CHARGED[kind] if name in usage}
    return Told(model, KINDS[kind], usage, priced, description, request_id, metadata)


def _faults_of(kind: UsageType, told: Quantities, output_named: str) -> list[tuple[str, str]]:
    match kind:
        case UsageType.TEXT:
            needed = [("inputTokens", told.input_tokens), (output_named, told.output_tokens)]
        case UsageType.EMBEDDING:
            needed = [("inputTokens", told.input_tokens)]
        case UsageType.AUDIO_STT | UsageType.AUDIO_TTS:
            needed = [("audioDurationSeconds", told.audio_seconds_micro)]
    faults = [(name, f"is required for {kind}") for name, amount in needed if amount is None]
    if kind is UsageType.EMBEDDING and told.output_tokens:
        faults.append((output_named, "must be absent or 0 for an embedding"))
    if (told.cached_tokens or 0) > (told.input_tokens or 0):
        faults.append(("cachedTokens", "must not be more than inputTokens, which include them"))
    return faults


def charged(event: UsageEvent) -> Usage:
    """What of an event's usage its cost is for: all, unless it was told to the ledger under one of its types."""
    if event.source not in (SOURCE_CONFIRMED, SOURCE_RECORDED) or event.kind not in _CHARGED_OF_KIND:
        return event.usage
    counters = _CHARGED_OF_KIND[event.kind]
    return {name: amount for name, amount in event.usage.items() if name in counters}
