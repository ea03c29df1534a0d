"""Rebuilds the cached figures of an org from its facts, and says where the two first differ.

Of each account: the chain of its transactions, whose last balance is the account's; the life of each reservation from
its creation, changes and debit; the sum of what is pending, which is the account's `reserved`. Rows are gone through
once, as they come.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tallybook.ledger.machine import changed, confirmed
from tallybook.ledger.model import CEILING_MICRO, Change, ChangeKind, Reservation, Status, Transaction, Type


class Life(NamedTuple):
    """A reservation as stored, with the facts it must follow from. `debit` may belong to another account: a fault."""

    stored: Reservation
    changes: tuple[Change, ...]
    debit: Transaction | None


class Figures(NamedTuple):
    """What is cached of an account; None where there is nothing.

    `reserved_micro` is as of `updated_at_us`: without holds that had expired by then, written as expired or not.
    """

    balance_micro: int | None
    reserved_micro: int | None
    updated_at_us: int | None
    transactions: int | None
    reservations: int | None


class AccountBook(NamedTuple):
    """One account: its figures and the facts behind them, transactions in their order, reservations one by one."""

    account_id: str
    figures: Figures
    transactions: Iterator[Transaction]
    reservations: Iterator[Life]


class Book(NamedTuple):
    """All of an org. The totals count every row that names the org, whatever account it names."""

    accounts: Iterator[AccountBook]
    transactions_total: int
    reservations_total: int
    changes_total: int


Figure = int | str | bool | None


@dataclass(frozen=True)
class Difference:
    """`what` differs for `subject`, the id of an account, a transaction, a reservation or the org."""

    account_id: str | None
    subject: str
    what: str
    expected: Figure
    found: Figure


@dataclass(frozen=True)
class Verified:
    """What was gone through; up to the first difference, if there is one."""

    accounts: int
    transactions: int
    reservations: int
    difference: Difference | None


class _Differs(Exception):
    def __init__(self, subject: str, what: str, expected: Figure, found: Figure) -> None:
        self.facts = (subject, what, expected, found)


def verify(org_id: str, book: Book) -> Verified:
    accounts = transactions = reservations = changes = 0
    account_id: str | None = None
    try:
        for account in book.accounts:
            account_id = account.account_id
            entries, debits = _check_transactions(account)
            lives = _check_reservations(account)
            _same(account_id, "confirmed reservations with a debit", debits, lives.confirmed)
            accounts, transactions = accounts + 1, transactions + entries
            reservations, changes = reservations + lives.reservations, changes + lives.changes
        account_id = None
        _same(org_id, "transactions of its accounts", book.transactions_total, transactions)
        _same(org_id, "reservations of its accounts", book.reservations_total, reservations)
        _same(org_id, "changes of its reservations", book.changes_total, changes)
    except _Differs as found:
        return Verified(accounts, transactions, reservations, Difference(account_id, *found.facts))
    return Verified(accounts, transactions, reservations, None)


def _check_transactions(account: AccountBook) -> tuple[int, int]:
    """How many there are, and how many of them settle reservations."""
    balance = last_us = entries = debits = 0
    for entry in account.transactions:
        entries += 1
        if entry.reservation_id is not None:
            debits += 1
            _same(entry.id, "type", Type.DEBIT, entry.type)
        balance += entry.amount_micro if entry.type is Type.CREDIT else -entry.amount_micro
        _same(entry.id, "balance_after", balance, entry.balance_after_micro)
        _true(entry.id, "0 <= reserved_after <= balance_after <= ceiling", _sound(balance, entry.reserved_after_micro))
        _true(entry.id, "instant not before that of the transaction before", last_us <= entry.created_at_us)
        last_us = entry.created_at_us
    _same(account.account_id, "balance", balance, account.figures.balance_micro)
    _same(account.account_id, "transactions", entries, account.figures.transactions)
    return entries, debits


class _Lives(NamedTuple):
    reservations: int
    confirmed: int
    changes: int


def _check_reservations(account: AccountBook) -> _Lives:
    """How many there are, how many of them are confirmed, and their changes."""
    reservations = settled = changes = reserved = 0
    last = ""
    for life in account.reservations:
        stored = life.stored
        _true(stored.id, "one debit", stored.id != last)
        rebuilt = _rebuilt(account.account_id, life)
        for what in ("status", "expires_at_us", "cancelled_at_us", "late"):
            _same(stored.id, what, getattr(rebuilt, what), getattr(stored, what))
        if rebuilt.status is Status.PENDING and rebuilt.expires_at_us > (account.figures.updated_at_us or 0):
            reserved += rebuilt.amount_micro
        reservations += 1
        settled += rebuilt.status is Status.CONFIRMED
        changes += len(life.changes)
        last = stored.id
    _same(account.account_id, "reserved", reserved, account.figures.reserved_micro)
    _same(account.account_id, "reservations", reservations, account.figures.reservations)
    _true(account.account_id, "0 <= reserved <= balance", _sound(account.figures.balance_micro or 0, reserved))
    return _Lives(reservations, settled, changes)


def _rebuilt(account_id: str, life: Life) -> Reservation:
    """The reservation as its facts have it."""
    stored = life.stored
    state = Reservation(
        id=stored.id,
        account_id=stored.account_id,
        external_id=stored.external_id,
        amount_micro=stored.amount_micro,
        status=Status.PENDING,
        created_at_us=stored.created_at_us,
        expires_at_us=_first_expiry(life),
        description=stored.description,
        metadata=stored.metadata,
    )
    for change in life.changes:
        _true(stored.id, f"{change.kind} while {state.status}", _may_follow(state, change))
        state = changed(state, change)
    if life.debit is None:
        return state
    _same(stored.id, "account of its debit", account_id, life.debit.account_id)
    open_still = state.status is Status.PENDING or (state.status is Status.EXPIRED and state.cancelled_at_us is None)
    _true(stored.id, f"debit while {state.status}", open_still)
    return confirmed(state, life.debit)


def _first_expiry(life: Life) -> int:
    for change in life.changes:
        if change.expires_before_us is not None:
            return change.expires_before_us
    return life.stored.expires_at_us


def _may_follow(state: Reservation, change: Change) -> bool:
    match change.kind:
        case ChangeKind.EXTENDED:
            return state.status is Status.PENDING and change.expires_before_us == state.expires_at_us
        case ChangeKind.CANCELLED:
            return state.status is Status.PENDING
        case ChangeKind.EXPIRED:
            return state.status is Status.PENDING and change.at_us == state.expires_at_us
        case ChangeKind.CLOSED:
            return state.status is Status.EXPIRED and state.cancelled_at_us is None


def _sound(balance: int, reserved: int) -> bool:
    return 0 <= reserved <= balance <= CEILING_MICRO


def _true(subject: str, what: str, holds: bool) -> None:
    _same(subject, what, True, holds)


def _same(subject: str, what: str, expected: Figure, found: Figure) -> None:
    if expected != found:
        raise _Differs(subject, what, expected, found)
