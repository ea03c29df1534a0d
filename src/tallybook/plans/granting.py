"""Makes grants inside a commit: what must not outlive a period expires, then the next one's credits come."""

import msgspec
from msgspec.structs import replace

from tallybook.core.time_window import instant_text
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger.model import CEILING_MICRO, Posting, Standing, Type
from tallybook.ledger.service import LedgerService
from tallybook.plans import schedule
from tallybook.plans.model import Assignment, Grant
from tallybook.plans.store import PlanStore

GRANTED = "Plan credits granted"
EXPIRED = "Plan credits expired"

Granted = tuple[Assignment, Standing]
"""An assignment and its account, after a grant."""


class Granting:
    def __init__(self, store: PlanStore, ledger: LedgerService) -> None:
        self._store = store
        self._ledger = ledger

    def catch_up(self, tx: Tx, org_id: str, account: Standing, assignment: Assignment) -> Granted:
        """Makes every grant of the assignment that is due, in order."""
        while (due_at_us := assignment.next_grant_at_us) is not None and due_at_us <= account.now_us:
            assignment, account = self.grant(tx, org_id, account, assignment, due_at_us)
        return assignment, account

    def grant(self, tx: Tx, org_id: str, account: Standing, assignment: Assignment, due_at_us: int) -> Granted:
        """Makes the assignment's next grant, which is due since `due_at_us`."""
        plan, number = assignment.plan, assignment.granted + 1
        kept_micro = 0
        if not plan.accumulate and assignment.granted:
            kept_micro, account = self._expire(tx, org_id, account, assignment)
        # Nobody is there to be refused: what does not fit under the ceiling is not granted.
        amount_micro = min(plan.credits_micro, CEILING_MICRO - account.balances.balance_micro)
        credit = Posting(
            Type.CREDIT, amount_micro, GRANTED, _metadata(assignment, number, dueAt=instant_text(due_at_us))
        )
        entry, account = self._ledger.post_within(tx, org_id, account, credit)
        expirable_micro = 0 if plan.accumulate else kept_micro + amount_micro
        grant = Grant(assignment.id, number, due_at_us, entry.id, expirable_micro)
        granted = replace(
            assignment,
            granted=number,
            next_grant_at_us=schedule.grant_at(
                plan, assignment.started_at_us, deferred=assignment.deferred, number=number + 1
            ),
        )
        self._store.append_grant(tx, org_id, grant, granted)
        return granted, account

    def _expire(self, tx: Tx, org_id: str, account: Standing, assignment: Assignment) -> tuple[int, Standing]:
        """Debits what is unspent of the grants so far and not held; returns what of it is left.

        Every debit since the last grant took from the grants first.
        """
        last = self._store.last_grant(tx, org_id, assignment)
        spent_micro = self._store.debited_since(tx, org_id, account, last.transaction_id)
        unspent_micro = max(0, last.expirable_micro - spent_micro)
        expired_micro = min(unspent_micro, account.balances.available_micro)
        if expired_micro:
            debit = Posting(Type.DEBIT, expired_micro, EXPIRED, _metadata(assignment, last.number))
            _, account = self._ledger.post_within(tx, org_id, account, debit)
        return unspent_micro - expired_micro, account


def _metadata(assignment: Assignment, number: int, **more: str) -> str:
    """What a transaction says of its grant, as its readers on the wire spell it."""
    told = {"planId": assignment.plan.id, "accountPlanId": assignment.id, "occurrence": number, **more}
    return msgspec.json.encode(told).decode()
