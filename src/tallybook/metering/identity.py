"""Who an event is, and whether two tellings of it are the same: the hashes that make usage count once.

Both are part of what is stored for ever. Golden vectors stand in `contracts/native/content_hash.json`.
"""

from functools import lru_cache

import msgspec

from tallybook.core.ids import Hasher, counted, joined
from tallybook.metering.event import UsageEvent

CONTENT_VERSION = 1

_EVENT, _REQUEST, _DERIVED = Hasher("event"), Hasher("request"), Hasher("derived-id")
_CONTENT = Hasher("content", size=15)
_VERSION_BYTE = bytes((CONTENT_VERSION,))
_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode

_DEFAULT_KIND = UsageEvent().kind

_NAMED_BY_REQUEST = ("", "tallybook:confirm", "tallybook:credits")
"""Sources whose events are found as requests by their own ids: each takes one more key to look a request up."""


def identity_of(org_id: str, source: str, event_id: str) -> bytes:
    """16 bytes that name an event in the whole store: (org, source, id)."""
    return _of_source(org_id, source)(counted(event_id))


@lru_cache(maxsize=1024)
def _of_source(org_id: str, source: str) -> Hasher:
    return _EVENT.begun(joined(org_id, source))


def request_key_of(org_id: str, request_id: str) -> bytes:
    """16 bytes under which the events of a request are found that `request_key` has one for."""
    return _REQUEST(joined(org_id, request_id))


def request_key(org_id: str, event: UsageEvent, event_id: str) -> bytes | None:
    """`request_key_of` an event; None where its identity already finds it."""
    request_id = event.request_id or event_id
    if request_id == event_id and event.source in _NAMED_BY_REQUEST:
        return None
    return request_key_of(org_id, request_id)


def keys_of_request(org_id: str, request_id: str) -> list[bytes]:
    """Every key and identity under which events of a request may be found."""
    named = [identity_of(org_id, source, request_id) for source in _NAMED_BY_REQUEST]
    return [request_key_of(org_id, request_id), *named]


def derived_id(org_id: str, idempotency_key: str, index: int) -> str:
    """The id of an event sent without one under an `Idempotency-Key`, so that a repeat meets itself."""
    return _DERIVED(joined(org_id, idempotency_key, str(index))).hex()


def content_hash(event: UsageEvent) -> bytes:
    """The version byte, then 15 bytes of BLAKE2b over the canonical content."""
    return _VERSION_BYTE + _CONTENT(canonical(event))


def canonical(event: UsageEvent) -> bytes:
    """The event's content as MessagePack: a map of field number (as text) to value, in the order of `FIELD_NUMBERS`.

    A field equal to its default is absent; so is the counter `requests` at 1. Every string and map is prefixed by its
    length and every integer takes its shortest form, so equal contents have equal bytes and others do not; only the
    outer map always has the 16-bit form of its length. `usage` is a map of counter names, sorted.
    """
    if event.kind == _DEFAULT_KIND and event.kind is not _DEFAULT_KIND:
        event = msgspec.structs.replace(event, kind=_DEFAULT_KIND)  # the encoder knows a default by identity
    if event.usage.get("requests") == 1:
        usage = {name: amount for name, amount in event.usage.items() if name != "requests"}
        event = msgspec.structs.replace(event, usage=usage)
    return _ENCODE(event)
