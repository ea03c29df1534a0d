"""Gathers the trail of an event."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.query import Reach
from tallybook.analytics.service import UsageService
from tallybook.audit.receipt import as_received
from tallybook.audit.statement import lines_of
from tallybook.audit.trail import Recomputed, Trail
from tallybook.core.clock import Clock
from tallybook.core.counters import Usage
from tallybook.corrections.model import CorrectionRecord
from tallybook.corrections.revision import event_of, rating_of
from tallybook.corrections.service import CorrectionService
from tallybook.ledger.model import Transaction
from tallybook.metering.event import UsageEvent
from tallybook.metering.identity import identity_of
from tallybook.pricing.price import Price


class Prices(Protocol):
    def find_price(self, org_id: str, price_id: str) -> Price | None:
        """A price that is, or was, for usage of that org."""
        ...


class Contents(Protocol):
    def content_of(self, identity: bytes) -> bytes:
        """The hash that was stored with the first revision of an event that is there."""
        ...


class AuditService:
    """`transactions_of` finds transactions of an org by their ids; `charged` is as in `CorrectionService`."""

    def __init__(
        self,
        usage: UsageService,
        corrections: CorrectionService,
        prices: Prices,
        contents: Contents,
        transactions_of: Callable[[str, Sequence[str]], Sequence[Transaction]],
        charged: Callable[[UsageEvent], Usage],
        clock: Clock,
    ) -> None:
        self._usage = usage
        self._corrections = corrections
        self._prices = prices
        self._contents = contents
        self._transactions_of = transactions_of
        self._charged = charged
        self._clock = clock

    def explain(self, reach: Reach, uid: str) -> Trail:
        """Raises `NoSuchEvent`, also for one that the asker may not see; a voided one is explained too.

        What was another's before a correction is left out, and is then not what was received.
        """
        event = self._usage.get_event(reach, uid, with_voided=True)
        history, corrections = self._corrections.history(event.org_id, uid)
        revisions = [each for each in history if reach.sees(each.fields)]
        price = None if event.price_id is None else self._prices.find_price(event.org_id, event.price_id)
        first = event_of(revisions[0])
        content = self._contents.content_of(identity_of(event.org_id, event_of(history[0]).source, event.event_id))
        received = as_received(first, content)
        return Trail(
            event=event,
            received=received or first,
            received_exactly=received is not None,
            lines=lines_of(rating_of(event), self._charged(event_of(event)), price),
            price=price,
            at_its_time=self._recomputed(event, event.occurred_at_us),
            today=self._recomputed(event, self._clock.now_us()),
            revisions=revisions,
            corrections=corrections,
            transactions=self._transactions(event, corrections),
        )

    def _recomputed(self, event: EventRecord, at_us: int) -> Recomputed:
        told = event_of(event)
        rating = self._corrections.rate(event.org_id, told, at_us)
        price = None if rating.price_id is None else self._prices.find_price(event.org_id, rating.price_id)
        return Recomputed(at_us, rating, lines_of(rating, self._charged(told), price))

    def _transactions(self, event: EventRecord, corrections: Sequence[CorrectionRecord]) -> Sequence[Transaction]:
        paid_by = event.fields.get("transaction_id")
        if paid_by is None:
            return []
        refunds = [each.refund_id for each in corrections if each.refund_id is not None]
        return self._transactions_of(event.org_id, [str(paid_by), *refunds])
