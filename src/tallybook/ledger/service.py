"""The one way into the ledger: look up, ask the machine, append, commit, answer."""

from collections.abc import Collection, Mapping, Sequence

from tallybook.core.clock import Clock
from tallybook.core.errors import invalid
from tallybook.core.ids import dated_id
from tallybook.core.unit_of_work import Repeat, Writes, answered
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger import machine
from tallybook.ledger.errors import ExternalIdTaken, UnknownAccount, UnknownReservation
from tallybook.ledger.model import (
    HOLD_SECONDS_MAX,
    Account,
    Address,
    Cancellation,
    Confirmation,
    Hold,
    Listed,
    NewAccount,
    Posting,
    Reservation,
    Slice,
    Standing,
    Terms,
    Transaction,
)
from tallybook.ledger.store import Found, LedgerStore
from tallybook.ledger.verify import Verified, verify

_VERSION = 1
"""Of the outcomes kept for repeats."""


class LedgerService:
    """Accounts, transactions and reservations of orgs. Every write answers after its commit.

    With `repeat` a write's outcome, or its refusal, is kept and given again to repeats; a refusal is then a plain
    `Insufficient` or `Conflict` with the code and details of the one named here. `list_rows_max` bounds lists that are
    asked for without a page.
    """

    def __init__(self, store: LedgerStore, writes: Writes, clock: Clock, *, list_rows_max: int) -> None:
        self._store = store
        self._writes = writes
        self._clock = clock
        self._list_rows_max = list_rows_max

    async def create_account(self, org_id: str, wanted: NewAccount, repeat: Repeat | None = None) -> Account:
        """Raises `ExternalIdTaken`."""

        def effect(tx: Tx) -> Account:
            now_us = self._clock.now_us()
            if wanted.external_id is not None:
                holder = self._store.find_account(org_id, Address(external_id=wanted.external_id), tx)
                if holder is not None:
                    raise ExternalIdTaken(holder.id)
            account = Account(
                id=dated_id("acc", now_us),
                external_id=wanted.external_id,
                name=wanted.name,
                email=wanted.email,
                metadata=wanted.metadata,
                balance_micro=0,
                created_at_us=now_us,
                updated_at_us=now_us,
            )
            self._store.add_account(tx, org_id, account)
            return account

        return await answered(self._writes, repeat, effect, Account, version=_VERSION)

    async def post(self, org_id: str, address: Address, posting: Posting, repeat: Repeat | None = None) -> Transaction:
        """Adds or deducts credits. Without `repeat`, twice is twice.

        Raises `InvalidInput` (amount not above 0; no address, or two that disagree), `UnknownAccount`,
        `AboveCeiling`, `InsufficientCredits`.
        """
        _check_amount(posting.amount_micro)

        def effect(tx: Tx) -> Transaction:
            account = self.account_within(tx, org_id, address, self._clock.now_us())
            entry, _ = self.post_within(tx, org_id, account, posting)
            return entry

        return await answered(self._writes, repeat, effect, Transaction, version=_VERSION)

    async def reserve(self, org_id: str, address: Address, hold: Hold, repeat: Repeat | None = None) -> Reservation:
        """Holds credits until they are settled or the hold expires.

        Raises as `post`, and `InvalidInput` for seconds that are not 1 to 86 400.
        """

        def effect(tx: Tx) -> Reservation:
            return self.reserve_within(tx, org_id, address, hold)

        return await answered(self._writes, repeat, effect, Reservation, version=_VERSION)

    async def confirm(
        self, org_id: str, reservation_id: str, actual_micro: int, terms: Terms, repeat: Repeat | None = None
    ) -> Confirmation:
        """Debits the actual amount, once, and frees the hold. The same amount again: the first answer again.

        Raises `InvalidInput` (amount below 0), `UnknownReservation`, `AboveCeiling`, `NotPending`, `RefusedOverrun`,
        and `InsufficientCredits` when the hold has expired.
        """
        if actual_micro < 0:
            raise invalid("body", "actualAmount", msg="must not be below 0")

        def effect(tx: Tx) -> Confirmation:
            found = self.reservation_within(tx, org_id, reservation_id)
            return self.confirm_within(tx, org_id, found, actual_micro, terms)

        return await answered(self._writes, repeat, effect, Confirmation, version=_VERSION)

    async def cancel(self, org_id: str, reservation_id: str, repeat: Repeat | None = None) -> Cancellation:
        """Frees the hold; again, or after its expiry, it frees nothing more and closes the reservation.

        Raises `UnknownReservation`, and `NotPending` when it is confirmed.
        """

        def effect(tx: Tx) -> Cancellation:
            hold, account, _ = self.reservation_within(tx, org_id, reservation_id)
            change = machine.cancel(account, hold)
            if change is None:
                return Cancellation(hold, 0, account.balances)
            self._store.append_change(tx, org_id, account, hold, change)
            freed_micro = machine.freed_by(hold, change)
            return Cancellation(machine.changed(hold, change), freed_micro, account.balances.freed(freed_micro))

        return await answered(self._writes, repeat, effect, Cancellation, version=_VERSION)

    async def extend(self, org_id: str, reservation_id: str, seconds: int, repeat: Repeat | None = None) -> Reservation:
        """Lets a pending hold expire `seconds` from now.

        Raises `InvalidInput` (seconds that are not 1 to 86 400), `UnknownReservation`, `NotPending`.
        """
        _check_seconds(seconds)

        def effect(tx: Tx) -> Reservation:
            hold, account, _ = self.reservation_within(tx, org_id, reservation_id)
            change = machine.extend(account, hold, seconds)
            self._store.append_change(tx, org_id, account, hold, change)
            return machine.changed(hold, change)

        return await answered(self._writes, repeat, effect, Reservation, version=_VERSION)

    async def expire_due(self, limit: int) -> int:
        """Writes at most `limit` expiries of holds that are due, of any org; returns how many. Safe to repeat."""
        if not self._store.any_due(self._clock.now_us()):
            return 0
        return await self._writes.run(lambda tx: self._store.expire_oldest(tx, self._clock.now_us(), limit))

    def get_account(self, org_id: str, address: Address) -> Account:
        """Raises `InvalidInput` for no address or two that disagree, and `UnknownAccount`."""
        account = self._store.find_account(org_id, _named(address))
        if account is None:
            raise UnknownAccount
        _check_agreement(address, account.external_id)
        return account

    def standing(self, org_id: str, address: Address) -> Standing:
        """Balances by the clock; cheap enough for an event loop. Raises as `get_account`."""
        return self._standing(org_id, address, self._clock.now_us())

    def list_accounts(self, org_id: str, page: Slice | None = None) -> Listed[Account]:
        """Newest first. Without `page` all of them, from a snapshot of their own that ends with the last row.

        Raises `TooManyResults`, before the first row.
        """
        return self._store.list_accounts(org_id, page, self._list_rows_max)

    def list_reservations(
        self, org_id: str, address: Address, *, active_only: bool = False, page: Slice | None = None
    ) -> Listed[Reservation]:
        """As `list_accounts`; `active_only`: those that hold credits now. Raises as `get_account`, too."""
        account = self.standing(org_id, address)
        return self._store.list_reservations(org_id, account, page, self._list_rows_max, active_only=active_only)

    def list_transactions(
        self,
        org_id: str,
        address: Address | None,
        page: Slice,
        *,
        start_us: int | None = None,
        end_us: int | None = None,
    ) -> Listed[Transaction]:
        """Newest first, of one account or (`address` None) of all; created at `start_us <= instant < end_us`.

        Raises as `get_account`.
        """
        account = None if address is None else self.standing(org_id, address)
        return self._store.list_transactions(org_id, account, page, start_us=start_us, end_us=end_us)

    def reservations_of(self, org_id: str, transactions: list[Transaction]) -> dict[str, Reservation]:
        """The reservations that these transactions settled, by their ids."""
        now_us = self._clock.now_us()
        settled = (entry.reservation_id for entry in transactions if entry.reservation_id is not None)
        found = (self._store.find_reservation(org_id, each, now_us) for each in settled)
        return {each.reservation.id: each.reservation for each in found if each is not None}

    def verify(self, org_id: str) -> Verified:
        """Rebuilds balances and reservations from their facts. Takes long on a large org; holds up no writer."""
        with self._store.audit(org_id) as book:
            return verify(org_id, book)

    def account_within(self, tx: Tx, org_id: str, address: Address, now_us: int) -> Standing:
        """The account inside a commit. Raises as `get_account`."""
        return self._standing(org_id, address, now_us, tx)

    def post_within(self, tx: Tx, org_id: str, account: Standing, posting: Posting) -> tuple[Transaction, Standing]:
        """Adds or deducts credits (from 0) inside a commit; the account as it is after it.

        Raises `AboveCeiling`, `InsufficientCredits`.
        """
        entry = machine.post(account, posting, transaction_id=dated_id("txn", account.now_us))
        self._store.append_transaction(tx, org_id, account, entry)
        return entry, machine.after(account, entry)

    def reserve_within(self, tx: Tx, org_id: str, address: Address, hold: Hold) -> Reservation:
        """Holds credits inside a commit. Raises as `reserve`."""
        _check_amount(hold.amount_micro)
        _check_seconds(hold.seconds)
        account = self.account_within(tx, org_id, address, self._clock.now_us())
        reservation = machine.reserve(account, hold, reservation_id=dated_id("res", account.now_us))
        self._store.append_reservation(tx, org_id, account, reservation)
        return reservation

    def reservation_within(self, tx: Tx, org_id: str, reservation_id: str) -> Found:
        """The reservation, with its account, inside a commit. Raises `UnknownReservation`."""
        found = self._store.find_reservation(org_id, reservation_id, self._clock.now_us(), tx)
        if found is None:
            raise UnknownReservation
        return found

    def confirm_within(self, tx: Tx, org_id: str, found: Found, actual_micro: int, terms: Terms) -> Confirmation:
        """Debits the actual amount (from 0), once, inside a commit. Raises as `confirm`."""
        hold, account, settled = found
        debit = machine.confirm(account, hold, actual_micro, terms, transaction_id=dated_id("txn", account.now_us))
        if debit is not None:
            self._store.append_confirmation(tx, org_id, account, hold, debit)
            hold, settled = machine.confirmed(hold, debit), machine.balances_after(debit)
        return Confirmation(hold, machine.released_by(hold), settled or account.balances)

    def transactions_of(self, org_id: str, transaction_ids: Sequence[str]) -> list[Transaction]:
        """These transactions, in this order; what the org has not is left out."""
        found = (self._store.find_transaction(org_id, each) for each in transaction_ids)
        return [each for each in found if each is not None]

    def accounts_of(self, org_id: str, transaction_ids: Collection[str], tx: Tx | None = None) -> Mapping[str, str]:
        """The ids of the accounts of these transactions, by the transactions' ids; what the org has not is left out."""
        return self._store.find_accounts_of(org_id, transaction_ids, tx)

    def _standing(self, org_id: str, address: Address, now_us: int, tx: Tx | None = None) -> Standing:
        account = self._store.find_standing(org_id, _named(address), now_us, tx)
        if account is None:
            raise UnknownAccount
        _check_agreement(address, account.external_id)
        return account


def _named(address: Address) -> Address:
    if address.account_id is None and address.external_id is None:
        raise invalid("accountId", msg="an accountId or an externalId is needed")
    return address


def _check_agreement(address: Address, external_id: str | None) -> None:
    if address.external_id is not None and address.external_id != external_id:
        raise invalid("externalId", msg="names another account than accountId")


def _check_amount(amount_micro: int) -> None:
    if amount_micro <= 0:
        raise invalid("body", "amount", msg="must be above 0")


def _check_seconds(seconds: int) -> None:
    if not 1 <= seconds <= HOLD_SECONDS_MAX:
        raise invalid("body", "expiresInSeconds", msg=f"must be 1 to {HOLD_SECONDS_MAX}")
