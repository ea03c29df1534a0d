"""What the ledger asks of a disk."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger.model import (
    Account,
    Address,
    Balances,
    Change,
    Listed,
    Reservation,
    Slice,
    Standing,
    Transaction,
)
from tallybook.ledger.verify import Book


class Found(NamedTuple):
    """A reservation as the clock sees it, with its account. `settled`: the balances right after its debit, if any."""

    reservation: Reservation
    account: Standing
    settled: Balances | None


class LedgerStore(Protocol):
    """Accounts, transactions, reservations and their changes, which are only ever added.

    Reads see the newest commit, or with `transaction` what it has done so far. They judge expiries by `now_us`, or by
    the account's last change where the clock is behind it. The appends take the account as it is right before, and
    keep its balances in step as of its `now_us`: what has expired by then is freed for good.
    """

    def find_account(self, org_id: str, address: Address, transaction: Tx | None = None) -> Account | None:
        """By the account id where the address has one, else by the external id."""
        ...

    def find_standing(
        self, org_id: str, address: Address, now_us: int, transaction: Tx | None = None
    ) -> Standing | None:
        """As `find_account`."""
        ...

    def find_reservation(
        self, org_id: str, reservation_id: str, now_us: int, transaction: Tx | None = None
    ) -> Found | None: ...

    def find_transaction(self, org_id: str, transaction_id: str) -> Transaction | None: ...

    def find_accounts_of(
        self, org_id: str, transaction_ids: Collection[str], transaction: Tx | None = None
    ) -> Mapping[str, str]:
        """The ids of the accounts of these transactions, by the transactions' ids; what the org has not is left out."""
        ...

    def add_account(self, transaction: Tx, org_id: str, account: Account) -> None:
        """Adds an account whose id and external id are new."""
        ...

    def append_transaction(self, transaction: Tx, org_id: str, account: Standing, entry: Transaction) -> None: ...

    def append_reservation(self, transaction: Tx, org_id: str, account: Standing, reservation: Reservation) -> None: ...

    def append_confirmation(
        self, transaction: Tx, org_id: str, account: Standing, hold: Reservation, debit: Transaction
    ) -> None:
        """`hold` as it was before the debit; if it has expired, its expiry is written too."""
        ...

    def append_change(self, transaction: Tx, org_id: str, account: Standing, hold: Reservation, change: Change) -> None:
        """As `append_confirmation`."""
        ...

    def expire_oldest(self, transaction: Tx, now_us: int, limit: int) -> int:
        """Writes the expiry of at most `limit` holds that are due, of any org, those due longest first.

        Returns how many. A write that meets an expired hold has freed its credits already.
        """
        ...

    def any_due(self, now_us: int) -> bool: ...

    def list_accounts(self, org_id: str, page: Slice | None, rows_max: int) -> Listed[Account]:
        """Newest first; without `page` all, from a snapshot of its own. Raises `TooManyResults` above `rows_max`."""
        ...

    def list_reservations(
        self, org_id: str, account: Standing, page: Slice | None, rows_max: int, *, active_only: bool
    ) -> Listed[Reservation]: ...

    def list_transactions(
        self, org_id: str, account: Standing | None, page: Slice, *, start_us: int | None, end_us: int | None
    ) -> Listed[Transaction]:
        """Of one account or of the org; created at `start_us <= instant < end_us`."""
        ...

    def audit(self, org_id: str) -> AbstractContextManager[Book]:
        """All that is kept of an org, in one snapshot that holds up nobody."""
        ...
