"""Do usage and ledger agree? Each link leads from a transaction to an event of its account, and none is missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tallybook.core.ids import uid_text
from tallybook.ledger.verify import Difference
from tallybook.settlement.store import BilledEvent, BilledEvents, LinkedUsage, SettlementStore


@dataclass(frozen=True)
class VerifiedUsage:
    """How many usages that explain transactions were gone through; up to the first difference, if there is one."""

    usage_records: int
    difference: Difference | None


class UsageAudit:
    """`before_read` is the drain's. `linked_until` says up to which commit of the event store all must be linked."""

    def __init__(
        self,
        store: SettlementStore,
        events: BilledEvents,
        before_read: Callable[[], None],
        linked_until: Callable[[], int],
    ) -> None:
        self._store = store
        self._events = events
        self._before_read = before_read
        self._linked_until = linked_until

    def verify(self, org_id: str) -> VerifiedUsage:
        """Takes long on a large org; holds up no writer."""
        count = 0
        # The links first, then the drain: whatever is linked in this snapshot is in the event store behind it.
        with self._store.audit(org_id) as parts:
            self._before_read()
            for links in parts:
                difference = self._unexplained(org_id, links)
                if difference is not None:
                    return VerifiedUsage(count, difference)
                count += len(links)
        return VerifiedUsage(count, self._first_unlinked(org_id))

    def _unexplained(self, org_id: str, linked: Sequence[LinkedUsage]) -> Difference | None:
        events = {event.uid: event for event in self._events.find_billed(org_id, [each.link for each in linked])}
        for link, account_id in linked:
            event = events.get(link.uid)
            subject = uid_text(link.uid)
            if account_id is None:
                return Difference(None, subject, "transaction of the usage", True, False)
            if event is None:
                return Difference(account_id, subject, "event of the usage", True, False)
            if event.transaction_id != link.transaction_id:
                return Difference(account_id, subject, "transaction_id", link.transaction_id, event.transaction_id)
            if event.account_id != account_id:
                return Difference(account_id, subject, "account_id", account_id, event.account_id)
        return None

    def _first_unlinked(self, org_id: str) -> Difference | None:
        with self._events.billed_until(org_id, self._linked_until()) as parts:
            for events in parts:
                difference = self._unlinked(org_id, events)
                if difference is not None:
                    return difference
        return None

    def _unlinked(self, org_id: str, events: Sequence[BilledEvent]) -> Difference | None:
        named = {event.transaction_id for event in events if event.transaction_id is not None}
        links = {(link.transaction_id, link.uid) for link in self._store.links_of(org_id, named)}
        for event in events:
            subject = uid_text(event.uid)
            if event.transaction_id is None:
                return Difference(event.account_id, subject, "transaction of the usage", True, False)
            if (event.transaction_id, event.uid) not in links:
                return Difference(event.account_id, subject, "link to the transaction", True, False)
        return None
