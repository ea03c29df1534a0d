"""What was sent of an event: the server fills in blanks, and the hash that was stored tells which. Pure."""

from collections.abc import Iterator
from itertools import chain, combinations

import msgspec

from tallybook.metering.event import UsageEvent
from tallybook.metering.identity import content_hash

FILLED_IN = (
    "id",
    "occurred_at_us",
    "api_key_id",
    "user_id",
    "project_id",
    "account_id",
    "transaction_id",
    "context",
)


def as_received(stored: UsageEvent, content: bytes) -> UsageEvent | None:
    """The event without what the server filled in, such that its hash is `content`. None if no such telling fits."""
    return next((told for told in _tellings(stored) if content_hash(told) == content), None)


def _tellings(stored: UsageEvent) -> Iterator[UsageEvent]:
    """From all blanks filled in by the caller to none."""
    set_ones = [name for name in FILLED_IN if getattr(stored, name) is not None]
    for blanks in chain.from_iterable(combinations(set_ones, count) for count in range(len(set_ones) + 1)):
        yield msgspec.structs.replace(stored, **dict.fromkeys(blanks))
