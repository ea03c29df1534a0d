"""Who an event is, and whether two tellings of it are the same: the hashes that make usage count once.

Both are part of what is stored for ever. Golden vectors stand in `contracts/native/content_hash.json`.
"""

import hashlib

import msgspec

from tallybook.core.counters import COUNTERS
from tallybook.core.ids import hash128
from tallybook.metering.event import UsageEvent

CONTENT_VERSION = 1

# Field numbers of the content hash. They never change and are never used again. `id` and `source` are the identity
# and take no part.
_TEXT_FIELDS = {
    "user_id": 2,
    "external_user_id": 3,
    "project_id": 4,
    "team_id": 5,
    "api_key_id": 6,
    "account_id": 7,
    "transaction_id": 8,
    "session_id": 9,
    "context": 10,
    "image_size": 11,
    "image_quality": 12,
    "image_operation": 13,
    "vector_store_id": 14,
    "context_level": 15,
    "api_source": 16,
    "session_kind": 17,
    "provider": 18,
    "model": 19,
    "operation": 20,
    "endpoint": 21,
    "service_tier": 22,
    "request_id": 23,
    "finish_reason": 24,
    "description": 25,
    "metadata": 26,
}
_KIND, _OCCURRED_AT, _COST, _LATENCY, _TTFT, _BATCH, _BACKGROUND, _STREAM = 1, 41, 42, 43, 44, 51, 52, 53
_COUNTER_FIELDS = {name: 100 + counter.number for name, counter in COUNTERS.items()}
_REQUESTS = _COUNTER_FIELDS["requests"]

_TEXT_START = UsageEvent.__struct_fields__.index("user_id")
_TEXT_STRIDE = slice(_TEXT_START, _TEXT_START + len(_TEXT_FIELDS))
_TEXT_NUMBERS = tuple(_TEXT_FIELDS[name] for name in UsageEvent.__struct_fields__[_TEXT_STRIDE])


def identity_of(org_id: str, source: str, event_id: str) -> bytes:
    """16 bytes that name an event in the whole store: (org, source, id)."""
    return hash128("event", org_id, source, event_id)


def request_key_of(org_id: str, request_id: str) -> bytes:
    """16 bytes under which all events of a request are found."""
    return hash128("request", org_id, request_id)


def derived_id(org_id: str, idempotency_key: str, index: int) -> str:
    """The id of an event sent without one under an `Idempotency-Key`, so that a repeat meets itself."""
    return hash128("derived-id", org_id, idempotency_key, str(index)).hex()


def canonical_text(event: UsageEvent) -> str:
    """The event's content as `number=length:value` for each field that differs from its default.

    Kind and texts first, then numbers, flags and counters, each by rising number. Values are text as it is, integers
    in decimal digits, true as `1`; `length` counts Unicode code points.
    """
    texts = msgspec.structs.astuple(event)[_TEXT_STRIDE]
    parts = [f"{number}={len(text)}:{text}" for number, text in zip(_TEXT_NUMBERS, texts, strict=True) if text is not None]
    if event.kind != "completion":
        parts.insert(0, f"{_KIND}={len(event.kind)}:{event.kind}")
    parts.extend(f"{number}={len(digits)}:{digits}" for number, digits in _numbers(event))
    return "".join(parts)


def _numbers(event: UsageEvent) -> list[tuple[int, str]]:
    numbers: list[tuple[int, str]] = []
    if event.occurred_at_us is not None:
        numbers.append((_OCCURRED_AT, str(event.occurred_at_us)))
    if event.cost_pico is not None:
        numbers.append((_COST, str(event.cost_pico)))
    if event.latency_ms is not None:
        numbers.append((_LATENCY, str(event.latency_ms)))
    if event.ttft_ms is not None:
        numbers.append((_TTFT, str(event.ttft_ms)))
    if event.batch:
        numbers.append((_BATCH, "1"))
    if event.background:
        numbers.append((_BACKGROUND, "1"))
    if event.stream:
        numbers.append((_STREAM, "1"))
    counted = [(_COUNTER_FIELDS[name], str(amount)) for name, amount in event.usage.items()]
    counted.sort()
    numbers.extend(field for field in counted if field != (_REQUESTS, "1"))
    return numbers


def content_hash(canonical: str) -> bytes:
    """The version byte, then 15 bytes of BLAKE2b over the canonical text."""
    digest = hashlib.blake2b(canonical.encode(), digest_size=15, person=b"content").digest()
    return bytes((CONTENT_VERSION,)) + digest
