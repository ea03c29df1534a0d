"""Accounts, credits, transactions and reservations.

An account is named by `account_id`, `external_id` or both. Credits go in as `Decimal` or int with at most six decimals,
and come back as exact numbers. Records are as the server writes them. Refused for want of credits:
`InsufficientCredits`.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tallybook.sdk.resource import Record, Resource, without_none

Credits = Decimal | int


class Accounts(Resource):
    def create(
        self,
        *,
        name: str | None = None,
        external_id: str | None = None,
        email: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Record:
        """Raises `Conflict` when another account has that `external_id`."""
        wanted = without_none(name=name, externalId=external_id, email=email, metadata=metadata)
        account: Record = self._write("POST", "/v1/accounts/create", wanted)["account"]
        return account

    def all(self) -> Iterator[Record]:
        """Every account, newest first."""
        return self._offset_pages("/v1/accounts", "accounts", {})

    def get(self, *, account_id: str | None = None, external_id: str | None = None) -> Record:
        return self._read("/v1/accounts/get", _address(account_id, external_id))

    def balance(self, *, account_id: str | None = None, external_id: str | None = None) -> Record:
        """`balance`, `reserved` and `available` credits."""
        return self._read("/v1/accounts/balance", _address(account_id, external_id))


class CreditMoves(Resource):
    def add(
        self,
        amount: Credits,
        *,
        account_id: str | None = None,
        external_id: str | None = None,
        description: str | None = None,
        payment_method: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Record:
        """The balance after it, and the id of the transaction."""
        wanted = without_none(amount=amount, description=description, paymentMethod=payment_method, metadata=metadata)
        return self._write("POST", "/v1/accounts/credits/add", {**_address(account_id, external_id), **wanted})

    def deduct(
        self,
        amount: Credits,
        *,
        account_id: str | None = None,
        external_id: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Record:
        """The balance after it, and the id of the transaction. Held credits are not touched."""
        wanted = without_none(amount=amount, description=description, metadata=metadata)
        return self._write("POST", "/v1/accounts/credits/deduct", {**_address(account_id, external_id), **wanted})


class Transactions(Resource):
    def all(
        self,
        *,
        account_id: str | None = None,
        external_id: str | None = None,
        start: str | None = None,
        end: str | None = None,
    ) -> Iterator[Record]:
        """Ledger entries, newest first, of one account or of the org; `start` and `end` are dates or instants and
        both count."""
        query = {**_address(account_id, external_id), **without_none(startDate=start, endDate=end)}
        return self._offset_pages("/v1/transactions", "items", query)


class Reservations(Resource):
    def create(
        self,
        amount: Credits,
        *,
        account_id: str | None = None,
        external_id: str | None = None,
        operation: str | None = None,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        seconds: int | None = None,
    ) -> Record:
        """Holds credits for `seconds`, by default as long as the org has set."""
        wanted = without_none(
            amount=amount, operation=operation, model=model, metadata=metadata, expiresInSeconds=seconds
        )
        answer = self._write("POST", "/v1/reservations/create", {**_address(account_id, external_id), **wanted})
        reservation: Record = answer["reservation"]
        return reservation

    def all(
        self, *, account_id: str | None = None, external_id: str | None = None, active_only: bool = False
    ) -> Iterator[Record]:
        """The holds of one account, newest first; `active_only`: those that hold credits now."""
        address = _address(account_id, external_id)
        if not active_only:
            return self._offset_pages("/v1/reservations", "reservations", address)
        # Holds leave this list as they are settled, so it is read in one piece.
        return iter(self._read("/v1/reservations", {**address, "activeOnly": "true"})["reservations"])

    def confirm(self, reservation_id: str, actual_amount: Credits) -> Record:
        """Debits the actual amount once, and frees the rest; again with the same amount: the first answer."""
        wanted = {"reservationId": reservation_id, "actualAmount": actual_amount}
        return self._write("POST", "/v1/reservations/confirm", wanted)

    def cancel(self, reservation_id: str) -> Record:
        return self._write("POST", "/v1/reservations/cancel", {"reservationId": reservation_id})

    def extend(self, reservation_id: str, seconds: int) -> Record:
        """Lets a pending hold expire `seconds` from now."""
        wanted = {"reservationId": reservation_id, "expiresInSeconds": seconds}
        reservation: Record = self._write("POST", "/v1/reservations/extend", wanted)["reservation"]
        return reservation


def _address(account_id: str | None, external_id: str | None) -> Record:
    return without_none(accountId=account_id, externalId=external_id)
