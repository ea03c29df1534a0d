"""Corrections of events that name a transaction: claimed in the ledger's commit, together with what is given back."""

import asyncio
from typing import NamedTuple

import msgspec

from tallybook.analytics.query import Condition, Dimension, Reach, UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.core.clock import Clock
from tallybook.core.errors import TallybookError, invalid
from tallybook.core.ids import uid_text
from tallybook.core.money import divide_half_even
from tallybook.core.time_window import Bucket
from tallybook.core.unit_of_work import Repeat, Writes, answered
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.corrections.errors import NothingToRefund, Overtaken
from tallybook.corrections.model import Change, Corrected, Decision, GiveBack, corrected_by
from tallybook.ledger.model import Address, Posting, Transaction, Type
from tallybook.ledger.service import LedgerService
from tallybook.settlement.store import RefundStore, SettlementStore

VERSION = 1
"""Of the outcomes kept for repeats."""

_ASKER = "settlement"


class Refunds:
    """Implements `corrections.store.Committer`. The event store applies a change later, and before any read of it."""

    def __init__(
        self,
        store: SettlementStore,
        refunds: RefundStore,
        ledger: LedgerService,
        usage: UsageService,
        writes: Writes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._refunds = refunds
        self._ledger = ledger
        self._usage = usage
        self._writes = writes
        self._clock = clock

    async def once(self, repeat: Repeat | None, decided: Decision | TallybookError) -> Corrected:
        others = Others()
        if isinstance(decided, Decision) and decided.give_back is not None:
            others = await asyncio.to_thread(self._others_of, decided.change, decided.give_back)

        def effect(tx: Tx) -> Corrected:
            if isinstance(decided, TallybookError):
                raise decided
            if self._refunds.is_claimed(tx, decided.change):
                raise Overtaken
            return self._commit(tx, decided, others)

        return await answered(self._writes, repeat, effect, Corrected, version=VERSION)

    def _commit(self, tx: Tx, decided: Decision, others: "Others") -> Corrected:
        change, give_back = decided.change, decided.give_back
        credit = None if give_back is None else self._give_back(tx, change, give_back, others)
        if credit is not None:
            change = msgspec.structs.replace(change, refund_id=credit.id)
        self._refunds.claim(tx, change, decided.transaction_id or "")
        self._store.promise(tx, change)
        return corrected_by(change, uid_text(change.uid), None if credit is None else credit.amount_micro)

    def _give_back(self, tx: Tx, change: Change, asked: GiveBack, others: "Others") -> Transaction | None:
        """The credit. None, or `NothingToRefund` where it is required, if it would be 0.

        Raises `Overtaken`, and `InvalidInput` where other usage has no known cost.
        """
        if self._refunds.newest_claim(change.org_id, asked.transaction_id, tx) != others.newest_claim:
            raise Overtaken  # other usage of the transaction was corrected: its cost is not what was read
        if others.cost_pico is None:
            raise invalid("refund", msg="other usage of the transaction has no known cost")
        paid = self._refunds.find_paid(tx, change.org_id, asked.transaction_id)
        ended = change.replacement is None or asked.event.cost_pico is None
        share = Share(asked.before_pico, asked.after_pico, others.cost_pico, ended=ended)
        amount_micro = 0 if others.given_back else refund_of(paid.amount_micro - paid.refunded_micro, share)
        if amount_micro == 0:
            if asked.required:
                raise NothingToRefund(asked.event)
            return None
        account = self._ledger.account_within(tx, change.org_id, Address(paid.account_id), self._clock.now_us())
        told = {"refundOf": asked.transaction_id, "usageId": f"usage_{asked.event.uid}", "correctionId": change.id}
        posting = Posting(
            Type.CREDIT, amount_micro, f"Refund of {asked.transaction_id}", msgspec.json.encode(told).decode()
        )
        credit, _ = self._ledger.post_within(tx, change.org_id, account, posting)
        return credit

    def _others_of(self, change: Change, asked: GiveBack) -> "Others":
        """The other usage that the transaction is for, as far as it is in force."""
        # A void that is seen is committed in the ledger.
        ended_by = self._refunds.claims_of(change.org_id, [change.uid]) if asked.event.voided else ()
        given_back = any(claim.superseded == asked.event.revision and claim.refund_id for claim in ended_by)
        # Looked up before the costs: those know every claim there is by then.
        newest_claim = self._refunds.newest_claim(change.org_id, asked.transaction_id)
        instants = [link.occurred_at_us for link in self._store.links_of(change.org_id, [asked.transaction_id])]
        instants.append(change.occurred_at_us)
        page = self._usage.query(
            UsageQuery(
                Reach(_ASKER, (change.org_id,)),
                min(instants),
                max(instants) + 1,
                bucket=Bucket.ALL,
                conditions=(Condition((Dimension.TRANSACTION_ID,), (asked.transaction_id,)),),
                measures=("cost_usd", "unpriced_events"),
            )
        )
        cost_pico, unpriced = page.sums
        if not asked.event.voided:
            cost_pico -= asked.before_pico
            unpriced -= asked.event.cost_pico is None
        # Below 0 if the event was corrected meanwhile: then it is claimed.
        return Others(newest_claim, None if unpriced > 0 else max(0, cost_pico), given_back)


class Others(NamedTuple):
    """Picodollars of what else a transaction paid for, once all its corrections up to `newest_claim` are applied.

    None: not known of all of it. `given_back`: the event is voided, and that gave its share back.
    """

    newest_claim: int = 0
    cost_pico: int | None = 0
    given_back: bool = False


class Share(NamedTuple):
    """Costs in picodollars: of the event before and after its correction, and of what else was paid along with it.

    `ended`: the event is out of force now, or its cost was not known before.
    """

    before_pico: int
    after_pico: int
    others_pico: int
    ended: bool = False


def refund_of(left_micro: int, share: Share) -> int:
    """Microcredits to be given back of what is `left_micro` of the debit: in proportion to what becomes of the costs.

    All of it when nothing is left that costs something; nothing for an event that stays and costs what it did.
    Half-even, and never more than is left.
    """
    lowered_pico = share.before_pico - share.after_pico
    if lowered_pico < 0 or (lowered_pico == 0 and not share.ended):
        return 0
    if share.after_pico + share.others_pico == 0:
        return left_micro
    return divide_half_even(left_micro * lowered_pico, share.before_pico + share.others_pico)
