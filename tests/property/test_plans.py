"""Plans against a plain model: a moving clock, late and partial runs of the job, spending and holds in between.

After every step all transactions, balances and assignments of the store equal those of the model.
"""

import copy
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from tallybook.core.errors import Refusal
from tallybook.core.time_window import DAY_US, HOUR_US, parse_instant
from tallybook.ledger.model import CEILING_MICRO, Account, Address, Hold, NewAccount, Posting, Slice, Terms, Type
from tallybook.plans.model import Interval, NewPlan
from tests.conftest import LONG
from tests.property.test_ledger_model import MEMORY
from tests.unit.ledger.rooms import ORG, repeat
from tests.unit.plans.rooms import OpenPlans

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(eq=False)
class Offer:
    """A plan of the model."""

    credits: int
    interval: Interval
    occurrences: int | None
    accumulate: bool
    active: bool = True
    id: str = ""


@dataclass(eq=False)
class Subscription:
    """An assignment of the model. `pot`: what its grants brought, as far as it is neither spent nor gone."""

    book: "Book"
    offer: Offer
    began_at: int
    deferred: bool
    made: int = 0
    pot: int = 0
    ended_at: int | None = None
    id: str = ""

    def instants(self) -> Iterator[int]:
        """Of every grant it will ever have, then the end of the last period."""
        for number in count(1 if self.deferred else 0):
            if self.offer.occurrences is not None and number - self.deferred > self.offer.occurrences:
                return
            yield after(self.began_at, self.offer.interval, number)

    def next_at(self) -> int | None:
        if self.ended_at is not None or self.made == self.offer.occurrences:
            return None
        return next(at for number, at in enumerate(self.instants()) if number == self.made)

    def expires_at(self) -> int | None:
        if self.ended_at is not None:
            return self.ended_at
        return None if self.offer.occurrences is None else list(self.instants())[-1]

    def active(self, now: int) -> bool:
        expires_at = self.expires_at()
        return self.ended_at is None and (expires_at is None or now < expires_at)


def after(start: int, interval: Interval, number: int) -> int:
    """That many intervals later, by the calendar."""
    moment = EPOCH + start * MICROSECOND
    match interval:
        case Interval.DAY:
            moment += timedelta(days=number)
        case Interval.WEEK:
            moment += timedelta(weeks=number)
        case Interval.MONTH:
            year, month = moment.year, moment.month
            for _ in range(number):
                year, month = (year + 1, 1) if month == 12 else (year, month + 1)
            for day in range(moment.day, 27, -1) if moment.day > 28 else [moment.day]:
                try:
                    moment = moment.replace(year, month, day)
                    break
                except ValueError:
                    continue
    return (moment - EPOCH) // MICROSECOND


@dataclass(eq=False)
class Book:
    """An account of the model. `holds`: by reservation, the amount and when it expires."""

    account: Account
    balance: int = 0
    entries: list[tuple[str, int, int, str | None]] = field(default_factory=list)
    holds: dict[str, tuple[int, int]] = field(default_factory=dict)
    subscriptions: list[Subscription] = field(default_factory=list)

    def held(self, now: int) -> int:
        return sum(amount for amount, expires_at in self.holds.values() if now < expires_at)

    def available(self, now: int) -> int:
        return self.balance - self.held(now)

    def enter(self, type_: str, amount: int, name: str | None) -> None:
        self.balance += amount if type_ == "credit" else -amount
        self.entries.append((type_, amount, self.balance, name))

    def spend(self, amount: int, name: str | None) -> None:
        """Credits of the plan go first."""
        self.enter("debit", amount, name)
        if self.subscriptions:
            current = self.subscriptions[-1]
            current.pot -= min(current.pot, amount)

    def grant(self, subscription: Subscription, now: int) -> None:
        offer = subscription.offer
        gone = 0 if offer.accumulate else min(subscription.pot, self.available(now))
        if gone:
            self.enter("debit", gone, "Plan credits expired")
        amount = min(offer.credits, CEILING_MICRO - self.balance)
        self.enter("credit", amount, "Plan credits granted")
        subscription.pot += amount - gone
        subscription.made += 1

    def catch_up(self, now: int) -> None:
        for subscription in self.subscriptions[-1:]:
            while (at := subscription.next_at()) is not None and at <= now:
                self.grant(subscription, now)

    def end(self, now: int) -> None:
        self.catch_up(now)
        for subscription in self.subscriptions[-1:]:
            if subscription.ended_at is None:
                subscription.ended_at = now if subscription.active(now) else subscription.expires_at()


starts = st.sampled_from(
    [
        "2026-01-31T12:00:00Z",
        "2027-12-31T23:59:59.999999Z",
        "2028-01-30T00:00:00Z",
        "2028-02-29T06:30:00.000001Z",
        "2026-08-15T18:00:00Z",
    ]
)
amounts = st.sampled_from([1, 10**6, 30_500_000, 100 * 10**6])
whose = st.sampled_from([0, 1])
parts = st.sampled_from([0, 0.1, 0.5, 1])


class PlansAgainstModel(RuleBasedStateMachine):
    offers = Bundle("offers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="plans-model-", dir=MEMORY))
        self.room = OpenPlans(self.folder, list_rows_max=10_000)
        self.keys = map("key {}".format, count())
        self.books: list[Book] = []
        self.subscriptions: list[Subscription] = []
        self.told: list[tuple[Any, Any, Any]] = []

    def teardown(self) -> None:
        self.room.verify()
        self.room.close()
        self.room.runner.close()
        shutil.rmtree(self.folder)

    @property
    def now(self) -> int:
        return self.room.clock.now

    def do(self, command: Any) -> Any:
        """Runs it under a fresh key, and remembers what a repeat of it must come to."""
        key = repeat(next(self.keys))
        answer = self.attempt(command, key)
        self.told.append((command, key, answer))
        return answer

    def attempt(self, command: Any, key: Any) -> Any:
        try:
            return self.room.run(command(key))
        except Refusal as refusal:
            return refusal.code

    @initialize(target=offers, start=starts)
    def begin(self, start: str) -> Any:
        """Two accounts, and kinds of plans that are worth meeting often."""
        self.room.clock.now = parse_instant(start)
        made = [self.room.run(self.room.ledger.create_account(ORG, NewAccount(name))) for name in ("ana", "bob")]
        self.books = [Book(account) for account in made]
        offers = [
            self.create(100 * 10**6, Interval.MONTH, None, False),
            self.create(10**6, Interval.DAY, 5, False),
            self.create(30_500_000, Interval.MONTH, 3, True),
        ]
        for which in (0, 1):
            self.assign(which, offers[which], False)
        return multiple(*offers)

    @rule(
        target=offers,
        credits=amounts,
        interval=st.sampled_from(Interval),
        occurrences=st.sampled_from([None, 1, 2, 5]),
        accumulate=st.booleans(),
    )
    def create(self, credits: int, interval: Interval, occurrences: int | None, accumulate: bool) -> Offer:
        wanted = NewPlan("Pro", credits, interval, occurrences, accumulate)
        made = self.do(lambda key: self.room.plans.create(ORG, wanted, key))
        return Offer(credits, interval, occurrences, accumulate, id=made.id)

    @rule(offer=offers)
    def archive(self, offer: Offer) -> None:
        offer.active = False
        assert not self.do(lambda key: self.room.plans.archive(ORG, offer.id, key)).active

    @rule(which=whose, offer=offers, deferred=st.booleans())
    def assign(self, which: int, offer: Offer, deferred: bool) -> None:
        book = self.books[which]
        address = Address(book.account.id)
        answer = self.do(lambda key: self.room.plans.assign(ORG, address, offer.id, deferred=deferred, repeat=key))
        if not offer.active:
            assert answer == "plan_not_active"
            return
        if isinstance(answer, str):
            after_all_due = copy.deepcopy(book)
            after_all_due.end(self.now)
            assert (answer, deferred) == ("above_ceiling", False)
            assert after_all_due.balance + offer.credits > CEILING_MICRO
            return
        book.end(self.now)
        made = Subscription(book, offer, self.now, deferred, id=answer.assignment.id)
        book.subscriptions.append(made)
        self.subscriptions.append(made)
        book.catch_up(self.now)
        assert answer.balance_micro == book.balance
        assert self.seen(answer.assignment) == self.meant(made)

    @rule(which=whose, offer=offers, named=st.booleans())
    def unassign(self, which: int, offer: Offer, named: bool) -> None:
        book = self.books[which]
        address, plan_id = Address(book.account.id), offer.id if named else None
        answer = self.do(lambda key: self.room.plans.unassign(ORG, address, plan_id, key)).assignment
        current = book.subscriptions[-1] if book.subscriptions else None
        if current is None or not current.active(self.now) or plan_id not in (None, current.offer.id):
            assert answer is None
            return
        book.end(self.now)
        assert self.seen(answer) == self.meant(current)

    @rule(which=whose, amount=st.sampled_from([10**6, 50 * 10**6, CEILING_MICRO]))
    def top_up(self, which: int, amount: int) -> None:
        book = self.books[which]
        amount = min(amount, CEILING_MICRO - book.balance)
        if amount:
            self.room.run(self.room.ledger.post(ORG, Address(book.account.id), Posting(Type.CREDIT, amount, "Top-up")))
            book.enter("credit", amount, "Top-up")

    @rule(which=whose, part=parts)
    def spend(self, which: int, part: float) -> None:
        book = self.books[which]
        amount = int(book.available(self.now) * part)
        if amount:
            posting = Posting(Type.DEBIT, amount, "Call")
            self.room.run(self.room.ledger.post(ORG, Address(book.account.id), posting))
            book.spend(amount, "Call")

    @rule(which=whose, part=parts, seconds=st.sampled_from([60, 86_400]))
    def hold(self, which: int, part: float, seconds: int) -> None:
        book = self.books[which]
        amount = int(book.available(self.now) * part)
        if amount:
            made = self.room.run(self.room.ledger.reserve(ORG, Address(book.account.id), Hold(amount, seconds)))
            book.holds[made.id] = amount, made.expires_at_us

    @rule(which=whose, part=st.sampled_from([0, 0.5, 1]))
    def settle(self, which: int, part: float) -> None:
        book = self.books[which]
        for hold_id, (amount, expires_at) in list(book.holds.items())[-1:]:
            if self.now < expires_at:
                actual = int(amount * part)
                self.room.run(self.room.ledger.confirm(ORG, hold_id, actual, Terms()))
                del book.holds[hold_id]
                book.spend(actual, "Reservation confirmed")

    @rule(
        by=st.sampled_from([1, HOUR_US, DAY_US, DAY_US, 7 * DAY_US, 29 * DAY_US, 31 * DAY_US, 100 * DAY_US]),
    )
    def wait(self, by: int) -> None:
        self.room.clock.now += by

    @rule(
        which=whose,
        added=st.sampled_from([0, 0, 0, 50 * 10**6, CEILING_MICRO]),
        spent=parts,
        held=parts,
        late=st.sampled_from([-1, 0, 1, 60 * 10**6, 70 * DAY_US]),
        limit=st.sampled_from([1, 1_000]),
    )
    def end_a_period(self, which: int, added: int, spent: float, held: float, late: int, limit: int) -> None:
        """Adds, spends and holds right before a grant, and runs the job about the instant at which it is due."""
        for subscription in self.books[which].subscriptions[-1:]:
            if (next_at := subscription.next_at()) is not None:
                self.room.clock.now = max(self.now, next_at - 1)
                self.spend(which, spent)
                self.top_up(which, added)
                self.hold(which, held, 60)
                self.room.clock.now = max(self.now, next_at + late)
                self.run_job(limit)

    @rule(limit=st.sampled_from([1, 2, 7, 1_000]))
    def run_job(self, limit: int) -> None:
        granted = self.room.run(self.room.plans.grant_due(limit))
        for left in range(limit, -1, -1):
            due = [
                (at, order, subscription)
                for order, subscription in enumerate(self.subscriptions)
                if (at := subscription.next_at()) is not None and at <= self.now
            ]
            if left == 0 or not due:
                assert granted == limit - left
                return
            _, _, subscription = min(due)
            subscription.book.grant(subscription, self.now)

    @rule(crash=st.booleans())
    def open_again(self, crash: bool) -> None:
        if crash:  # what is on the disk at this moment is all that is left
            folder = Path(tempfile.mkdtemp(prefix="plans-model-", dir=MEMORY))
            for path in self.folder.iterdir():
                if not path.name.endswith("-shm"):
                    shutil.copy(path, folder)
        self.room.close()
        if crash:
            shutil.rmtree(self.folder)
            self.folder = self.room.folder = folder
        self.room.open()

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0, 10**6))
    def say_again(self, which: int) -> None:
        command, key, answer = self.told[which % len(self.told)]
        again = self.attempt(command, key)
        assert msgspec.json.encode(again) == msgspec.json.encode(answer)

    def seen(self, each: Any) -> tuple[Any, ...]:
        return (
            each.id,
            each.plan.id,
            each.active,
            each.started_at_us,
            each.expires_at_us,
            each.granted,
            each.next_grant_at_us,
        )

    def meant(self, each: Subscription) -> tuple[Any, ...]:
        return (
            each.id,
            each.offer.id,
            each.active(self.now),
            each.began_at,
            each.expires_at(),
            each.made,
            each.next_at(),
        )

    @invariant()
    def equal(self) -> None:
        for book in self.books:
            address = Address(book.account.id)
            entries = self.room.ledger.list_transactions(ORG, address, Slice(100_000)).rows
            said = [(e.type, e.amount_micro, e.balance_after_micro, e.description) for e in entries]
            assert said[::-1] == book.entries
            balances = self.room.ledger.standing(ORG, address).balances
            assert (balances.balance_micro, balances.reserved_micro) == (book.balance, book.held(self.now))
            assert 0 <= balances.reserved_micro <= balances.balance_micro <= CEILING_MICRO
            assignments = self.room.plans.list_assignments(ORG, address).rows
            assert [self.seen(each) for each in assignments][::-1] == [self.meant(s) for s in book.subscriptions]


TestPlansAgainstModel = PlansAgainstModel.TestCase
TestPlansAgainstModel.settings = settings(
    max_examples=400 if LONG else 50,
    stateful_step_count=60 if LONG else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
