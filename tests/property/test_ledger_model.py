"""The ledger against a plain model: random commands, repeats, a moving clock, the store opened again.

After every step all balances, transactions and reservations of the store equal those of the model.
"""

import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from tallybook.core.errors import Refusal
from tallybook.core.time_window import DAY_US, SECOND_US
from tallybook.core.unit_of_work import Repeat
from tallybook.ledger.model import Address, Hold, NewAccount, Posting, Slice, Terms, Type
from tests.conftest import LONG
from tests.unit.ledger.rooms import ORG, OpenLedger, repeat

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where thousands of small commits need not wait for a disk, if there is such a place."""

CEILING = 8_589_934_591_999_999


@dataclass(eq=False)
class Held:
    """A reservation of the model. `ended`: what became of it, other than by the clock."""

    account: "Book"
    amount: int
    created_at: int
    expires_at: int
    name: str | None
    ended: str | None = None
    closed: bool = False
    late: bool = False
    actual: int | None = None
    answer: Any = None
    id: str = ""
    serial: int = field(default_factory=count().__next__)

    def status(self, now: int) -> str:
        return self.ended or ("pending" if self.account.at(now) < self.expires_at else "expired")


@dataclass(eq=False)
class Book:
    """An account of the model."""

    external_id: str | None
    entries: list[tuple[str, int, int, str | None]] = field(default_factory=list)
    holds: list[Held] = field(default_factory=list)
    id: str = ""
    seen: int = 0

    def at(self, now: int) -> int:
        """An account's time never falls below that of its last change, even if the clock does."""
        return max(now, self.seen)

    @property
    def balance(self) -> int:
        return sum(amount if type_ == "credit" else -amount for type_, amount, _, _ in self.entries)

    def reserved(self, now: int) -> int:
        return sum(hold.amount for hold in self.holds if hold.status(now) == "pending")

    def available(self, now: int) -> int:
        return self.balance - self.reserved(now)

    def enter(self, type_: str, amount: int, name: str | None) -> None:
        balance = self.balance + (amount if type_ == "credit" else -amount)
        self.entries.append((type_, amount, balance, name))


class Model:
    """What each command does, in the plainest words; a text is the code of a refusal."""

    def __init__(self) -> None:
        self.now = 0
        self.books: list[Book] = []

    def create(self, external_id: str | None) -> Book | str:
        if external_id is not None and any(book.external_id == external_id for book in self.books):
            return "external_id_taken"
        self.books.append(Book(external_id, seen=self.now))
        return self.books[-1]

    def post(self, book: Book, type_: str, amount: int, name: str | None) -> str | None:
        if amount > CEILING or (type_ == "credit" and book.balance + amount > CEILING):
            return "above_ceiling"
        if type_ == "debit" and amount > book.available(self.now):
            return "insufficient_credits"
        book.seen = book.at(self.now)
        book.enter(type_, amount, name)
        return None

    def reserve(self, book: Book, amount: int, seconds: int, name: str | None) -> Held | str:
        if amount > CEILING:
            return "above_ceiling"
        if amount > book.available(self.now):
            return "insufficient_credits"
        book.seen = book.at(self.now)
        hold = Held(book, amount, book.seen, book.seen + seconds * SECOND_US, name)
        book.holds.append(hold)
        return hold

    def confirm(self, hold: Held, actual: int, terms: Terms) -> str | None:
        if actual > CEILING:
            return "above_ceiling"
        status = hold.status(self.now)
        if status == "confirmed" and actual == hold.actual:
            return None
        late = status == "expired" and not hold.closed and terms.late_charged
        if status != "pending" and not late:
            return "reservation_not_pending"
        if actual > hold.amount and not terms.overrun_from_available:
            return "overrun"
        if late and actual > hold.account.available(self.now):
            return "insufficient_credits"
        if not late and actual - hold.amount > hold.account.available(self.now):
            return "overrun"
        hold.account.seen = hold.account.at(self.now)
        hold.ended, hold.late, hold.actual = "confirmed", late, actual
        hold.account.enter("debit", actual, hold.name or "Reservation confirmed")
        released = 0 if late else max(0, hold.amount - actual)
        hold.answer = (released, hold.account.balance, hold.account.reserved(self.now))
        return None

    def cancel(self, hold: Held) -> int | str:
        """What it frees."""
        status = hold.status(self.now)
        if status == "confirmed":
            return "reservation_not_pending"
        if status == "cancelled" or hold.closed:
            return 0
        hold.account.seen = hold.account.at(self.now)
        hold.ended, hold.closed = ("cancelled", False) if status == "pending" else ("expired", True)
        return hold.amount if status == "pending" else 0

    def extend(self, hold: Held, seconds: int) -> str | None:
        if hold.status(self.now) != "pending":
            return "reservation_not_pending"
        hold.account.seen = hold.account.at(self.now)
        hold.expires_at = hold.account.seen + seconds * SECOND_US
        return None

    def sweep(self, limit: int) -> int:
        """Puts on record those due longest: no clock brings them back."""
        due = [hold for book in self.books for hold in book.holds if not hold.ended and hold.expires_at <= self.now]
        swept = sorted(due, key=lambda hold: (hold.expires_at, hold.serial))[:limit]
        for hold in swept:
            hold.ended = "expired"
        return len(swept)


amounts = st.sampled_from([1, 7, 50, 10**6, 10**6, 10**9, CEILING, CEILING + 1])
WHILES = {
    "a moment": 1,
    "a second": SECOND_US,
    "a while": 299 * SECOND_US,
    "a day": DAY_US,
    "back": -299 * SECOND_US,
}
parts = st.sampled_from(["little", "little", "little", "little", "all", "too much"])
seconds = st.sampled_from([300, 300, 1, 10, 86_400])
names = st.sampled_from([None, "chat"])

Command = Callable[[Repeat], Coroutine[Any, Any, Any]]


class LedgerAgainstModel(RuleBasedStateMachine):
    accounts = Bundle("accounts")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-model-", dir=MEMORY))
        self.room = OpenLedger(self.folder, list_rows_max=10_000)
        self.model = Model()
        self.now = self.room.clock.now
        self.keys = map("key {}".format, count())
        self.told: list[tuple[Command, Repeat, Any]] = []

    def teardown(self) -> None:
        self.room.close()
        self.room.runner.close()
        shutil.rmtree(self.folder)

    @property
    def now(self) -> int:
        return self.model.now

    @now.setter
    def now(self, now: int) -> None:
        self.model.now = self.room.clock.now = now

    def do(self, command: Command) -> Any:
        """Runs it under a fresh key, and remembers what a repeat of it must come to."""
        key = repeat(next(self.keys))
        answer = self.attempt(command, key)
        self.told.append((command, key, answer))
        return answer

    def attempt(self, command: Command, key: Repeat) -> Any:
        try:
            return self.room.run(command(key))
        except Refusal as refusal:
            return (refusal.code, str(refusal), refusal.details)

    @initialize(target=holds)
    def begin(self) -> Any:
        """Commands need credits, and most of them holds."""
        self.create("ana")
        book = self.model.books[0]
        self.post(book, way=1, credit=True, amount=10**9, name=None)
        return multiple(*(self.reserve(book, 0, "little", lasting, "chat") for lasting in (1, 10, 300, 300, 86_400)))

    @initialize(target=accounts)
    def known(self) -> Any:
        return multiple(*self.model.books)

    @rule(target=accounts, external_id=st.sampled_from([None, "ana", "bob", "eve", "😀"]))
    def create(self, external_id: str | None) -> Any:
        wanted = NewAccount(external_id=external_id, name="N", metadata='{"a":1}')
        answer = self.do(lambda key: self.room.ledger.create_account(ORG, wanted, key))
        book = self.model.create(external_id)
        if isinstance(book, str):
            assert answer[0] == book
            return multiple()
        book.id = answer.id
        assert (answer.external_id, answer.balance_micro, answer.metadata) == (external_id, 0, '{"a":1}')
        return multiple(book)

    def address(self, book: Book, way: int) -> Address:
        if book.external_id is None or way == 0:
            return Address(book.id)
        return Address(None if way == 1 else book.id, book.external_id)

    @rule(
        book=accounts,
        way=st.integers(0, 2),
        credit=st.integers(0, 3).map(bool),
        amount=amounts,
        name=names,
    )
    def post(self, book: Book, way: int, credit: bool, amount: int, name: str | None) -> None:
        type_ = Type.CREDIT if credit else Type.DEBIT
        posting, address = Posting(type_, amount, name), self.address(book, way)
        answer = self.do(lambda key: self.room.ledger.post(ORG, address, posting, key))
        refused = self.model.post(book, type_.value, amount, name)
        if refused is None:
            assert answer.balance_after_micro == book.balance
            assert answer.reserved_after_micro == book.reserved(self.now)
        else:
            assert answer[0] == refused

    @rule(target=holds, book=accounts, way=st.integers(0, 2), part=parts, seconds=seconds, name=names)
    def reserve(self, book: Book, way: int, part: str, seconds: int, name: str | None) -> Any:
        available = book.available(self.now)
        amount = {"little": max(1, available // 10), "all": max(1, available), "too much": available + 1}[part]
        hold, address = Hold(amount, seconds, name, '{"m":1}'), self.address(book, way)
        answer = self.do(lambda key: self.room.ledger.reserve(ORG, address, hold, key))
        held = self.model.reserve(book, amount, seconds, name)
        if isinstance(held, str):
            assert answer[0] == held
            return multiple()
        held.id = answer.id
        return held

    @rule(hold=holds, how=st.sampled_from(["less", "equal", "zero", "as before"]))
    def confirm(self, hold: Held, how: str) -> None:
        self.settle(hold, how, Terms())

    @rule(hold=holds, how=st.sampled_from(["more", "all", "too much"]), overrun=st.booleans())
    def confirm_beyond(self, hold: Held, how: str, overrun: bool) -> None:
        self.settle(hold, how, Terms(overrun_from_available=overrun))

    @rule(hold=holds, how=st.sampled_from(["equal", "more", "all", "too much"]), late_charged=st.booleans())
    def confirm_late(self, hold: Held, how: str, late_charged: bool) -> None:
        self.now = max(self.now, hold.expires_at)
        self.settle(hold, how, Terms(late_charged=late_charged))

    def settle(self, hold: Held, how: str, terms: Terms) -> None:
        most = hold.amount + hold.account.available(self.now)
        actual = {
            "less": hold.amount // 2,
            "equal": hold.amount,
            "zero": 0,
            "more": hold.amount + 1,
            "all": most,
            "too much": most + 1,
            "as before": hold.amount if hold.actual is None else hold.actual,
        }[how]
        answer = self.do(lambda key: self.room.ledger.confirm(ORG, hold.id, actual, terms, key))
        refused = self.model.confirm(hold, actual, terms)
        if refused is None:
            balances = answer.balances
            assert (answer.released_micro, balances.balance_micro, balances.reserved_micro) == hold.answer
            assert answer.reservation.late == hold.late
        else:
            assert answer[0] == refused

    @rule(hold=holds)
    def cancel(self, hold: Held) -> None:
        answer = self.do(lambda key: self.room.ledger.cancel(ORG, hold.id, key))
        freed = self.model.cancel(hold)
        if isinstance(freed, str):
            assert answer[0] == freed
        else:
            now, book = self.now, hold.account
            figures = (answer.released_micro, answer.balances.balance_micro, answer.balances.reserved_micro)
            assert figures == (freed, book.balance, book.reserved(now))
            assert answer.reservation.status == hold.status(now)

    @rule(hold=holds, seconds=seconds)
    def extend(self, hold: Held, seconds: int) -> None:
        answer = self.do(lambda key: self.room.ledger.extend(ORG, hold.id, seconds, key))
        refused = self.model.extend(hold, seconds)
        if refused is None:
            assert answer.expires_at_us == hold.expires_at
        else:
            assert answer[0] == refused

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0, 10**6))
    def say_again(self, which: int) -> None:
        command, key, answer = self.told[which % len(self.told)]
        again = self.attempt(command, key)
        assert again == answer
        assert msgspec.json.encode(again) == msgspec.json.encode(answer)

    @rule(what=st.sampled_from(["a moment", "a second", "a while", "a day", "back", "sweep", "open again"]))
    def meanwhile(self, what: str) -> None:
        match what:
            case "sweep":
                assert self.room.run(self.room.ledger.expire_due(2)) == self.model.sweep(2)
            case "open again":
                self.room.close()
                self.room.open()
            case _:
                self.now += WHILES[what]

    @invariant()
    def equal(self) -> None:
        now = self.now
        assert {each.id for each in self.room.ledger.list_accounts(ORG).rows} == {b.id for b in self.model.books}
        for book in self.model.books:
            address = Address(book.id)
            balances = self.room.ledger.standing(ORG, address).balances
            assert (balances.balance_micro, balances.reserved_micro) == (book.balance, book.reserved(now))
            assert 0 <= balances.reserved_micro <= balances.balance_micro <= CEILING
            entries = list(self.room.ledger.list_transactions(ORG, address, Slice(10_000)).rows)
            assert [
                (entry.type, entry.amount_micro, entry.balance_after_micro, entry.description)
                for entry in reversed(entries)
            ] == book.entries
            reservations = list(self.room.ledger.list_reservations(ORG, address).rows)
            assert [
                (each.id, each.amount_micro, each.status, each.expires_at_us, each.actual_micro, each.late)
                for each in reversed(reservations)
            ] == [
                (hold.id, hold.amount, hold.status(now), hold.expires_at, hold.actual, hold.late) for hold in book.holds
            ]
            active = self.room.ledger.list_reservations(ORG, address, active_only=True)
            assert sum(each.amount_micro for each in active.rows) == book.reserved(now)
        assert self.room.ledger.verify(ORG).difference is None


TestLedgerAgainstModel = LedgerAgainstModel.TestCase
TestLedgerAgainstModel.settings = settings(
    max_examples=400 if LONG else 30,
    stateful_step_count=80 if LONG else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
