"""Between the ledger room and the wire of the credits dialect."""

import msgspec
from msgspec import UNSET, Raw

from tallybook.core.errors import invalid
from tallybook.core.time_window import instant_text, instant_text_or_none
from tallybook.http.credits.amounts import from_wire_amount, to_wire_amount
from tallybook.http.credits.reading import from_wire_metadata
from tallybook.http.credits.usage_told import RecordWanted
from tallybook.http.credits.wire import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    AccountShown,
    AccountWanted,
    Addressed,
    AddWanted,
    BalanceShown,
    Cancelled,
    Confirmed,
    DeductWanted,
    Paged,
    PagedOfAccount,
    Pagination,
    ReservationShown,
    ReservationWanted,
    TransactionShown,
)
from tallybook.http.query_params import span_of
from tallybook.ledger.model import (
    Account,
    Address,
    Cancellation,
    Confirmation,
    Hold,
    NewAccount,
    Posting,
    Reservation,
    Slice,
    Standing,
    Transaction,
    Type,
)
from tallybook.orgs.model import OrgSettings


class _Named(msgspec.Struct):
    operation: object = None


_DECODE_NAMED = msgspec.json.Decoder(_Named, float_hook=len).decode  # any number of a float's form is no name
_NULL = Raw(b"null")
_NO_METADATA = Raw(b"{}")


def to_address(wanted: Addressed | RecordWanted) -> Address:
    return Address(wanted.account_id, _external_id(wanted))


def to_new_account(wanted: AccountWanted) -> NewAccount:
    return NewAccount(_external_id(wanted), wanted.name, wanted.email, from_wire_metadata(wanted.metadata))


def to_posting(wanted: DeductWanted, kind: Type) -> Posting:
    """Notes where a payment came from, if it says so, in the metadata."""
    paid_by = wanted.payment_method if isinstance(wanted, AddWanted) else None
    metadata = from_wire_metadata(wanted.metadata, under={} if paid_by is None else {"paymentMethod": paid_by})
    return Posting(kind, from_wire_amount(wanted.amount, "amount"), wanted.description, metadata)


def to_hold(wanted: ReservationWanted, amount_micro: int, settings: OrgSettings) -> Hold:
    """For as long as the org has set unless the caller says how long. The operation names the debit that may follow."""
    named = {"operation": wanted.operation, "model": wanted.model}
    over = {name: text for name, text in named.items() if text is not None}
    metadata = from_wire_metadata(wanted.metadata, over=over)
    operation = wanted.operation or _operation_in(metadata)
    return Hold(amount_micro, wanted.expires_in_seconds or settings.reservation_seconds, operation, metadata)


def to_slice(asked: Paged | PagedOfAccount) -> Slice:
    return Slice(min(asked.limit or LIMIT_DEFAULT, LIMIT_MAX), asked.offset or 0)


def to_slice_if_asked(asked: Paged | PagedOfAccount) -> Slice | None:
    return None if asked.limit is None and asked.offset is None else to_slice(asked)


def to_start(text: str | None) -> int | None:
    """The instant from which `startDate` counts."""
    return None if text is None else span_of(text, "startDate").start_us


def to_end(text: str | None) -> int | None:
    """The first instant that `endDate` leaves out: a day counts whole, and an instant itself."""
    return None if text is None else span_of(text, "endDate").end_us


def account_shown(account: Account, org_id: str) -> AccountShown:
    return AccountShown(
        id=account.id,
        developer_id=f"dev_{org_id}",
        external_id=account.external_id,
        name=account.name,
        email=account.email,
        balance=to_wire_amount(account.balance_micro),
        metadata=_raw(account.metadata, _NULL),
        created_at=instant_text(account.created_at_us),
        updated_at=instant_text(account.updated_at_us),
    )


def balance_shown(standing: Standing) -> BalanceShown:
    balances = standing.balances
    return BalanceShown(
        standing.account_id,
        standing.external_id,
        to_wire_amount(balances.balance_micro),
        to_wire_amount(balances.reserved_micro),
        to_wire_amount(balances.available_micro),
    )


def transaction_shown(transaction: Transaction) -> TransactionShown:
    return TransactionShown(
        id=transaction.id,
        account_id=transaction.account_id,
        external_id=transaction.external_id,
        type=transaction.type.value,
        amount=to_wire_amount(transaction.amount_micro),
        description=transaction.description,
        balance_after=to_wire_amount(transaction.balance_after_micro),
        metadata=_raw(transaction.metadata, _NO_METADATA),
        created_at=instant_text(transaction.created_at_us),
        reservation_id=transaction.reservation_id,
    )


def reservation_shown(reservation: Reservation) -> ReservationShown:
    return ReservationShown(
        id=reservation.id,
        account_id=reservation.account_id,
        external_id=reservation.external_id,
        amount=to_wire_amount(reservation.amount_micro),
        status=reservation.status.value,
        created_at=instant_text(reservation.created_at_us),
        expires_at=instant_text(reservation.expires_at_us),
        metadata=_raw(reservation.metadata, _NO_METADATA),
        actual_amount=_amount_or_null(reservation.actual_micro),
        transaction_id=reservation.transaction_id,
        confirmed_at=instant_text_or_none(reservation.confirmed_at_us),
        cancelled_at=instant_text_or_none(reservation.cancelled_at_us),
        late=reservation.late,
    )


def confirmed(answer: Confirmation, usage_uid: str | None = None) -> Confirmed:
    reservation, balances = answer.reservation, answer.balances
    return Confirmed(
        reservation_id=reservation.id,
        transaction_id=reservation.transaction_id,
        account_id=reservation.account_id,
        external_id=reservation.external_id,
        reserved_amount=to_wire_amount(reservation.amount_micro),
        actual_amount=_amount_or_null(reservation.actual_micro),
        released_amount=to_wire_amount(answer.released_micro),
        late=reservation.late,
        usage_id=UNSET if usage_uid is None else f"usage_{usage_uid}",
        balance=to_wire_amount(balances.balance_micro),
        reserved=to_wire_amount(balances.reserved_micro),
        available=to_wire_amount(balances.available_micro),
    )


def cancelled(answer: Cancellation) -> Cancelled:
    reservation, balances = answer.reservation, answer.balances
    return Cancelled(
        reservation_id=reservation.id,
        account_id=reservation.account_id,
        external_id=reservation.external_id,
        status=reservation.status.value,
        released_amount=to_wire_amount(answer.released_micro),
        balance=to_wire_amount(balances.balance_micro),
        reserved=to_wire_amount(balances.reserved_micro),
        available=to_wire_amount(balances.available_micro),
        reservation=reservation_shown(reservation),
    )


def pagination(page: Slice, shown: int, total: int) -> Pagination:
    return Pagination(page.limit, page.offset, total, page.offset + shown < total)


def _external_id(wanted: Addressed | AccountWanted | RecordWanted) -> str | None:
    spelled, otherwise = wanted.external_id, wanted.external_id_too
    if spelled is not None and otherwise not in (None, spelled):
        raise invalid("externalId", msg="external_id says something else")
    return spelled or otherwise


def _operation_in(metadata: str | None) -> str | None:
    operation = None if metadata is None else _DECODE_NAMED(metadata).operation
    return operation if isinstance(operation, str) else None


def _amount_or_null(micro: int | None) -> Raw:
    return _NULL if micro is None else to_wire_amount(micro)


def _raw(text: str | None, absent: Raw) -> Raw:
    return absent if text is None else Raw(text.encode())
