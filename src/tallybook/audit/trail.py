"""All there is about one event."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallybook.analytics.answer import EventRecord
from tallybook.audit.statement import Line
from tallybook.corrections.model import CorrectionRecord
from tallybook.ledger.model import Transaction
from tallybook.metering.event import UsageEvent
from tallybook.pricing.cost import Rating
from tallybook.pricing.price import Price


@dataclass(frozen=True)
class Recomputed:
    """A rating that was made just now, and is stored nowhere. `at_us`: with the price of which instant."""

    at_us: int
    rating: Rating
    lines: Sequence[Line]


@dataclass(frozen=True)
class Trail:
    """`event` is what is in force, or was last. `received_exactly`: the hash of `received` is the one that was stored;
    else what the server filled in is part of it, as with usage that was told to the ledger in other words.

    `transactions`: the one that the event names, then what corrections gave back of it.
    """

    event: EventRecord
    received: UsageEvent
    received_exactly: bool
    lines: Sequence[Line]
    price: Price | None
    at_its_time: Recomputed
    today: Recomputed
    revisions: Sequence[EventRecord]
    corrections: Sequence[CorrectionRecord]
    transactions: Sequence[Transaction]
