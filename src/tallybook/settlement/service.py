"""The one way to usage that is billed: hold for an estimate, settle with a usage, record one beside the ledger."""

from collections.abc import Collection

import msgspec

from tallybook.core.clock import Clock
from tallybook.core.errors import invalid
from tallybook.core.ids import uid_text
from tallybook.core.unit_of_work import Repeat, Writes, answered
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger.errors import NotPending
from tallybook.ledger.model import Address, Confirmation, Hold, Reservation, Status, Terms
from tallybook.ledger.service import LedgerService
from tallybook.ledger.store import Found
from tallybook.metering.event import Sender
from tallybook.metering.rating import Rater
from tallybook.settlement.charge import charge_of, hold_for
from tallybook.settlement.errors import OutboxFull, UnknownModel, UnknownTransaction
from tallybook.settlement.model import (
    SOURCE_CONFIRMED,
    SOURCE_RECORDED,
    Context,
    Link,
    Recorded,
    Settled,
    Tariff,
    Told,
)
from tallybook.settlement.recording import Draft, Placed, Recording, cost_of
from tallybook.settlement.store import SettlementStore

_VERSION = 1
"""Of the outcomes kept for repeats."""


class SettlementService:
    """Every write answers after one commit of the ledger, which holds its effect, its usage and the link between them.

    The usage reaches the event store later, and before any read of it. What waits is at most `outbox_max`; beyond it
    new usage is refused with `OutboxFull`. `repeat` is as in the ledger. Whatever is refused has moved and recorded
    nothing.
    """

    def __init__(
        self,
        store: SettlementStore,
        ledger: LedgerService,
        rater: Rater,
        writes: Writes,
        clock: Clock,
        *,
        outbox_max: int,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._recording = Recording(rater, clock)
        self._writes = writes
        self._clock = clock
        self._outbox_max = outbox_max

    async def reserve(
        self, org_id: str, address: Address, hold: Hold, estimate: Told, tariff: Tariff, repeat: Repeat | None = None
    ) -> Reservation:
        """Holds what the estimate would be charged now, rounded up, instead of the amount of `hold`.

        Raises as `LedgerService.reserve`, and `UnpricedUsage`.
        """
        rating = self._recording.rating(org_id, estimate, self._clock.now_us())

        def effect(tx: Tx) -> Reservation:
            amount_micro = hold_for(cost_of(rating, estimate.model, "estimate.modelId"), tariff)
            wanted = msgspec.structs.replace(hold, amount_micro=amount_micro)
            return self._ledger.reserve_within(tx, org_id, address, wanted)

        return await answered(self._writes, repeat, effect, Reservation, version=_VERSION)

    async def confirm(
        self,
        reservation_id: str,
        told: Told,
        terms: Terms,
        tariff: Tariff,
        sender: Sender,
        repeat: Repeat | None = None,
    ) -> Settled:
        """Debits what the usage is charged now, once, and records it. The same usage again: the first answer again.

        Raises as `LedgerService.confirm`, and `UnpricedUsage`, `OutboxFull`.
        """
        draft = self._recording.draft(told, sender, SOURCE_CONFIRMED)

        def effect(tx: Tx) -> Settled:
            found = self._ledger.reservation_within(tx, sender.org_id, reservation_id)
            if found.reservation.status is Status.CONFIRMED:
                return self._confirmed_before(tx, found, draft, terms)
            self._check_room()
            charge_micro = charge_of(cost_of(draft.rating, told.model, "usage.modelId"), tariff)
            confirmation = self._ledger.confirm_within(tx, sender.org_id, found, charge_micro, terms)
            self._keep(tx, _explaining(confirmation, draft), draft.content)
            return Settled(confirmation, uid_text(draft.uid))

        return await answered(self._writes, repeat, effect, Settled, version=_VERSION)

    async def record(
        self,
        context: Context,
        address: Address,
        transaction_id: str | None,
        told: Told,
        sender: Sender,
        repeat: Repeat | None = None,
    ) -> Recorded:
        """Records a usage and moves no credits. In the system's context account and transaction are not looked at.

        Raises `InvalidInput` (no transaction, or one of another account; no address, or two that disagree),
        `UnknownAccount`, `UnknownTransaction`, `UnknownModel`, `UnpricedUsage`, `OutboxFull`.
        """
        if context is Context.CUSTOMER and transaction_id is None:
            raise invalid("transactionId", msg="is required in the context customer")
        draft = self._recording.draft(told, sender, SOURCE_RECORDED)

        def effect(tx: Tx) -> Recorded:
            account_id = external_id = paid_by = None
            if context is Context.CUSTOMER and transaction_id is not None:
                account = self._ledger.account_within(tx, sender.org_id, address, draft.occurred_at_us)
                account_id, external_id, paid_by = account.account_id, account.external_id, transaction_id
                self._check_transaction(tx, sender.org_id, account_id, transaction_id)
            self._check_room()
            if draft.rating.price_id is None:
                raise UnknownModel(told.model)
            cost_pico = cost_of(draft.rating, told.model)
            self._keep(tx, Placed(draft, context, account_id, paid_by))
            return Recorded(
                uid=uid_text(draft.uid),
                context=context,
                account_id=account_id,
                external_id=external_id,
                transaction_id=paid_by,
                model=told.model,
                kind=told.kind,
                usage=told.usage,
                description=told.description,
                cost_pico=cost_pico,
                occurred_at_us=draft.occurred_at_us,
            )

        return await answered(self._writes, repeat, effect, Recorded, version=_VERSION)

    def usage_of(self, org_id: str, transaction_ids: Collection[str]) -> list[Link]:
        """The usages that explain these transactions, oldest first within each. Those of other orgs have none."""
        return self._store.links_of(org_id, transaction_ids)

    def outbox_length(self) -> int:
        """How many usages wait to be delivered."""
        return self._store.outbox_length()

    def is_full(self) -> bool:
        """Whether new usage is refused."""
        return self._store.outbox_length() >= self._outbox_max

    def _confirmed_before(self, tx: Tx, found: Found, draft: Draft, terms: Terms) -> Settled:
        """What the same usage was answered with; whatever it would be charged today. Raises `NotPending`."""
        hold, org_id = found.reservation, draft.sender.org_id
        first = self._store.find_confirmed_with(tx, org_id, hold.transaction_id or "")
        if first is None or first.content != draft.content:
            raise NotPending(hold)
        confirmation = self._ledger.confirm_within(tx, org_id, found, hold.actual_micro or 0, terms)
        return Settled(confirmation, uid_text(first.uid))

    def _check_room(self) -> None:
        if self.is_full():
            raise OutboxFull

    def _check_transaction(self, tx: Tx, org_id: str, account_id: str, transaction_id: str) -> None:
        payer = self._ledger.accounts_of(org_id, [transaction_id], tx).get(transaction_id)
        if payer is None:
            raise UnknownTransaction
        if payer != account_id:
            raise invalid("transactionId", msg="is of another account")

    def _keep(self, tx: Tx, placed: Placed, content: bytes | None = None) -> None:
        """Promises the event to the event store, and links it to its transaction."""
        draft = placed.draft
        self._store.put(tx, placed)
        if placed.transaction_id is not None:
            link = Link(placed.transaction_id, draft.uid, draft.occurred_at_us, content)
            self._store.link(tx, draft.sender.org_id, link)


def _explaining(confirmation: Confirmation, draft: Draft) -> Placed:
    settled = confirmation.reservation
    return Placed(draft, Context.CUSTOMER, settled.account_id, settled.transaction_id)
