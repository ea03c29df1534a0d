"""What is told of a usage that is billed, and what is kept of it.

Amounts of credits are microcredits, costs picodollars, instants microseconds since 1970, UTC.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tallybook.core.counters import Usage
from tallybook.ledger.model import Confirmation

SOURCE_CONFIRMED = "tallybook:confirm"
"""Of events that came with a confirmation; their id is that of its transaction."""

SOURCE_RECORDED = "tallybook:credits"
"""Of events recorded on their own; their id is their uid."""


class Context(StrEnum):
    """Billed to an account through a transaction, or used by the system itself."""

    CUSTOMER = "customer"
    SYSTEM = "system"


class UsageType(StrEnum):
    TEXT = "text"
    EMBEDDING = "embedding"
    AUDIO_STT = "audio_stt"
    AUDIO_TTS = "audio_tts"


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A usage as its caller tells it. All of `usage` is kept; what is charged of it, its `kind` says."""

    model: str
    kind: str
    usage: Usage
    description: str | None = None
    request_id: str | None = None
    metadata: str | None = None


class Tariff(NamedTuple):
    """How an org makes credits of costs: `charge = cost x (1 + markup_percent / 100) x credits_per_usd`."""

    credits_per_usd: Decimal
    markup_percent: Decimal


class Link(NamedTuple):
    """A usage event that explains a transaction. `content`: see `usage_links`; None but for confirmations."""

    transaction_id: str
    uid: bytes
    occurred_at_us: int
    content: bytes | None = None


class Settled(msgspec.Struct, frozen=True):
    """A confirmation and the uid of the usage that it came with."""

    confirmation: Confirmation
    uid: str


class Recorded(msgspec.Struct, frozen=True):
    """A usage that was recorded. The account and transaction are None in the system's own context."""

    uid: str
    context: Context
    account_id: str | None
    external_id: str | None
    transaction_id: str | None
    model: str
    kind: str
    usage: Usage
    description: str | None
    cost_pico: int
    occurred_at_us: int
