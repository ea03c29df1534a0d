"""Plans over a ledger of their own, with a clock that is moved by hand."""

from dataclasses import dataclass
from typing import Any

from tallybook.core.time_window import instant_text, parse_instant
from tallybook.core.unit_of_work import Repeat
from tallybook.jobs.grant_plans import grant_plans
from tallybook.ledger.model import Account, Address, Slice
from tallybook.plans.model import Assigned, Assignment, Interval, NewPlan, Plan, Unassigned
from tallybook.plans.service import PlanService
from tallybook.storage.sqlite.plans import SqlitePlanStore
from tests.unit.ledger.rooms import CREDIT, ORG, OpenLedger

Line = tuple[str, int, int, str | None]


@dataclass
class OpenPlans(OpenLedger):
    """`plans` is the service itself; the methods are its commands in credits and dates, for the org `acme`."""

    def open(self) -> None:
        super().open()
        self.plan_store = SqlitePlanStore(self.engine)
        self.plans = PlanService(
            self.plan_store, self.ledger, self.engine, self.clock, list_rows_max=self.list_rows_max
        )

    def plan(self, credits: int = 100, interval: Interval = Interval.MONTH, **more: Any) -> Plan:
        return self.run(self.plans.create(ORG, NewPlan("Pro", credits * CREDIT, interval, **more)))

    def assign(self, account: Account, plan: Plan, *, deferred: bool = False, repeat: Repeat | None = None) -> Assigned:
        return self.run(self.plans.assign(ORG, Address(account.id), plan.id, deferred=deferred, repeat=repeat))

    def unassign(self, account: Account, plan_id: str | None = None) -> Unassigned:
        return self.run(self.plans.unassign(ORG, Address(account.id), plan_id))

    def at(self, text: str) -> None:
        """Sets the clock."""
        self.clock.now = parse_instant(text)

    def grant(self) -> int:
        """What the job does."""
        return self.run(grant_plans(self.plans))

    def of(self, account: Account) -> list[Assignment]:
        """Newest first."""
        return list(self.plans.list_assignments(ORG, Address(account.id)).rows)

    def statement(self, account: Account) -> list[Line]:
        """Type, amount, balance after (whole credits) and description of each transaction, oldest first."""
        entries = list(self.ledger.list_transactions(ORG, Address(account.id), Slice(10_000)).rows)
        return [
            (entry.type.value, entry.amount_micro // CREDIT, entry.balance_after_micro // CREDIT, entry.description)
            for entry in reversed(entries)
        ]

    def dates(self, account: Account) -> list[str]:
        """When each grant was due, oldest first, as kept with it."""
        rows = self.engine.read().execute(
            "SELECT g.due_at FROM plan_grants AS g JOIN account_plans AS h ON h.seq = g.account_plan"
            " JOIN accounts AS a ON a.seq = h.account WHERE a.id = ? ORDER BY h.seq, g.number",
            (account.id,),
        )
        return [instant_text(due_at) for (due_at,) in rows]

    def verify(self) -> None:
        assert self.ledger.verify(ORG).difference is None
