"""The rulebook of the ledger, line by line. All amounts are microcredits, all instants microseconds."""

import pytest
from msgspec.structs import replace

from tallybook.core.errors import Refusal
from tallybook.ledger import machine
from tallybook.ledger.model import (
    CEILING_MICRO,
    Balances,
    Change,
    ChangeKind,
    Hold,
    Posting,
    Reservation,
    Standing,
    Status,
    Terms,
    Transaction,
    Type,
)

NOW = 1_000_000_000
HELD = Reservation(
    id="res_1",
    account_id="acc_1",
    external_id="user_1",
    amount_micro=100,
    status=Status.PENDING,
    created_at_us=NOW - 10,
    expires_at_us=NOW + 10,
    description=None,
    metadata='{"model":"gpt-4o"}',
)
EXPIRED = replace(HELD, status=Status.EXPIRED, expires_at_us=NOW - 1)
CLOSED = replace(EXPIRED, cancelled_at_us=NOW - 1)
CANCELLED = replace(HELD, status=Status.CANCELLED, cancelled_at_us=NOW - 1)
CONFIRMED = replace(HELD, status=Status.CONFIRMED, actual_micro=85, transaction_id="txn_0", confirmed_at_us=NOW - 1)
ALL_ALLOWED = Terms()
NO_OVERRUN = Terms(overrun_from_available=False)
NO_LATE = Terms(late_charged=False)


def account(balance: int, reserved: int = 0) -> Standing:
    return Standing(1, "acc_1", "user_1", Balances(balance, reserved), NOW)


def confirm(standing: Standing, hold: Reservation, actual: int, terms: Terms = ALL_ALLOWED) -> Transaction | None:
    return machine.confirm(standing, hold, actual, terms, transaction_id="txn_1")


@pytest.mark.parametrize(
    ("balance", "reserved", "type_", "amount", "after"),
    [
        (0, 0, Type.CREDIT, 1, 1),
        (1000, 150, Type.CREDIT, 50, 1050),
        (CEILING_MICRO - 1, 0, Type.CREDIT, 1, CEILING_MICRO),
        (0, 0, Type.CREDIT, CEILING_MICRO, CEILING_MICRO),
        (1000, 150, Type.DEBIT, 50, 950),
        (1000, 150, Type.DEBIT, 850, 150),
        (CEILING_MICRO, 0, Type.DEBIT, CEILING_MICRO, 0),
    ],
)
def test_a_posting_moves_the_balance(balance: int, reserved: int, type_: Type, amount: int, after: int) -> None:
    posting = Posting(type_, amount, "Top-up", '{"a":1}')
    entry = machine.post(account(balance, reserved), posting, transaction_id="txn_1")
    assert entry == Transaction(
        id="txn_1",
        account_id="acc_1",
        external_id="user_1",
        type=type_,
        amount_micro=amount,
        balance_after_micro=after,
        reserved_after_micro=reserved,
        description="Top-up",
        metadata='{"a":1}',
        reservation_id=None,
        created_at_us=NOW,
    )


@pytest.mark.parametrize(
    ("balance", "reserved", "type_", "amount", "code", "details"),
    [
        (0, 0, Type.DEBIT, 1, "insufficient_credits", {"required_micro": 1, "available_micro": 0}),
        (1000, 150, Type.DEBIT, 851, "insufficient_credits", {"required_micro": 851, "available_micro": 850}),
        (0, 0, Type.CREDIT, CEILING_MICRO + 1, "above_ceiling", {"ceiling_micro": CEILING_MICRO}),
        (1, 0, Type.CREDIT, CEILING_MICRO, "above_ceiling", {"ceiling_micro": CEILING_MICRO}),
        (1, 0, Type.DEBIT, CEILING_MICRO + 1, "above_ceiling", {"ceiling_micro": CEILING_MICRO}),
    ],
)
def test_a_posting_is_refused(
    balance: int, reserved: int, type_: Type, amount: int, code: str, details: dict[str, int]
) -> None:
    with pytest.raises(Refusal) as refusal:
        machine.post(account(balance, reserved), Posting(type_, amount), transaction_id="txn_1")
    assert (refusal.value.code, refusal.value.details) == (code, details)


def test_a_hold_begins_pending_and_ends_by_the_clock() -> None:
    wanted = Hold(850, 300, "chat", '{"a":1}')
    hold = machine.reserve(account(1000, 150), wanted, reservation_id="res_1")
    assert hold == Reservation(
        id="res_1",
        account_id="acc_1",
        external_id="user_1",
        amount_micro=850,
        status=Status.PENDING,
        created_at_us=NOW,
        expires_at_us=NOW + 300_000_000,
        description="chat",
        metadata='{"a":1}',
    )


@pytest.mark.parametrize(("amount", "code"), [(851, "insufficient_credits"), (CEILING_MICRO + 1, "above_ceiling")])
def test_a_hold_must_be_covered(amount: int, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        machine.reserve(account(1000, 150), Hold(amount, 300), reservation_id="res_1")
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("hold", "balance", "reserved", "actual", "balance_after", "reserved_after", "released", "late"),
    [
        # less, equal, zero, more within what is available
        (HELD, 1000, 100, 85, 915, 0, 15, False),
        (HELD, 1000, 100, 100, 900, 0, 0, False),
        (HELD, 1000, 100, 0, 1000, 0, 100, False),
        (HELD, 1000, 300, 800, 200, 200, 0, False),
        (HELD, 100, 100, 100, 0, 0, 0, False),
        # late: nothing is held any more, all of it comes from what is available
        (EXPIRED, 1000, 200, 85, 915, 200, 0, True),
        (EXPIRED, 1000, 200, 800, 200, 200, 0, True),
        (EXPIRED, 0, 0, 0, 0, 0, 0, True),
    ],
)
def test_a_confirmation_debits_the_actual_amount_and_frees_the_hold(
    hold: Reservation,
    balance: int,
    reserved: int,
    actual: int,
    balance_after: int,
    reserved_after: int,
    released: int,
    late: bool,
) -> None:
    debit = confirm(account(balance, reserved), hold, actual)
    assert debit is not None
    assert (debit.type, debit.amount_micro, debit.reservation_id) == (Type.DEBIT, actual, "res_1")
    assert machine.balances_after(debit) == Balances(balance_after, reserved_after)
    settled = machine.confirmed(hold, debit)
    assert (settled.status, settled.actual_micro, settled.transaction_id) == (Status.CONFIRMED, actual, "txn_1")
    assert (settled.confirmed_at_us, settled.late) == (NOW, late)
    assert machine.released_by(settled) == released


@pytest.mark.parametrize(
    ("hold", "balance", "reserved", "actual", "terms", "code", "details"),
    [
        (HELD, 1000, 300, 801, ALL_ALLOWED, "overrun", (100, 801, 700)),
        (HELD, 1000, 100, 101, NO_OVERRUN, "overrun", (100, 101, 0)),
        (EXPIRED, 1000, 0, 101, NO_OVERRUN, "overrun", (100, 101, 0)),
        (EXPIRED, 1000, 950, 51, ALL_ALLOWED, "insufficient_credits", (51, 50)),
        (EXPIRED, 1000, 0, 85, NO_LATE, "reservation_not_pending", ("expired", None)),
        (CLOSED, 1000, 0, 85, ALL_ALLOWED, "reservation_not_pending", ("expired", None)),
        (CANCELLED, 1000, 0, 85, ALL_ALLOWED, "reservation_not_pending", ("cancelled", None)),
        (CONFIRMED, 1000, 0, 86, ALL_ALLOWED, "reservation_not_pending", ("confirmed", 85)),
        (HELD, 1000, 100, CEILING_MICRO + 1, ALL_ALLOWED, "above_ceiling", (CEILING_MICRO,)),
    ],
)
def test_a_confirmation_is_refused(
    hold: Reservation,
    balance: int,
    reserved: int,
    actual: int,
    terms: Terms,
    code: str,
    details: tuple[int | str | None, ...],
) -> None:
    with pytest.raises(Refusal) as refusal:
        confirm(account(balance, reserved), hold, actual, terms)
    assert (refusal.value.code, tuple(refusal.value.details.values())) == (code, details)


def test_the_same_confirmation_again_adds_nothing() -> None:
    assert confirm(account(0), CONFIRMED, 85) is None
    assert confirm(account(0), CONFIRMED, 85, NO_LATE) is None


@pytest.mark.parametrize(("description", "shown"), [("chat", "chat"), (None, "Reservation confirmed")])
def test_a_debit_is_named_after_its_hold(description: str | None, shown: str) -> None:
    debit = confirm(account(100, 100), replace(HELD, description=description), 1)
    assert debit is not None
    assert (debit.description, debit.metadata) == (shown, HELD.metadata)


@pytest.mark.parametrize(
    ("hold", "kind", "status", "freed"),
    [
        (HELD, ChangeKind.CANCELLED, Status.CANCELLED, 100),
        (EXPIRED, ChangeKind.CLOSED, Status.EXPIRED, 0),
    ],
)
def test_a_cancel_frees_what_is_still_held(hold: Reservation, kind: ChangeKind, status: Status, freed: int) -> None:
    change = machine.cancel(account(100), hold)
    assert change == Change(kind, NOW)
    after = machine.changed(hold, change)
    assert (after.status, after.cancelled_at_us) == (status, NOW)
    assert machine.freed_by(hold, change) == freed


@pytest.mark.parametrize("hold", [CANCELLED, CLOSED])
def test_a_cancel_again_changes_nothing(hold: Reservation) -> None:
    assert machine.cancel(account(100), hold) is None


def test_a_confirmed_reservation_is_not_cancelled() -> None:
    with pytest.raises(Refusal) as refusal:
        machine.cancel(account(100), CONFIRMED)
    assert refusal.value.details == {"status": "confirmed", "actual_micro": 85}


def test_an_extension_counts_from_now() -> None:
    change = machine.extend(account(100), HELD, 60)
    assert change == Change(ChangeKind.EXTENDED, NOW, NOW + 10, NOW + 60_000_000)
    assert machine.changed(HELD, change) == replace(HELD, expires_at_us=NOW + 60_000_000)
    assert machine.freed_by(HELD, change) == 0


@pytest.mark.parametrize("hold", [EXPIRED, CLOSED, CANCELLED, CONFIRMED])
def test_only_a_pending_hold_is_extended(hold: Reservation) -> None:
    with pytest.raises(Refusal) as refusal:
        machine.extend(account(100), hold, 60)
    assert refusal.value.details["status"] == hold.status
