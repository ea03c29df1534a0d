"""What every ledger store must do. Subclasses provide `store` and `writes` as fixtures."""

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from tallybook.core.errors import Conflict
from tallybook.core.unit_of_work import Record, Writes
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger import machine
from tallybook.ledger.errors import TooManyResults
from tallybook.ledger.model import (
    Account,
    Address,
    Balances,
    Change,
    ChangeKind,
    Hold,
    Posting,
    Reservation,
    Slice,
    Standing,
    Status,
    Terms,
    Transaction,
    Type,
)
from tallybook.ledger.store import Found, LedgerStore
from tallybook.ledger.verify import Figures, verify

NUMBERS = itertools.count(1)


def account(external_id: str | None = None, **fields: Any) -> Account:
    plain = Account(
        id=f"acc_{next(NUMBERS)}",
        external_id=external_id,
        name=None,
        email=None,
        metadata=None,
        balance_micro=0,
        created_at_us=0,
        updated_at_us=0,
    )
    return replace(plain, **fields)


FULL = account("user ☃", name="Ana", email="ana@example.com", metadata='{"a":1.50}', created_at_us=7, updated_at_us=7)


class Desk:
    """Writes into a store, a transaction each, at instants of the test's own."""

    def __init__(self, store: LedgerStore, writes: Writes, org_id: str = "acme") -> None:
        self.store = store
        self.writes = writes
        self.org_id = org_id

    def inside(self, work: Callable[[Tx], Any]) -> Any:
        """What `work` answers inside a transaction of its own."""
        answers = []

        def effect(tx: Tx) -> Record:
            answers.append(work(tx))
            return {}

        async def commit() -> None:
            await self.writes.once(None, effect)

        asyncio.run(commit())
        return answers[0]

    def open(self, *accounts: Account, credits: int = 0) -> None:
        for each in accounts:
            self.inside(partial(self.store.add_account, org_id=self.org_id, account=each))
            if credits:
                self.post(each, credits)

    def standing(self, of: Account, now: int = 0, tx: Tx | None = None) -> Standing:
        found = self.store.find_standing(self.org_id, Address(of.id), now, tx)
        assert found is not None
        return found

    def balances(self, of: Account, now: int = 0) -> tuple[int, int]:
        found = self.standing(of, now).balances
        return found.balance_micro, found.reserved_micro

    def post(self, to: Account, amount: int, now: int = 0, **more: Any) -> Transaction:
        posting = Posting(Type.CREDIT if amount > 0 else Type.DEBIT, abs(amount), **more)

        def work(tx: Tx) -> Transaction:
            found = self.standing(to, now, tx)
            entry = machine.post(found, posting, transaction_id=f"txn_{next(NUMBERS)}")
            self.store.append_transaction(tx, self.org_id, found, entry)
            return entry

        return self.inside(work)  # type: ignore[no-any-return]

    def hold(self, of: Account, amount: int, now: int = 0, until: int = 1_000_000, **more: Any) -> Reservation:
        def work(tx: Tx) -> Reservation:
            found = self.standing(of, now, tx)
            plain = machine.reserve(found, Hold(amount, 1, **more), reservation_id=f"res_{next(NUMBERS)}")
            hold = replace(plain, expires_at_us=until)
            self.store.append_reservation(tx, self.org_id, found, hold)
            return hold

        return self.inside(work)  # type: ignore[no-any-return]

    def found(self, hold: Reservation, now: int = 0, tx: Tx | None = None) -> Found:
        found = self.store.find_reservation(self.org_id, hold.id, now, tx)
        assert found is not None
        return found

    def settle(self, hold: Reservation, actual: int, now: int = 0) -> Transaction:
        def work(tx: Tx) -> Transaction:
            known, owner, _ = self.found(hold, now, tx)
            debit = machine.confirm(owner, known, actual, Terms(), transaction_id=f"txn_{next(NUMBERS)}")
            assert debit is not None
            self.store.append_confirmation(tx, self.org_id, owner, known, debit)
            return debit

        return self.inside(work)  # type: ignore[no-any-return]

    def change(self, hold: Reservation, change: Change, now: int = 0) -> None:
        def work(tx: Tx) -> None:
            known, owner, _ = self.found(hold, now, tx)
            self.store.append_change(tx, self.org_id, owner, known, change)

        self.inside(work)

    def check(self) -> None:
        with self.store.audit(self.org_id) as book:
            assert verify(self.org_id, book).difference is None


class LedgerStoreSuite:
    @pytest.fixture
    def desk(self, store: LedgerStore, writes: Writes) -> Desk:
        return Desk(store, writes)

    @pytest.mark.parametrize("kept", [account(), FULL], ids=["least", "full"])
    def test_an_account_is_found_as_it_was_added(self, desk: Desk, kept: Account) -> None:
        desk.open(kept)
        assert desk.store.find_account("acme", Address(kept.id)) == kept
        assert desk.standing(kept).balances == Balances(0, 0)
        if kept.external_id is not None:
            assert desk.store.find_account("acme", Address(external_id=kept.external_id)) == kept

    def test_orgs_are_walls(self, desk: Desk, store: LedgerStore, writes: Writes) -> None:
        ours, theirs = account("user"), account("user")
        other = Desk(store, writes, "other")
        desk.open(ours, credits=10)
        other.open(theirs, credits=20)
        hold = desk.hold(ours, 1)
        assert store.find_account("other", Address(ours.id)) is None
        assert store.find_account("other", Address(external_id="user")) == replace(theirs, balance_micro=20)
        assert store.find_standing("other", Address(ours.id), 0) is None
        assert store.find_reservation("other", hold.id, 0) is None
        assert [each.id for each in store.list_accounts("acme", None, 9).rows] == [ours.id]
        (entry,) = store.list_transactions("other", None, Slice(9), start_us=None, end_us=None).rows
        assert entry.account_id == theirs.id
        with store.audit("other") as book:
            assert (book.transactions_total, book.reservations_total, book.changes_total) == (1, 0, 0)
            assert [each.account_id for each in book.accounts] == [theirs.id]

    def test_a_transaction_is_kept_as_it_was_appended(self, desk: Desk, store: LedgerStore) -> None:
        owner = account("user")
        desk.open(owner)
        entries = [
            desk.post(owner, 10**15, now=1, description="Top-up ☃", metadata='{"a":1.50}'),
            desk.post(owner, -7, now=2),
        ]
        listed = store.list_transactions("acme", desk.standing(owner), Slice(9), start_us=None, end_us=None)
        assert (listed.total, list(listed.rows)) == (2, entries[::-1])
        assert desk.balances(owner) == (10**15 - 7, 0)
        found = store.find_account("acme", Address(owner.id))
        assert found == replace(owner, balance_micro=10**15 - 7, updated_at_us=2)

    def test_a_hold_is_kept_as_it_was_appended(self, desk: Desk) -> None:
        owner = account("user")
        desk.open(owner, credits=10)
        hold = desk.hold(owner, 4, now=3, until=9, description="chat", metadata='{"m":"x"}')
        assert desk.found(hold, now=8) == Found(hold, desk.standing(owner, 8), None)
        assert desk.balances(owner, 8) == (10, 4)

    def test_expiry_is_judged_by_the_clock(self, desk: Desk, store: LedgerStore) -> None:
        owner = account()
        desk.open(owner, credits=10)
        early, late = desk.hold(owner, 4, until=5), desk.hold(owner, 3, until=9)
        assert [desk.balances(owner, now) for now in (4, 5, 8, 9)] == [(10, 7), (10, 3), (10, 3), (10, 0)]
        assert [desk.standing(owner, now).now_us for now in (4, 5)] == [4, 5]
        assert [desk.found(early, now).reservation.status for now in (4, 5)] == [Status.PENDING, Status.EXPIRED]
        active = store.list_reservations("acme", desk.standing(owner, 5), None, 9, active_only=True)
        assert list(active.rows) == [late]
        assert [store.any_due(now) for now in (4, 5)] == [False, True]
        desk.check()

    def test_a_write_frees_what_has_expired_for_good(self, desk: Desk, store: LedgerStore) -> None:
        owner, other = account(), account()
        desk.open(owner, other, credits=10)
        due = [desk.hold(owner, 2, until=number) for number in (3, 4)]
        alive, elsewhere = desk.hold(owner, 1, until=6), desk.hold(other, 5, until=3)
        desk.post(owner, 1, now=5)
        # Even by an earlier clock they are over, and the sweep frees them no second time.
        for swept in (0, 3):
            assert desk.inside(lambda tx: store.expire_oldest(tx, 5, 10)) == swept if swept else True
            assert desk.balances(owner, 0) == (11, 1)
            assert [desk.found(each).reservation.status for each in due] == [Status.EXPIRED] * 2
            assert desk.found(alive).reservation.status is Status.PENDING
            desk.check()
        assert desk.found(elsewhere).reservation.status is Status.EXPIRED
        with store.audit("acme") as book:
            changes = [change for each in book.accounts for life in each.reservations for change in life.changes]
        assert changes == [Change(ChangeKind.EXPIRED, at) for at in (3, 4, 3)]

    def test_the_sweep_takes_those_due_longest_first(self, desk: Desk, store: LedgerStore) -> None:
        owner, other = account(), account()
        desk.open(owner, other, credits=10)
        holds = [desk.hold(each, 1, until=until) for until in (5, 3, 4) for each in (owner, other)]
        assert desk.inside(lambda tx: store.expire_oldest(tx, 4, 3)) == 3
        assert desk.inside(lambda tx: store.expire_oldest(tx, 4, 3)) == 1
        assert desk.inside(lambda tx: store.expire_oldest(tx, 4, 3)) == 0
        assert [desk.found(each).reservation.status for each in holds] == [Status.PENDING] * 2 + [Status.EXPIRED] * 4
        assert (desk.balances(owner), desk.balances(other)) == ((10, 1), (10, 1))
        desk.check()

    def test_a_debit_settles_its_hold(self, desk: Desk) -> None:
        owner = account("user")
        desk.open(owner, credits=10)
        hold = desk.hold(owner, 4)
        desk.hold(owner, 1)
        debit = desk.settle(hold, 3, now=8)
        assert desk.balances(owner) == (7, 1)
        found = desk.found(hold)
        assert found.reservation == machine.confirmed(hold, debit)
        assert found.settled == Balances(7, 1)
        desk.check()

    def test_a_late_debit_is_marked(self, desk: Desk) -> None:
        owner = account()
        desk.open(owner, credits=10)
        hold = desk.hold(owner, 4, until=5)
        desk.settle(hold, 3, now=6)
        assert desk.found(hold).reservation.late
        assert desk.balances(owner) == (7, 0)
        desk.check()

    @pytest.mark.parametrize(
        ("change", "status", "expires_at", "cancelled_at", "reserved"),
        [
            (Change(ChangeKind.EXTENDED, 2, 5, 50), Status.PENDING, 50, None, 4),
            (Change(ChangeKind.CANCELLED, 2), Status.CANCELLED, 5, 2, 0),
        ],
    )
    def test_a_change_is_applied(
        self,
        desk: Desk,
        change: Change,
        status: Status,
        expires_at: int,
        cancelled_at: int | None,
        reserved: int,
    ) -> None:
        owner = account()
        desk.open(owner, credits=10)
        hold = desk.hold(owner, 4, until=5)
        desk.change(hold, change)
        expected = replace(hold, status=status, expires_at_us=expires_at, cancelled_at_us=cancelled_at)
        assert desk.found(hold).reservation == expected
        assert desk.balances(owner) == (10, reserved)
        desk.check()

    def test_a_refused_effect_leaves_nothing(self, desk: Desk, store: LedgerStore) -> None:
        owner = account()
        desk.open(owner, credits=10)
        entry = replace(desk.post(owner, 1), id="txn_refused", amount_micro=5, balance_after_micro=16)

        def work(tx: Tx) -> None:
            store.append_transaction(tx, "acme", desk.standing(owner, 0, tx), entry)
            assert desk.standing(owner, 0, tx).balances == Balances(16, 0)
            raise Conflict("refused")

        with pytest.raises(Conflict):
            desk.inside(work)
        assert desk.balances(owner) == (11, 0)
        desk.check()

    def test_pages_are_newest_first_and_count_everything(self, desk: Desk, store: LedgerStore) -> None:
        # Neighbours share an instant: the later commit comes first.
        accounts = [account(created_at_us=number // 2) for number in range(7)]
        desk.open(*accounts)
        pages = [store.list_accounts("acme", Slice(3, offset), 1) for offset in (0, 3, 6)]
        assert [page.total for page in pages] == [7] * 3
        assert [row for page in pages for row in page.rows] == accounts[::-1]

    def test_a_whole_list_above_its_bound_is_refused(self, desk: Desk, store: LedgerStore) -> None:
        desk.open(*(account() for _ in range(3)))
        assert store.list_accounts("acme", None, 3).total == 3
        with pytest.raises(TooManyResults):
            store.list_accounts("acme", None, 2)

    def test_an_audit_is_one_snapshot(self, desk: Desk, store: LedgerStore) -> None:
        owner = account()
        desk.open(owner, credits=10)
        with store.audit("acme") as book:
            desk.post(owner, 5)
            desk.open(account())
            (kept,) = book.accounts
            assert kept.figures == Figures(10, 0, 0, 1, 0)
            assert [entry.amount_micro for entry in kept.transactions] == [10]
