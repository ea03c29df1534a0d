"""What each type of usage counts, and what of it is charged."""

from collections.abc import Mapping
from typing import NamedTuple

from tallybook.core.counters import Usage
from tallybook.core.errors import Fault, InvalidInput
from tallybook.metering.event import UsageEvent
from tallybook.settlement.model import SOURCE_CONFIRMED, SOURCE_RECORDED, Told, UsageType

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens")


class _Form(NamedTuple):
    """Usage of a type: the kind of event it is kept as, which counters are charged, which quantities must be told."""

    kind: str
    charged: tuple[str, ...]
    needed: tuple[str, ...]


_FORMS: Mapping[str, _Form] = {
    UsageType.TEXT: _Form("completion", _TOKENS, ("input_tokens", "output_tokens")),
    UsageType.EMBEDDING: _Form("embedding", _TOKENS, ("input_tokens",)),
    UsageType.AUDIO_STT: _Form("audio_transcription", ("audio_seconds",), ("audio_seconds_micro",)),
    UsageType.AUDIO_TTS: _Form("audio_speech", ("audio_seconds",), ("audio_seconds_micro",)),
}

KINDS = {usage_type: _FORMS[usage_type].kind for usage_type in UsageType}
"""The kind of event that a type is kept as."""

_CHARGED_OF_KIND = {form.kind: frozenset(form.charged) for form in _FORMS.values()}

_NAMES = (*_TOKENS, "audio_seconds")
"""Of the counters, in the order of `Quantities`."""


_SPELLED = {"input_tokens": "inputTokens", "audio_seconds_micro": "audioDurationSeconds"}
"""Quantities, as callers name them."""


class Quantities(NamedTuple):
    """As told; None where nothing is. `audio_seconds_micro`: millionths of a second."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    audio_seconds_micro: int | None = None


def told_of(
    kind: str,
    quantities: Quantities,
    *,
    model: str,
    description: str | None = None,
    request_id: str | None = None,
    metadata: str | None = None,
    place: tuple[str, ...] = (),
    output_named: str = "outputTokens",
) -> Told:
    """What of a usage of that type is kept: quantities of the other family, too.

    Cached tokens are 0 by default. Raises `InvalidInput`, with the faults at `place` of the request, where one that the
    type counts is missing, or where more is cached than was put in.
    """
    form = _FORMS[kind]
    faults = _faults_of(kind, form, quantities, output_named)
    if faults:
        raise InvalidInput([Fault((*place, name), why) for name, why in faults])
    usage = {name: amount for name, amount in zip(_NAMES, quantities, strict=True) if amount is not None}
    if form.charged is _TOKENS:
        usage.setdefault("cache_read_tokens", 0)
    return Told(model, form.kind, usage, description, request_id, metadata)


def _faults_of(kind: str, form: _Form, told: Quantities, output_named: str) -> list[tuple[str, str]]:
    missing = [name for name in form.needed if getattr(told, name) is None]
    faults = [({**_SPELLED, "output_tokens": output_named}[name], f"is required for {kind}") for name in missing]
    if kind == UsageType.EMBEDDING and told.output_tokens:
        faults.append((output_named, "must be absent or 0 for an embedding"))
    if (told.cached_tokens or 0) > (told.input_tokens or 0):
        faults.append(("cachedTokens", "must not be more than inputTokens, which include them"))
    return faults


def charged(event: UsageEvent) -> Usage:
    """What of an event's usage its cost is for: all, unless it was told to the ledger under one of its types."""
    if event.source not in (SOURCE_CONFIRMED, SOURCE_RECORDED) or event.kind not in _CHARGED_OF_KIND:
        return event.usage
    return charged_of(event.kind, event.usage)


def charged_of(kind: str, usage: Usage) -> Usage:
    """What is charged of a usage that was told to the ledger. `kind`: of the event that it is kept as."""
    counters = _CHARGED_OF_KIND[kind]
    if counters.issuperset(usage):
        return usage
    return {name: amount for name, amount in usage.items() if name in counters}
