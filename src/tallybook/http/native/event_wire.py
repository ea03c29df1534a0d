"""The native event on the wire: from a request body to `UsageEvent`s, or to every fault in it.

A well-formed body takes the fast path: one typed decode of the whole batch. Anything that path refuses is read again
field by field, which is slow, but lists all faults by index.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any, cast, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tallybook.core.counters import COUNTERS, Usage
from tallybook.core.errors import Fault, InvalidInput, Location, MalformedInput, invalid
from tallybook.core.money import COUNTER_MAX, NotANumber, bounded, parse_number, pico_from_usd, scaled
from tallybook.core.time_window import SECOND_US, parse_instant
from tallybook.http.body import decode_any
from tallybook.metering.event import UsageEvent
from tallybook.metering.normalize import METADATA_MAX

NDJSON = "application/x-ndjson"

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Count = Annotated[int, Meta(ge=0, le=COUNTER_MAX)]


class WireEvent(msgspec.Struct):
    """One event as JSON (`docs/reference/events.md`)."""

    id: Text | None = None
    source: Annotated[str, Meta(max_length=255)] | None = None
    kind: Text | None = None
    user_id: Text | None = None
    external_user_id: Text | None = None
    project_id: Text | None = None
    team_id: Text | None = None
    api_key_id: Text | None = None
    account_id: Text | None = None
    transaction_id: Text | None = None
    session_id: Text | None = None
    context: Text | None = None
    image_size: Text | None = None
    image_quality: Text | None = None
    image_operation: Text | None = None
    vector_store_id: Text | None = None
    context_level: Text | None = None
    api_source: Text | None = None
    session_kind: Text | None = None
    provider: Text | None = None
    model: Text | None = None
    operation: Text | None = None
    endpoint: Text | None = None
    service_tier: Text | None = None
    request_id: Text | None = None
    finish_reason: Text | None = None
    description: Annotated[str, Meta(max_length=4096)] | None = None
    metadata: Raw = msgspec.field(default_factory=Raw)
    occurred_at: str | int | None = None
    cost_usd: str | None = None
    latency_ms: Count | None = None
    ttft_ms: Count | None = None
    batch: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    unreported: bool | None = None
    usage: dict[str, Count | Decimal | None] | None = None
    messages: Raw = msgspec.field(default_factory=Raw)
    provider_response: Raw = msgspec.field(default_factory=Raw)


class _Envelope(msgspec.Struct):
    events: list[WireEvent] | UnsetType = UNSET


FIXED = frozenset({"id", "source", "kind", "occurred_at", "transaction_id", "messages", "provider_response"})
"""Fields of an event that no correction sets."""


@dataclass(frozen=True)
class Reading:
    """What a body holds: its events in order (None where one has faults), and whether it was one bare event.

    `answers` are the providers' answers that came with events, by the index of the event; nothing is read of them yet.
    """

    events: Sequence[UsageEvent | None]
    faults: Sequence[Fault]
    bare: bool
    texts_checked: bool = False
    """Whether the texts are known to be within their lengths and without control characters."""
    answers: Mapping[int, Any] = field(default_factory=dict)
    messages: Mapping[int, bytes] = field(default_factory=dict)
    """JSON texts by the index of the event, if they were asked for."""


_TELLS_NOTHING = UsageEvent()
_DEFAULT_KIND = _TELLS_NOTHING.kind
_DECODE_ENVELOPE = msgspec.json.Decoder(_Envelope).decode
_DECODE_EVENT = msgspec.json.Decoder(WireEvent).decode


_ENCODE = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
_ENCODE_AS_IT_IS = msgspec.json.Encoder(decimal_format="number").encode


def read_events(body: bytes, content_type: str, *, strict: bool, with_messages: bool = False) -> Reading:
    """The events of a request body. Raises `MalformedInput` for what is not JSON, `InvalidInput` for another shape."""
    reading = None if strict else _read_fast(body, _is_ndjson(content_type), with_messages)
    return reading or read_field_by_field(body, content_type, strict=strict, with_messages=with_messages)


def _is_ndjson(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == NDJSON


def _read_fast(body: bytes, ndjson: bool, with_messages: bool) -> Reading | None:
    """None for a body that is not well formed throughout, whatever the reason."""
    plain = body.isascii()
    decimals: set[str] = set()
    try:
        if not plain:
            body.decode()
        if ndjson:
            sent = [_DECODE_EVENT(line) for line in _lines(body)]
            bare = False
        else:
            batch = _DECODE_ENVELOPE(body).events
            bare = batch is UNSET
            sent = [_DECODE_EVENT(body)] if batch is UNSET else batch
        events = [_event(wire, decimals) for wire in sent]
        if _TELLS_NOTHING in events:
            return None
        # A name can also be spelled in escapes.
        answers = _answers(sent) if b"provider_response" in body or b"\\u00" in body else {}
        messages = _messages(sent) if with_messages else {}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if decimals and _may_quote(body, decimals):
        return None
    # Lengths are part of the types; and JSON can spell a control character only by a backslash or these bytes.
    checked = plain and b"\\" not in body and b"\x7f" not in body
    return Reading(events, (), bare, texts_checked=checked, answers=answers, messages=messages)


def _messages(sent: Sequence[WireEvent]) -> dict[int, bytes]:
    """As they were sent, byte for byte."""
    texts = {index: bytes(wire.messages) for index, wire in enumerate(sent) if wire.messages}
    return {index: text for index, text in texts.items() if text != b"null"}


def _answers(sent: Sequence[WireEvent]) -> dict[int, Any]:
    answers = {index: decode_any(wire.provider_response) for index, wire in enumerate(sent) if wire.provider_response}
    return {index: answer for index, answer in answers.items() if answer is not None}


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _may_quote(body: bytes, counters: set[str]) -> bool:
    """Whether a counter may have been sent as a string, which the decoder takes for a decimal without a word."""
    # A name can also be spelled in escapes.
    return b"\\u00" in body or any(re.search(rb'%b"\s*:\s*"' % name.encode(), body) for name in counters)


def _event(wire: WireEvent, decimals: set[str]) -> UsageEvent:
    # By position: this runs for every event, and names would cost as much as the rest.
    return UsageEvent(
        wire.id,
        wire.source or "",
        _DEFAULT_KIND if wire.kind is None or wire.kind == _DEFAULT_KIND else wire.kind,
        wire.user_id,
        wire.external_user_id,
        wire.project_id,
        wire.team_id,
        wire.api_key_id,
        wire.account_id,
        wire.transaction_id,
        wire.session_id,
        wire.context,
        wire.image_size,
        wire.image_quality,
        wire.image_operation,
        wire.vector_store_id,
        wire.context_level,
        wire.api_source,
        wire.session_kind,
        wire.provider,
        wire.model,
        wire.operation,
        wire.endpoint,
        wire.service_tier,
        wire.request_id,
        wire.finish_reason,
        wire.description,
        _metadata(wire.metadata) if wire.metadata else None,
        _instant(wire.occurred_at) if wire.occurred_at is not None else None,
        pico_from_usd(parse_number(wire.cost_usd)) if wire.cost_usd is not None else None,
        wire.latency_ms,
        wire.ttft_ms,
        wire.batch is True,
        wire.background is True,
        wire.stream is True,
        _usage(wire.usage, decimals) if wire.usage else {},
        None,  # `api_key_used`, which no sender names here
        wire.unreported is True,
    )


def _instant(value: str | int | Decimal) -> int:
    """Microseconds from RFC 3339 or Unix seconds; digits beyond the microsecond are cut."""
    if isinstance(value, str):
        return parse_instant(value)
    numerator, denominator = bounded(Decimal(value)).as_integer_ratio()
    return numerator * SECOND_US // denominator


def _metadata(raw: Raw) -> str | None:
    """Canonical JSON text: sorted keys, numbers as they were written."""
    if bytes(raw) == b"null":
        return None
    text = _metadata_text(decode_any(raw))
    if len(text) > METADATA_MAX:
        raise ValueError("too long")
    return text


def _metadata_text(value: Any) -> str:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    text = _ENCODE(value)
    _check_numbers(text)
    return text.decode()


def _check_numbers(text: bytes) -> None:
    if b"Infinity" in text:
        try:
            decode_any(text)
        except msgspec.DecodeError:
            raise ValueError("holds a number beyond all bounds") from None


_INTEGER = frozenset({int})
_WHOLE_COUNTERS = frozenset(name for name, counter in COUNTERS.items() if not counter.is_decimal)


def _usage(sent: dict[str, int | Decimal | None], decimals: set[str]) -> Usage:
    """Adds to `decimals` the names of counters that came as one."""
    if _WHOLE_COUNTERS.issuperset(sent) and _INTEGER.issuperset(map(type, sent.values())):
        return cast(Usage, sent)
    usage = {}
    for name, amount in sent.items():
        counter = COUNTERS.get(name)
        if counter is None or amount is None:
            continue
        if not counter.is_decimal:
            if type(amount) is not int:
                raise msgspec.ValidationError("Expected `int`")
            usage[name] = amount
        else:
            if type(amount) is not int:
                decimals.add(name)
            usage[name] = _decimal_amount(amount, counter.scale)
    return usage


def _decimal_amount(amount: int | Decimal, scale: int) -> int:
    number = bounded(Decimal(amount))
    if number < 0:
        raise NotANumber("must be 0 or more")
    stored = scaled(number, scale)
    if stored > COUNTER_MAX:
        raise NotANumber(f"must be at most {COUNTER_MAX // scale}")
    return stored


# The slow path: the same types, one field at a time.


def read_field_by_field(body: bytes, content_type: str, *, strict: bool, with_messages: bool = False) -> Reading:
    """As `read_events`, but slow for a large body."""
    try:
        body.decode()
        reading = _read_lines(body, strict) if _is_ndjson(content_type) else _read_document(decode_any(body), strict)
        return reading if with_messages else replace(reading, messages={})
    except UnicodeDecodeError as error:
        raise MalformedInput(f"the body is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise MalformedInput("the body is nested too deep") from None
    except msgspec.ValidationError:
        raise MalformedInput("the body holds a number of too many digits") from None
    except msgspec.DecodeError as error:
        raise MalformedInput(f"the body is not JSON: {error}") from None


def _read_document(document: Any, strict: bool) -> Reading:
    if not isinstance(document, dict):
        raise invalid("body", msg="must be an event object or an object with `events`")
    if "events" not in document:
        return _read_objects([document], strict, bare=True)
    objects = document["events"]
    if not isinstance(objects, list):
        raise invalid("events", msg="must be a list of events")
    unknown = [Fault((name,), "is not a field of a batch") for name in document if strict and name != "events"]
    if unknown:
        raise InvalidInput(unknown)
    return _read_objects(objects, strict, bare=False)


def _read_lines(body: bytes, strict: bool) -> Reading:
    return _read_objects([_line(line) for line in _lines(body)], strict, bare=False)


class _BrokenLine:
    pass


def _line(line: bytes) -> Any:
    try:
        return decode_any(line)
    except (msgspec.DecodeError, RecursionError):
        return _BrokenLine()


def _read_objects(objects: Sequence[Any], strict: bool, *, bare: bool) -> Reading:
    events: list[UsageEvent | None] = []
    faults: list[Fault] = []
    answers: dict[int, Any] = {}
    messages: dict[int, bytes] = {}
    for index, sent in enumerate(objects):
        if not isinstance(sent, dict):
            what = "is not valid JSON" if isinstance(sent, _BrokenLine) else "must be an object"
            found: list[Fault] = [Fault(("events", index), what)]
            event = None
        else:
            event, found = _read_object(sent, strict)
            found = [Fault(("events", index, *fault.loc), fault.msg) for fault in found]
            if not found and sent.get("provider_response") is not None:
                answers[index] = sent["provider_response"]
            if not found and sent.get("messages") is not None:
                messages[index] = _ENCODE_AS_IT_IS(sent["messages"])
        faults.extend(found)
        events.append(None if found else event)
    return Reading(events, faults, bare, answers=answers, messages=messages)


_TYPES = get_type_hints(WireEvent, include_extras=True)


def read_fields(sent: dict[str, Any], *, strict: bool) -> tuple[dict[str, Any], list[Fault]]:
    """The fields that are there and not null, by their names here, normalised; and every fault."""
    faults: list[Fault] = []
    fields: dict[str, Any] = {}
    for name, value in sent.items():
        if name not in _TYPES:
            if strict:
                faults.append(Fault((name,), "is not a field of an event"))
        elif value is not None:
            reader = _READERS.get(name, _typed)
            try:
                fields[name] = reader(value, _TYPES[name])
            except InvalidInput as error:
                faults.extend(Fault((name, *fault.loc), fault.msg) for fault in error.faults)
            except (ValueError, RecursionError) as error:
                faults.append(Fault((name,), _plain_words(error)))
    if strict and isinstance(sent.get("usage"), dict):
        faults.extend(Fault(("usage", name), "is not a counter") for name in sent["usage"] if name not in COUNTERS)
    return fields, faults


def _read_object(sent: dict[str, Any], strict: bool) -> tuple[UsageEvent | None, list[Fault]]:
    fields, faults = read_fields(sent, strict=strict)
    if sent and not faults and _TYPES.keys().isdisjoint(sent):
        faults = [Fault((), "holds no field of an event")]
    if faults:
        return None, faults
    fields.pop("messages", None)
    fields.pop("provider_response", None)
    instant = fields.pop("occurred_at", None)
    cost = fields.pop("cost_usd", None)
    return UsageEvent(**fields, occurred_at_us=instant, cost_pico=cost), []


def _typed(value: Any, kind: Any) -> Any:
    return msgspec.convert(value, kind)


def _read_instant(value: Any, kind: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be an RFC 3339 date-time or Unix seconds")
    return _instant(value)


def _read_cost(value: Any, kind: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be a decimal string")
    return pico_from_usd(parse_number(value))


def _read_metadata(value: Any, kind: Any) -> str:
    return _metadata_text(value)


def _read_messages(value: Any, kind: Any) -> None:
    """Any JSON; of no use to the event itself."""
    _check_numbers(_ENCODE_AS_IT_IS(value))


def _read_answer(value: Any, kind: Any) -> None:
    """Read later, beside the fields that say how."""


def _read_usage(value: Any, kind: Any) -> Usage:
    if not isinstance(value, dict):
        raise ValueError("must be an object of counters")
    usage: dict[str, int] = {}
    faults: list[Fault] = []
    for name, amount in value.items():
        if name in COUNTERS and amount is not None:
            try:
                usage.update(_usage({name: _amount(amount)}, set()))
            except (ValueError, msgspec.ValidationError) as error:
                loc: Location = (name,)
                faults.append(Fault(loc, _plain_words(error)))
    if faults:
        raise InvalidInput(faults)
    return usage


def _amount(value: Any) -> int | Decimal:
    if isinstance(value, Decimal):
        return bounded(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a number")
    amount: int = msgspec.convert(value, Count)
    return amount


_READERS: dict[str, Callable[[Any, Any], Any]] = {
    "occurred_at": _read_instant,
    "cost_usd": _read_cost,
    "metadata": _read_metadata,
    "messages": _read_messages,
    "provider_response": _read_answer,
    "usage": _read_usage,
}


def _plain_words(error: Exception) -> str:
    """The message in a caller's words; the decoder speaks of its own types."""
    if not isinstance(error, msgspec.ValidationError):
        return str(error)
    return _TYPE_WORDS.sub(lambda found: _WORDS[found[0]], str(error).partition(" - at ")[0])


_WORDS = {
    "Expected": "must be",
    "`int` >=": "an integer of at least",
    "`int` <=": "an integer of at most",
    "`str` of length >= 1": "a text of at least one character",
    "`str` of length <=": "a text whose length is at most",
    "`int | null`": "an integer",
    "`str | null`": "a text",
    "`bool | null`": "true or false",
    "`int`": "an integer",
    "`str`": "a text",
    "`bool`": "true or false",
    "`decimal`": "a number",
    "`float`": "a number",
    "`object`": "an object",
    "`array`": "a list",
    "got": "not",
}
_TYPE_WORDS = re.compile("|".join(map(re.escape, _WORDS)))
