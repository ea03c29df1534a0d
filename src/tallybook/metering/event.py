"""An event as its sender tells it, and an event on its way into the store."""

from enum import Enum
from typing import NamedTuple

import msgspec

from tallybook.core.counters import Usage
from tallybook.pricing.cost import Rating

# Field numbers of the content hash (`identity.py`). They never change and are never used again.
FIELD_NUMBERS = {
    "id": "1",
    "source": "2",
    "kind": "3",
    "user_id": "4",
    "external_user_id": "5",
    "project_id": "6",
    "team_id": "7",
    "api_key_id": "8",
    "account_id": "9",
    "transaction_id": "10",
    "session_id": "11",
    "context": "12",
    "image_size": "13",
    "image_quality": "14",
    "image_operation": "15",
    "vector_store_id": "16",
    "context_level": "17",
    "api_source": "18",
    "session_kind": "19",
    "provider": "20",
    "model": "21",
    "operation": "22",
    "endpoint": "23",
    "service_tier": "24",
    "request_id": "25",
    "finish_reason": "26",
    "description": "27",
    "metadata": "28",
    "occurred_at_us": "29",
    "cost_pico": "30",
    "latency_ms": "31",
    "ttft_ms": "32",
    "batch": "33",
    "background": "34",
    "stream": "35",
    "usage": "36",
    "api_key_used": "37",
    "unreported": "38",
}


class UsageEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename=FIELD_NUMBERS):
    """One metered fact, normalised: the recognised fields as the caller sent them. None means not sent.

    Holds nothing the server fills in. `usage` maps counters to integers (see `core/counters.py`); `cost_pico` is a
    given cost in picodollars; `metadata` is canonical JSON text of an object; instants are microseconds. `api_key_used`
    is masked before it comes here. `unreported` says that there was usage and the provider did not tell it.
    """

    id: str | None = None
    source: str = ""
    kind: str = "completion"
    # Texts stand together, so that they can be walked in one stride.
    user_id: str | None = None
    external_user_id: str | None = None
    project_id: str | None = None
    team_id: str | None = None
    api_key_id: str | None = None
    account_id: str | None = None
    transaction_id: str | None = None
    session_id: str | None = None
    context: str | None = None
    image_size: str | None = None
    image_quality: str | None = None
    image_operation: str | None = None
    vector_store_id: str | None = None
    context_level: str | None = None
    api_source: str | None = None
    session_kind: str | None = None
    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    endpoint: str | None = None
    service_tier: str | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    description: str | None = None
    metadata: str | None = None
    occurred_at_us: int | None = None
    cost_pico: int | None = None
    latency_ms: int | None = None
    ttft_ms: int | None = None
    batch: bool = False
    background: bool = False
    stream: bool = False
    usage: Usage = {}
    api_key_used: str | None = None
    unreported: bool = False


class Sender(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who an event is taken from, as plain values: what fills the blanks, and what the sender may claim and see.

    `may_name_others`: may set `user_id` and `api_key_id` freely. `reads_org`: may read every event of the org.
    `reads_user_id` / `reads_key_id`: otherwise, whose events may be read (both None: none). `source`: the one of the
    server's own that it may send under.
    """

    org_id: str
    key_id: str
    user_id: str | None = None
    project_id: str | None = None
    external_user_id: str | None = None
    may_name_others: bool = False
    reads_org: bool = False
    reads_user_id: str | None = None
    reads_key_id: str | None = None
    source: str = ""


class Submission(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event ready to be stored: identified, its blanks filled, rated.

    `identity` and `content` are 16-byte hashes (see `identity.py`); `request_key` is None where the identity already
    serves as the request's; `uid` (16 bytes of a UUIDv7) is taken if the event turns out to be new.
    """

    org_id: str
    event: UsageEvent
    event_id: str
    identity: bytes
    content: bytes
    request_key: bytes | None
    uid: bytes
    occurred_at_us: int
    user_id: str | None
    api_key_id: str | None
    project_id: str | None
    recorded_by: str
    rating: Rating


class Status(Enum):
    INSERTED = "inserted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Stored(NamedTuple):
    """The first revision of an event as the store holds it, with what decides who may see it."""

    uid: bytes
    pricing: str
    cost_pico: int | None
    user_id: str | None
    api_key_id: str | None


class Outcome(NamedTuple):
    """What became of one submission. `stored` is the event met by a duplicate or conflict; None for a new one."""

    status: Status
    stored: Stored | None
