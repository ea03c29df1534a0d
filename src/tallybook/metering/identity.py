"""Who an event is, and whether two tellings of it are the same: the hashes that make usage count once.

Both are part of what is stored for ever. Golden vectors stand in `contracts/native/content_hash.json`.
"""

import hashlib

import msgspec

from tallybook.core.ids import hash128
from tallybook.metering.event import UsageEvent

CONTENT_VERSION = 1

_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode


def identity_of(org_id: str, source: str, event_id: str) -> bytes:
    """16 bytes that name an event in the whole store: (org, source, id)."""
    return hash128("event", org_id, source, event_id)


def request_key_of(org_id: str, request_id: str) -> bytes:
    """16 bytes under which all events of a request are found."""
    return hash128("request", org_id, request_id)


def derived_id(org_id: str, idempotency_key: str, index: int) -> str:
    """The id of an event sent without one under an `Idempotency-Key`, so that a repeat meets itself."""
    return hash128("derived-id", org_id, idempotency_key, str(index)).hex()


def content_hash(event: UsageEvent) -> bytes:
    """The version byte, then 15 bytes of BLAKE2b over the canonical content."""
    digest = hashlib.blake2b(canonical(event), digest_size=15, person=b"content").digest()
    return bytes((CONTENT_VERSION,)) + digest


def canonical(event: UsageEvent) -> bytes:
    """The event's content as MessagePack: a map of field number (as text) to value, in the order of `FIELD_NUMBERS`.

    A field equal to its default is absent; so is the counter `requests` at 1. Every string and map is prefixed by its
    length and every integer takes its shortest form, so equal contents have equal bytes and others do not. `usage` is
    a map of counter names, sorted.
    """
    if event.usage.get("requests") == 1:
        usage = {name: amount for name, amount in event.usage.items() if name != "requests"}
        event = msgspec.structs.replace(event, usage=usage)
    return _ENCODE(event)
