"""What every plan store must do. Subclasses provide `store`, `ledger` (over the same file) and `writes` as fixtures."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from tallybook.core.errors import TallybookError
from tallybook.core.unit_of_work import Record, Writes
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger import machine
from tallybook.ledger.errors import TooManyResults
from tallybook.ledger.model import CEILING_MICRO, Account, Address, Posting, Slice, Standing, Transaction, Type
from tallybook.ledger.store import LedgerStore
from tallybook.plans.model import Assignment, Grant, Interval, Plan
from tallybook.plans.store import PlanStore

Answer = TypeVar("Answer")
NUMBERS = itertools.count(1)
MANY = 1_000


def plan(**fields: Any) -> Plan:
    plain = Plan(f"plan_{next(NUMBERS)}", "Pro", None, None, 5, Interval.DAY, None, True, True, 0, 0)
    return replace(plain, **fields)


FULL = plan(
    name="Größe ☃",
    description="many",
    price="49.90",
    credits_micro=2**52,
    interval=Interval.MONTH,
    occurrences=3,
    accumulate=False,
    active=False,
    created_at_us=7,
    updated_at_us=8,
)


@dataclass
class Desk:
    """Writes into a store, a transaction each."""

    store: PlanStore
    ledger: LedgerStore
    writes: Writes
    org_id: str = "acme"

    def commit(self, work: Callable[[Tx], Answer]) -> Answer:
        answers: list[Answer] = []

        def effect(tx: Tx) -> Record:
            answers.append(work(tx))
            return {}

        async def once() -> Record:
            return await self.writes.once(None, effect)

        asyncio.run(once())
        return answers[0]

    def account(self, now_us: int = 0) -> Standing:
        made = Account(f"acc_{next(NUMBERS)}", None, None, None, None, 0, 0, 0)
        self.commit(lambda tx: self.ledger.add_account(tx, self.org_id, made))
        return self.seen(made.id, now_us)

    def seen(self, account_id: str, now_us: int = 0) -> Standing:
        found = self.ledger.find_standing(self.org_id, Address(account_id), now_us)
        assert found is not None
        return found

    def plan(self, **fields: Any) -> Plan:
        made = plan(**fields)
        self.commit(lambda tx: self.store.add_plan(tx, self.org_id, made))
        return made

    def assign(self, account: Standing, on: Plan, **fields: Any) -> Assignment:
        plain = Assignment(
            id=f"accountPlan_{next(NUMBERS)}",
            account_id=account.account_id,
            external_id=None,
            plan=on,
            active=True,
            started_at_us=0,
            expires_at_us=None,
            deferred=False,
            granted=0,
            next_grant_at_us=0,
        )
        made = replace(plain, **fields)
        self.commit(lambda tx: self.store.add_assignment(tx, self.org_id, account, made))
        return made

    def post(self, account: Standing, amount_micro: int) -> Transaction:
        kind = Type.CREDIT if amount_micro > 0 else Type.DEBIT
        entry = machine.post(
            self.seen(account.account_id), Posting(kind, abs(amount_micro)), transaction_id=f"txn_{next(NUMBERS)}"
        )
        self.commit(lambda tx: self.ledger.append_transaction(tx, self.org_id, account, entry))
        return entry

    def grant(self, account: Standing, assignment: Assignment, next_at_us: int | None = None) -> Grant:
        entry = self.post(account, assignment.plan.credits_micro)
        number = assignment.granted + 1
        made = Grant(assignment.id, number, assignment.next_grant_at_us or 0, entry.id, 3)
        after = replace(assignment, granted=number, next_grant_at_us=next_at_us)
        self.commit(lambda tx: self.store.append_grant(tx, self.org_id, made, after))
        return made

    def of(self, account: Standing) -> list[Assignment]:
        return list(self.store.list_assignments(self.org_id, account, None, MANY).rows)


class PlanStoreSuite:
    @pytest.fixture
    def desk(self, store: PlanStore, ledger: LedgerStore, writes: Writes) -> Desk:
        return Desk(store, ledger, writes)

    @pytest.mark.parametrize("made", [plan(), FULL], ids=["plain", "full"])
    def test_a_plan_is_found_as_it_was_added(self, desk: Desk, made: Plan) -> None:
        desk.commit(lambda tx: desk.store.add_plan(tx, "acme", made))
        assert desk.store.find_plan("acme", made.id) == made
        assert desk.store.find_plan("other", made.id) is None
        assert desk.store.find_plan("acme", "plan_nothing") is None

    def test_only_archiving_changes_a_plan(self, desk: Desk) -> None:
        made, beside = desk.plan(), desk.plan()
        archived = replace(made, active=False, updated_at_us=9)
        desk.commit(lambda tx: desk.store.replace_plan(tx, "other", archived))
        assert desk.store.find_plan("acme", made.id) == made
        desk.commit(lambda tx: desk.store.replace_plan(tx, "acme", replace(archived, name="Other")))
        assert desk.store.find_plan("acme", made.id) == archived
        assert desk.store.find_plan("acme", beside.id) == beside

    def test_plans_are_listed_newest_first(self, desk: Desk) -> None:
        made = [desk.plan(created_at_us=at) for at in (5, 5, 9, 1)]
        desk.commit(lambda tx: desk.store.add_plan(tx, "other", plan()))
        newest_first = [made[2], made[1], made[0], made[3]]
        assert list(desk.store.list_plans("acme", None, 4).rows) == newest_first
        page = desk.store.list_plans("acme", Slice(2, 1), 1)
        assert (list(page.rows), page.total) == (newest_first[1:3], 4)
        with pytest.raises(TooManyResults):
            desk.store.list_plans("acme", None, 3)

    def test_an_assignment_is_found_as_it_was_added(self, desk: Desk) -> None:
        account, beside = desk.account(), desk.account()
        made = desk.assign(account, desk.plan(), deferred=True, expires_at_us=50, next_grant_at_us=10)
        assert desk.of(account) == [made]
        assert desk.commit(lambda tx: desk.store.find_open(tx, "acme", account)) == made
        assert desk.commit(lambda tx: desk.store.find_open(tx, "other", account)) is None
        assert desk.commit(lambda tx: desk.store.find_open(tx, "acme", beside)) is None
        assert desk.of(beside) == []

    @pytest.mark.parametrize(("now_us", "active"), [(49, True), (50, False)])
    def test_it_is_active_until_its_end(self, desk: Desk, now_us: int, active: bool) -> None:
        account = desk.account()
        desk.assign(account, desk.plan(), expires_at_us=50)
        assert [each.active for each in desk.of(desk.seen(account.account_id, now_us))] == [active]

    def test_an_account_has_one_open_assignment(self, desk: Desk) -> None:
        account, on = desk.account(), desk.plan()
        first = desk.assign(account, on)
        with pytest.raises(Exception, match=r"(?i)unique"):
            desk.assign(account, on)
        desk.commit(lambda tx: desk.store.end_assignment(tx, "acme", replace(first, expires_at_us=20)))
        second = desk.assign(account, on, started_at_us=20)
        ended = replace(first, active=False, expires_at_us=20, next_grant_at_us=None)
        assert desk.of(account) == [second, ended]
        assert desk.commit(lambda tx: desk.store.find_open(tx, "acme", account)) == second

    def test_a_grant_moves_the_assignment_and_happens_once(self, desk: Desk) -> None:
        account = desk.account()
        made = desk.assign(account, desk.plan())
        grant = desk.grant(account, made, next_at_us=30)
        (after,) = desk.of(account)
        assert (after.granted, after.next_grant_at_us) == (1, 30)
        assert desk.commit(lambda tx: desk.store.last_grant(tx, "acme", after)) == grant
        with pytest.raises(Exception, match=r"(?i)unique"):
            desk.grant(account, made)
        second = desk.grant(account, after)
        (after,) = desk.of(account)
        assert (after.granted, after.next_grant_at_us) == (2, None)
        assert desk.commit(lambda tx: desk.store.last_grant(tx, "acme", after)) == second

    def test_what_was_debited_since_a_transaction(self, desk: Desk) -> None:
        account, beside = desk.account(), desk.account()
        desk.post(account, 7)
        entries = [desk.post(account, amount) for amount in (100, -30, 5, -1, 2)]
        desk.post(beside, 1_000)
        for entry, debited in zip(entries, (31, 1, 1, 0, 0), strict=True):
            since = entry.id
            assert desk.commit(lambda tx, id=since: desk.store.debited_since(tx, "acme", account, id)) == debited  # type: ignore[misc]

    def test_what_was_debited_adds_up_beyond_64_bits(self, desk: Desk) -> None:
        account, turns = desk.account(), 2**63 // CEILING_MICRO + 1

        def turn_over(tx: Tx) -> None:
            for number in range(turns):
                for kind, balance_micro in ((Type.CREDIT, CEILING_MICRO), (Type.DEBIT, 0)):
                    named = replace(first, id=f"{kind}_{number}", type=kind)
                    entry = replace(named, amount_micro=CEILING_MICRO, balance_after_micro=balance_micro)
                    desk.ledger.append_transaction(tx, "acme", account, entry)

        desk.post(account, 1)
        first = desk.post(account, -1)
        desk.commit(turn_over)
        debited = desk.commit(lambda tx: desk.store.debited_since(tx, "acme", account, first.id))
        assert debited == turns * CEILING_MICRO

    def test_the_longest_due_of_any_org_comes_first(self, desk: Desk) -> None:
        other = Desk(desk.store, desk.ledger, desk.writes, "other")
        assert desk.store.oldest_due_us() is None
        late, later, never = desk.account(), other.account(), desk.account()
        second = desk.assign(late, desk.plan(), next_grant_at_us=20)
        first = other.assign(later, other.plan(), next_grant_at_us=10)
        desk.assign(never, desk.plan(), next_grant_at_us=None)
        assert desk.store.oldest_due_us() == 10
        assert desk.commit(lambda tx: desk.store.find_due(tx, 9)) is None
        assert desk.commit(lambda tx: desk.store.find_due(tx, 10)) == ("other", first, 10)
        assert desk.commit(lambda tx: desk.store.find_due(tx, 19, [first.id])) is None
        assert desk.commit(lambda tx: desk.store.find_due(tx, 20, [first.id])) == ("acme", second, 20)
        other.grant(later, first, next_at_us=30)
        assert desk.commit(lambda tx: desk.store.find_due(tx, 20)) == ("acme", second, 20)
        desk.commit(lambda tx: desk.store.end_assignment(tx, "acme", second))
        assert desk.commit(lambda tx: desk.store.find_due(tx, 29)) is None
        assert desk.store.oldest_due_us() == 30

    def test_a_refusal_leaves_nothing(self, desk: Desk) -> None:
        made = plan()

        def work(tx: Tx) -> None:
            desk.store.add_plan(tx, "acme", made)
            raise TallybookError

        with pytest.raises(TallybookError):
            desk.commit(work)
        assert desk.store.find_plan("acme", made.id) is None
