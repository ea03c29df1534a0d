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
from tallybook.settlement.store import Histories, RefundStore, SettlementStore

VERSION = 1
"""Of the outcomes kept for repeats."""

_ASKER = "settlement"


class Refunds:
    """Implements `corrections.store.Committer`. The event store applies a change later, and before any read of it."""

    def __init__(
        self,
        store: SettlementStore,
        refunds: RefundStore,
        histories: Histories,
        ledger: LedgerService,
        usage: UsageService,
        writes: Writes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._refunds = refunds
        self._histories = histories
        self._ledger = ledger
        self._usage = usage
        self._writes = writes
        self._clock = clock

    async def once(self, repeat: Repeat | None, decided: Decision | TallybookError) -> Corrected:
        basis = Basis()
        if isinstance(decided, Decision) and decided.give_back is not None:
            basis = await asyncio.to_thread(self._basis_of, decided.change, decided.give_back)

        def effect(tx: Tx) -> Corrected:
            if isinstance(decided, TallybookError):
                raise decided
            if self._refunds.is_claimed(tx, decided.change):
                raise Overtaken
            return self._commit(tx, decided, basis)

        return await answered(self._writes, repeat, effect, Corrected, version=VERSION)

    def _commit(self, tx: Tx, decided: Decision, basis: "Basis") -> Corrected:
        change, give_back = decided.change, decided.give_back
        credit = None if give_back is None else self._give_back(tx, change, give_back, basis)
        if credit is not None:
            change = msgspec.structs.replace(change, refund_id=credit.id)
        self._refunds.claim(tx, change, decided.transaction_id or "")
        self._store.promise(tx, change)
        return corrected_by(change, uid_text(change.uid), None if credit is None else credit.amount_micro)

    def _give_back(self, tx: Tx, change: Change, asked: GiveBack, basis: "Basis") -> Transaction | None:
        """The credit. None, or `NothingToRefund` where it is required, if it would be 0.

        Raises `Overtaken`, and `InvalidInput` where other usage has no known cost.
        """
        if self._refunds.newest_claim(change.org_id, asked.transaction_id, tx) != basis.newest_claim:
            raise Overtaken  # usage of the transaction was corrected: what was read is not so any more
        if basis.others_pico is None:
            raise invalid("refund", msg="other usage of the transaction has no known cost")
        paid = self._refunds.find_paid(tx, change.org_id, asked.transaction_id)
        ended = change.replacement is None or asked.event.cost_pico is None
        share = Share(
            asked.before_pico,
            asked.after_pico,
            basis.others_pico,
            ended=ended,
            refunded_from_pico=basis.refunded_from_pico,
            given_back_micro=basis.given_back_micro,
        )
        amount_micro = refund_of(paid.amount_micro - paid.refunded_micro, share)
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

    def _basis_of(self, change: Change, asked: GiveBack) -> "Basis":
        # Looked up before all else, which knows every claim there is by then.
        newest_claim = self._refunds.newest_claim(change.org_id, asked.transaction_id)
        others_pico = self._others_pico(change, asked)
        earlier = [claim for claim in self._refunds.claims_of(change.org_id, [change.uid]) if claim.refund_id]
        if not earlier:
            return Basis(newest_claim, others_pico)
        ended = {claim.superseded for claim in earlier}
        revisions, _ = self._histories.history(change.org_id, asked.event.uid)
        refunded_from_pico = max(event.cost_pico or 0 for event in revisions if event.revision in ended)
        return Basis(newest_claim, others_pico, refunded_from_pico, sum(claim.refund_micro for claim in earlier))

    def _others_pico(self, change: Change, asked: GiveBack) -> int | None:
        """What the other usage costs that the transaction is for, as far as it is in force; None: not all is known."""
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
        return None if unpriced > 0 else max(0, cost_pico)


class Basis(NamedTuple):
    """What a refund goes by, once all corrections of usage of its transaction up to `newest_claim` are applied.

    `others_pico`: picodollars of what else the transaction paid for; None: not known of all of it.
    `refunded_from_pico`, `given_back_micro`: as in `Share`.
    """

    newest_claim: int = 0
    others_pico: int | None = 0
    refunded_from_pico: int = 0
    given_back_micro: int = 0


class Share(NamedTuple):
    """Costs in picodollars: of the event before and after its correction, and of what else was paid along with it.

    `ended`: the event is out of force now, or its cost was not known before. `given_back_micro`: what earlier
    corrections of it gave back, of a cost that was `refunded_from_pico` at most.
    """

    before_pico: int
    after_pico: int
    others_pico: int
    ended: bool = False
    refunded_from_pico: int = 0
    given_back_micro: int = 0


def refund_of(left_micro: int, share: Share) -> int:
    """Microcredits to be given back of what is `left_micro` of the debit: in proportion to what becomes of the costs.

    All of it when nothing is left that costs something; nothing for an event that stays and costs what it did. What was
    given back for the event counts: one that is restored, or amended up again, gets no second share.
    Half-even, and never more than is left.
    """
    lowered_pico = share.before_pico - share.after_pico
    if lowered_pico < 0 or (lowered_pico == 0 and not share.ended):
        return 0
    if share.after_pico + share.others_pico == 0:
        return left_micro
    from_pico = max(share.before_pico, share.refunded_from_pico)
    for_the_event = (left_micro + share.given_back_micro) * (from_pico - share.after_pico)
    due_micro = divide_half_even(for_the_event, from_pico + share.others_pico) - share.given_back_micro
    return min(max(0, due_micro), left_micro)
