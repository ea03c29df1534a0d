"""The one way to plans: create and archive them, put accounts on them, and grant what is due."""

from collections.abc import Collection

from msgspec.structs import replace

from tallybook.core.clock import Clock
from tallybook.core.errors import Overloaded, Unavailable, invalid
from tallybook.core.ids import dated_id
from tallybook.core.unit_of_work import Repeat, Writes, answered
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger.errors import AboveCeiling
from tallybook.ledger.model import CEILING_MICRO, Address, Listed, Slice, Standing
from tallybook.ledger.service import LedgerService
from tallybook.plans import schedule
from tallybook.plans.errors import GrantFailed, PlanNotActive, UnknownPlan
from tallybook.plans.granting import Granting
from tallybook.plans.model import OCCURRENCES_MAX, Assigned, Assignment, NewPlan, Plan, Unassigned
from tallybook.plans.store import Due, PlanStore

_VERSION = 1
"""Of the outcomes kept for repeats."""


class PlanService:
    """Plans, and the accounts on them. Every write answers after its commit; `repeat` is as in the ledger.

    `list_rows_max` bounds lists that are asked for without a page.
    """

    def __init__(
        self, store: PlanStore, ledger: LedgerService, writes: Writes, clock: Clock, *, list_rows_max: int
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._granting = Granting(store, ledger)
        self._writes = writes
        self._clock = clock
        self._list_rows_max = list_rows_max

    async def create(self, org_id: str, wanted: NewPlan, repeat: Repeat | None = None) -> Plan:
        """Raises `InvalidInput` for credits not above 0 or occurrences out of bounds, and `AboveCeiling`."""
        _check(wanted)

        def effect(tx: Tx) -> Plan:
            now_us = self._clock.now_us()
            if wanted.credits_micro > CEILING_MICRO:
                raise AboveCeiling
            plan = Plan(
                id=dated_id("plan", now_us),
                name=wanted.name,
                description=wanted.description,
                price=wanted.price,
                credits_micro=wanted.credits_micro,
                interval=wanted.interval,
                occurrences=wanted.occurrences,
                accumulate=wanted.accumulate,
                active=wanted.active,
                created_at_us=now_us,
                updated_at_us=now_us,
            )
            self._store.add_plan(tx, org_id, plan)
            return plan

        return await answered(self._writes, repeat, effect, Plan, version=_VERSION)

    async def archive(self, org_id: str, plan_id: str, repeat: Repeat | None = None) -> Plan:
        """Lets no further account onto the plan; those on it stay and are granted on. Again: no change.

        Raises `UnknownPlan`.
        """

        def effect(tx: Tx) -> Plan:
            plan = self._plan(org_id, plan_id, tx)
            if plan.active:
                plan = replace(plan, active=False, updated_at_us=self._clock.now_us())
                self._store.replace_plan(tx, org_id, plan)
            return plan

        return await answered(self._writes, repeat, effect, Plan, version=_VERSION)

    async def assign(
        self, org_id: str, address: Address, plan_id: str, *, deferred: bool = False, repeat: Repeat | None = None
    ) -> Assigned:
        """Puts the account on the plan, ending what it was on, and makes the first grant unless it is `deferred`.

        What was due under the assignment before is granted first. Raises `InvalidInput` for no address or two that
        disagree, `UnknownAccount`, `UnknownPlan`, `PlanNotActive`, and `AboveCeiling` where the first grant is due at
        once and does not fit.
        """

        def effect(tx: Tx) -> Assigned:
            account = self._ledger.account_within(tx, org_id, address, self._clock.now_us())
            plan = self._plan(org_id, plan_id, tx)
            now_us = account.now_us
            if not plan.active:
                raise PlanNotActive(plan_id)
            current = self._store.find_open(tx, org_id, account)
            if current is not None:
                _, account = self._end(tx, org_id, account, current)
            if not deferred and account.balances.balance_micro + plan.credits_micro > CEILING_MICRO:
                raise AboveCeiling
            assignment = Assignment(
                id=dated_id("accountPlan", now_us),
                account_id=account.account_id,
                external_id=account.external_id,
                plan=plan,
                active=True,
                started_at_us=now_us,
                expires_at_us=schedule.ends_at(plan, now_us, deferred=deferred),
                deferred=deferred,
                granted=0,
                next_grant_at_us=schedule.grant_at(plan, now_us, deferred=deferred, number=1),
            )
            self._store.add_assignment(tx, org_id, account, assignment)
            assignment, account = self._granting.catch_up(tx, org_id, account, assignment)
            return Assigned(assignment, account.balances.balance_micro)

        return await answered(self._writes, repeat, effect, Assigned, version=_VERSION)

    async def unassign(
        self, org_id: str, address: Address, plan_id: str | None = None, repeat: Repeat | None = None
    ) -> Unassigned:
        """Ends the active assignment, if there is one and, with `plan_id`, it is of that plan. Takes nothing back.

        What was due is granted first. Raises as `assign` for the address, and `UnknownPlan`.
        """

        def effect(tx: Tx) -> Unassigned:
            account = self._ledger.account_within(tx, org_id, address, self._clock.now_us())
            if plan_id is not None:
                self._plan(org_id, plan_id, tx)
            current = self._store.find_open(tx, org_id, account)
            if current is None or not current.active or plan_id not in (None, current.plan.id):
                return Unassigned(None)
            ended, _ = self._end(tx, org_id, account, current)
            return Unassigned(ended)

        return await answered(self._writes, repeat, effect, Unassigned, version=_VERSION)

    async def grant_due(self, limit: int, passed_over: Collection[str] = ()) -> int:
        """Makes at most `limit` grants that are due, of any org, those due longest first; returns how many.

        None of the assignments `passed_over`. Safe to repeat: a grant is never made twice. Raises `GrantFailed`, having
        made none, if one cannot be made, and `Overloaded`.
        """
        if not self.behind_us():
            return 0
        due: Due | None = None

        def effect(tx: Tx) -> int:
            nonlocal due
            now_us = self._clock.now_us()
            granted = 0
            while granted < limit and (due := self._store.find_due(tx, now_us, passed_over)) is not None:
                address = Address(due.assignment.account_id)
                account = self._ledger.account_within(tx, due.org_id, address, now_us)
                self._granting.grant(tx, due.org_id, account, due.assignment, due.at_us)
                granted += 1
            due = None
            return granted

        try:
            return await self._writes.run(effect)
        except (Overloaded, Unavailable):
            raise
        except Exception as error:
            if due is None:  # it was not a grant that failed, but the commit
                raise
            raise GrantFailed(due.org_id, due.assignment.id) from error

    def behind_us(self) -> int:
        """For how long the oldest grant that is not made has been due; 0 when none is."""
        oldest_us = self._store.oldest_due_us()
        return 0 if oldest_us is None else max(0, self._clock.now_us() - oldest_us + 1)

    def list_plans(self, org_id: str, page: Slice | None = None) -> Listed[Plan]:
        """Newest first, archived ones too; without `page` all. Raises `TooManyResults`."""
        return self._store.list_plans(org_id, page, self._list_rows_max)

    def list_assignments(self, org_id: str, address: Address, page: Slice | None = None) -> Listed[Assignment]:
        """Those of an account, current and past, as `list_plans`. Raises as `LedgerService.get_account`, too."""
        account = self._ledger.standing(org_id, address)
        return self._store.list_assignments(org_id, account, page, self._list_rows_max)

    def _plan(self, org_id: str, plan_id: str, tx: Tx) -> Plan:
        plan = self._store.find_plan(org_id, plan_id, tx)
        if plan is None:
            raise UnknownPlan
        return plan

    def _end(self, tx: Tx, org_id: str, account: Standing, current: Assignment) -> tuple[Assignment, Standing]:
        """The assignment, ended now or where its last period was over, with every grant made that was due."""
        current, account = self._granting.catch_up(tx, org_id, account, current)
        # A clock that was set back must not end it before it began.
        expires_at_us = max(account.now_us, current.started_at_us) if current.active else current.expires_at_us
        ended = replace(current, active=False, expires_at_us=expires_at_us, next_grant_at_us=None)
        self._store.end_assignment(tx, org_id, ended)
        return ended, account


def _check(wanted: NewPlan) -> None:
    if wanted.credits_micro <= 0:
        raise invalid("body", "amount", msg="must be above 0")
    if wanted.occurrences is not None and not 1 <= wanted.occurrences <= OCCURRENCES_MAX:
        raise invalid("body", "occurrences", msg=f"must be 1 to {OCCURRENCES_MAX}")
