"""What the ledger keeps: accounts, their transactions, and reservations with what became of them.

Amounts are integers of microcredits (1e-6 credit), instants microseconds since 1970, UTC. `metadata` is the text of a
JSON object, kept and given back as it was sent; the room never looks into it.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

CEILING_MICRO = 8_589_934_591_999_999
"""Largest amount and balance: up to here a double still carries six decimals."""

HOLD_SECONDS_MAX = 86_400
"""How far ahead a hold may expire."""

Row = TypeVar("Row")


class Type(StrEnum):
    CREDIT = "credit"
    DEBIT = "debit"


class Status(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Address(msgspec.Struct, frozen=True):
    """Names an account by the server's id, the caller's own, or both, which must then agree."""

    account_id: str | None = None
    external_id: str | None = None


class NewAccount(msgspec.Struct, frozen=True):
    external_id: str | None = None
    name: str | None = None
    email: str | None = None
    metadata: str | None = None


class Account(msgspec.Struct, frozen=True):
    """`updated_at_us` is the instant of its last change; those of an account never fall."""

    id: str
    external_id: str | None
    name: str | None
    email: str | None
    metadata: str | None
    balance_micro: int
    created_at_us: int
    updated_at_us: int


class Balances(msgspec.Struct, frozen=True):
    """`0 <= reserved <= balance`, always. Holds past their expiry are not reserved."""

    balance_micro: int
    reserved_micro: int

    @property
    def available_micro(self) -> int:
        return self.balance_micro - self.reserved_micro

    def freed(self, amount_micro: int) -> "Balances":
        """With that much less of it reserved."""
        return Balances(self.balance_micro, self.reserved_micro - amount_micro)


class Standing(msgspec.Struct, frozen=True):
    """An account as commands and balance reads see it, at one instant.

    `now_us` is the clock, but never before the account's last change: a clock that is set back must not bring expired
    holds back to life. `row` is where the store keeps the account and means nothing elsewhere.
    """

    row: int
    account_id: str
    external_id: str | None
    balances: Balances
    now_us: int


class Posting(msgspec.Struct, frozen=True):
    """A credit or debit somebody asks for; `amount_micro` above 0."""

    type: Type
    amount_micro: int
    description: str | None = None
    metadata: str | None = None


class Transaction(msgspec.Struct, frozen=True):
    """One line of the ledger, never changed. The balances are those right after it."""

    id: str
    account_id: str
    external_id: str | None
    type: Type
    amount_micro: int
    balance_after_micro: int
    reserved_after_micro: int
    description: str | None
    metadata: str | None
    reservation_id: str | None
    created_at_us: int


class Hold(msgspec.Struct, frozen=True):
    """Credits somebody asks to hold for `seconds` (1 to 86 400) from now.

    `description` will be that of the debit (the dialect takes it from the operation); None: the room's own words.
    """

    amount_micro: int
    seconds: int
    description: str | None = None
    metadata: str | None = None


class Reservation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Held credits and what became of them.

    `cancelled_at_us` with the status `expired`: a cancel closed it after its expiry, and no late confirmation may
    follow. `late`: confirmed after its expiry.
    """

    id: str
    account_id: str
    external_id: str | None
    amount_micro: int
    status: Status
    created_at_us: int
    expires_at_us: int
    description: str | None
    metadata: str | None
    actual_micro: int | None = None
    transaction_id: str | None = None
    confirmed_at_us: int | None = None
    cancelled_at_us: int | None = None
    late: bool = False


class ChangeKind(StrEnum):
    EXTENDED = "extended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CLOSED = "closed"


class Change(msgspec.Struct, frozen=True):
    """What became of a reservation, other than its confirmation, whose fact is the debit.

    An expiry has the reservation's `expires_at_us` as its instant, and is written some time after it. `closed` is the
    cancel of an expired one. Only an extension has the two expiries.
    """

    kind: ChangeKind
    at_us: int
    expires_before_us: int | None = None
    expires_after_us: int | None = None


class Terms(msgspec.Struct, frozen=True):
    """What an org lets a confirmation do: the settings `late_confirm = charge` and `overrun = available`."""

    late_charged: bool = True
    overrun_from_available: bool = True


class Confirmation(msgspec.Struct, frozen=True):
    """`released_micro`: what the hold gave back beyond the actual amount; 0 for a late one, which held nothing."""

    reservation: Reservation
    released_micro: int
    balances: Balances


class Cancellation(msgspec.Struct, frozen=True):
    """`released_micro` is 0 where nothing was held any more."""

    reservation: Reservation
    released_micro: int
    balances: Balances


class Slice(msgspec.Struct, frozen=True):
    """A page of a list."""

    limit: int
    offset: int = 0


class Listed(msgspec.Struct, Generic[Row], frozen=True):
    """Rows of one snapshot, to be gone through once; `total` counts those of all pages."""

    rows: Iterator[Row]
    total: int
