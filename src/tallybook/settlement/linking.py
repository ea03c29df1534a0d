"""Native events that name a transaction: checked before they are stored, linked to it afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from tallybook.core.errors import Fault, InvalidInput
from tallybook.core.failpoints import AtFailpoint, Failpoint
from tallybook.ledger.service import LedgerService
from tallybook.metering.event import Outcome, Sender, Status, Submission
from tallybook.metering.service import MeteringService
from tallybook.settlement.model import Link
from tallybook.settlement.store import BilledEvents, SettlementStore


class Linking:
    """Stores events through metering, and links them."""

    def __init__(
        self,
        store: SettlementStore,
        events: BilledEvents,
        ledger: LedgerService,
        metering: MeteringService,
        reach: AtFailpoint,
    ) -> None:
        self._store = store
        self._events = events
        self._ledger = ledger
        self._metering = metering
        self._reach = reach
        self._linked_seq = store.linked_seq()
        self._behind = True
        """Whether something was stored and not linked: perhaps, at the start."""
        self._floors: dict[object, int] = {}
        """For all that is being stored and linked now, a commit of the event store before it."""

    def admit(self, submissions: Sequence[Submission]) -> Sequence[Submission]:
        """The batch of one org, with the account filled in where an event names a transaction only.

        Raises `InvalidInput` naming each event whose transaction is not the org's, or is of another account.
        """
        named = {each.event.transaction_id for each in submissions} - {None}
        if not named:
            return submissions
        payers = self._ledger.accounts_of(submissions[0].org_id, [each for each in named if each is not None])
        faults = [
            Fault(("events", index, field), why)
            for index, each in enumerate(submissions)
            for field, why in _faults_of(each, payers.get(each.event.transaction_id or ""))
        ]
        if faults:
            raise InvalidInput(faults)
        return [_filled(each, payers.get(each.event.transaction_id or "")) for each in submissions]

    async def store(self, submissions: Sequence[Submission], sender: Sender) -> Sequence[Outcome]:
        """As `MeteringService.store`, and answers after the links are durable, too.

        A repeat is safe: links that could not be written are written by `catch_up`.
        """
        if not any(each.event.transaction_id for each in submissions):
            return await self._metering.store(submissions, sender)
        with self._storing():
            outcomes = await self._metering.commit(submissions)
            self._reach(Failpoint.UNLINKED)
            links = [
                Link(each.event.transaction_id, each.uid, each.occurred_at_us)
                for each, outcome in zip(submissions, outcomes, strict=True)
                if outcome.status is Status.INSERTED and each.event.transaction_id is not None
            ]
            if links:
                await self._store.link_stored(sender.org_id, links)
        return self._metering.as_seen(outcomes, sender)

    def catch_up(self) -> None:
        """Links what was stored and not linked, and keeps how far all is linked. For one thread, which it holds."""
        until_seq = self.linked_until()
        if self._behind:
            self._behind = False
            try:
                self._link_stored()
            except BaseException:
                self._behind = True
                raise
        if until_seq > self._linked_seq:
            self._store.set_linked_seq(until_seq)
            self._linked_seq = until_seq

    def linked_until(self) -> int:
        """A commit of the event store up to which everything is linked, unless a link could not be written."""
        newest_seq = self._events.newest_seq()
        return min([newest_seq, *list(self._floors.values())])

    def _link_stored(self) -> None:
        with self._events.billed_after(self._linked_seq) as parts:
            for events in parts:
                self._store.link_found(events)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        token = object()
        self._floors[token] = self._events.newest_seq()
        try:
            yield
        except BaseException:
            self._behind = True  # before the floor goes, so that `catch_up` sees the one or the other
            raise
        finally:
            del self._floors[token]


def _faults_of(submission: Submission, payer: str | None) -> Iterator[tuple[str, str]]:
    event = submission.event
    if event.transaction_id is None:
        return
    if payer is None:
        yield "transaction_id", "there is no such transaction"
    elif event.account_id not in (None, payer):
        yield "account_id", "is not the account of the transaction"


def _filled(submission: Submission, payer: str | None) -> Submission:
    """The hash of the content stays: what the server fills in is none."""
    if payer is None or submission.event.account_id is not None:
        return submission
    return msgspec.structs.replace(submission, event=msgspec.structs.replace(submission.event, account_id=payer))
