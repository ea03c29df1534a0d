"""The rulebook: an account's balances, a reservation, a command and an instant lead to facts, or to a refusal.

Pure functions. Each lists its refusals in order; behind them it must succeed. The instant is the account's `now_us`,
by which what they are given is judged already: holds past their expiry are not reserved, and a pending reservation
past its own is expired.
"""

from msgspec.structs import replace

from tallybook.core.time_window import SECOND_US
from tallybook.ledger.errors import AboveCeiling, InsufficientCredits, NotPending, RefusedOverrun
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

CONFIRMED = "Reservation confirmed"
"""What a debit is called whose reservation had no description."""


def post(account: Standing, posting: Posting, *, transaction_id: str) -> Transaction:
    """Raises `AboveCeiling`, `InsufficientCredits`."""
    before, amount = account.balances, posting.amount_micro
    if amount > CEILING_MICRO:
        raise AboveCeiling
    if posting.type is Type.CREDIT:
        if before.balance_micro + amount > CEILING_MICRO:
            raise AboveCeiling
        after = before.balance_micro + amount
    else:
        if amount > before.available_micro:
            raise InsufficientCredits(required_micro=amount, available_micro=before.available_micro)
        after = before.balance_micro - amount
    return Transaction(
        id=transaction_id,
        account_id=account.account_id,
        external_id=account.external_id,
        type=posting.type,
        amount_micro=amount,
        balance_after_micro=after,
        reserved_after_micro=before.reserved_micro,
        description=posting.description,
        metadata=posting.metadata,
        reservation_id=None,
        created_at_us=account.now_us,
    )


def reserve(account: Standing, hold: Hold, *, reservation_id: str) -> Reservation:
    """Raises `AboveCeiling`, `InsufficientCredits`."""
    available_micro = account.balances.available_micro
    if hold.amount_micro > CEILING_MICRO:
        raise AboveCeiling
    if hold.amount_micro > available_micro:
        raise InsufficientCredits(required_micro=hold.amount_micro, available_micro=available_micro)
    return Reservation(
        id=reservation_id,
        account_id=account.account_id,
        external_id=account.external_id,
        amount_micro=hold.amount_micro,
        status=Status.PENDING,
        created_at_us=account.now_us,
        expires_at_us=account.now_us + hold.seconds * SECOND_US,
        description=hold.description,
        metadata=hold.metadata,
    )


def confirm(
    account: Standing, hold: Reservation, actual_micro: int, terms: Terms, *, transaction_id: str
) -> Transaction | None:
    """The debit; None where this very confirmation was made before.

    Raises `AboveCeiling`, `NotPending`, `RefusedOverrun`, `InsufficientCredits` (late only).
    """
    if actual_micro > CEILING_MICRO:
        raise AboveCeiling
    if hold.status is Status.CONFIRMED and hold.actual_micro == actual_micro:
        return None
    late = hold.status is Status.EXPIRED
    if not (hold.status is Status.PENDING or (late and hold.cancelled_at_us is None and terms.late_charged)):
        raise NotPending(hold)
    held_micro = 0 if late else hold.amount_micro
    available_micro = account.balances.available_micro
    if actual_micro > hold.amount_micro and not terms.overrun_from_available:
        raise RefusedOverrun(held_micro=hold.amount_micro, actual_micro=actual_micro, available_micro=0)
    if actual_micro > held_micro + available_micro:
        if late:
            raise InsufficientCredits(required_micro=actual_micro, available_micro=available_micro)
        raise RefusedOverrun(held_micro=held_micro, actual_micro=actual_micro, available_micro=available_micro)
    return Transaction(
        id=transaction_id,
        account_id=account.account_id,
        external_id=account.external_id,
        type=Type.DEBIT,
        amount_micro=actual_micro,
        balance_after_micro=account.balances.balance_micro - actual_micro,
        reserved_after_micro=account.balances.reserved_micro - held_micro,
        description=hold.description or CONFIRMED,
        metadata=hold.metadata,
        reservation_id=hold.id,
        created_at_us=account.now_us,
    )


def cancel(account: Standing, hold: Reservation) -> Change | None:
    """None where it was cancelled or closed before. Raises `NotPending` when it is confirmed."""
    match hold.status:
        case Status.CONFIRMED:
            raise NotPending(hold)
        case Status.PENDING:
            return Change(ChangeKind.CANCELLED, account.now_us)
        case Status.EXPIRED if hold.cancelled_at_us is None:
            return Change(ChangeKind.CLOSED, account.now_us)
    return None


def extend(account: Standing, hold: Reservation, seconds: int) -> Change:
    """Raises `NotPending`."""
    if hold.status is not Status.PENDING:
        raise NotPending(hold)
    return Change(ChangeKind.EXTENDED, account.now_us, hold.expires_at_us, account.now_us + seconds * SECOND_US)


def confirmed(hold: Reservation, debit: Transaction) -> Reservation:
    """The reservation with the debit that settles it."""
    return replace(
        hold,
        status=Status.CONFIRMED,
        actual_micro=debit.amount_micro,
        transaction_id=debit.id,
        confirmed_at_us=debit.created_at_us,
        late=hold.status is Status.EXPIRED,
    )


def changed(hold: Reservation, change: Change) -> Reservation:
    """The reservation after the change."""
    match change.kind:
        case ChangeKind.EXTENDED:
            return replace(hold, expires_at_us=change.expires_after_us)
        case ChangeKind.CANCELLED:
            return replace(hold, status=Status.CANCELLED, cancelled_at_us=change.at_us)
        case ChangeKind.EXPIRED:
            return replace(hold, status=Status.EXPIRED)
        case ChangeKind.CLOSED:
            return replace(hold, cancelled_at_us=change.at_us)


def freed_by(hold: Reservation, change: Change) -> int:
    """Microcredits that the change gives back. An expiry has given them back before it is written."""
    return hold.amount_micro if change.kind is ChangeKind.CANCELLED else 0


def released_by(hold: Reservation) -> int:
    """Microcredits that a confirmed reservation gave back when it was settled."""
    return 0 if hold.late else max(0, hold.amount_micro - (hold.actual_micro or 0))


def balances_after(entry: Transaction) -> Balances:
    return Balances(entry.balance_after_micro, entry.reserved_after_micro)


def after(account: Standing, entry: Transaction) -> Standing:
    """The account as it is right after that transaction of its own."""
    return replace(account, balances=balances_after(entry))
