"""Plans: so many credits per interval, granted by the server to the accounts that are put on them.

Accounts, credits and records are as in `ledger.py`.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from tallybook.sdk.ledger import Credits
from tallybook.sdk.resource import Record, Resource, without_none

Interval = Literal["1d", "week", "month"]


class Plans(Resource):
    def create(
        self,
        name: str,
        amount: Credits,
        interval: Interval,
        *,
        occurrences: int | None = None,
        accumulate: bool = True,
        active: bool = True,
        description: str | None = None,
        price: Decimal | int | None = None,
    ) -> Record:
        """A plan of `amount` credits per interval, `occurrences` times (None: without end).

        Unless it accumulates, unused credits expire when new ones come. `price` is kept and shown, nothing more.
        """
        wanted = without_none(occurrences=occurrences, description=description, price=price)
        wanted |= {"name": name, "amount": amount, "interval": interval}
        plan: Record = self._write(
            "POST", "/v1/plans/create", {**wanted, "accumulate": accumulate, "markAsActive": active}
        )["plan"]
        return plan

    def all(self) -> Iterator[Record]:
        """Every plan, newest first, archived ones too."""
        return self._offset_pages("/v1/plans", "plans", {})

    def archive(self, plan_id: str) -> Record:
        """Lets no further account onto the plan; those on it are granted on."""
        plan: Record = self._write("POST", "/v1/plans/archive", {"planId": plan_id})["plan"]
        return plan

    def assign(
        self,
        plan_id: str,
        *,
        account_id: str | None = None,
        external_id: str | None = None,
        deferred: bool = False,
    ) -> Record:
        """Puts the account on the plan, in place of the one it was on: `accountPlan`, and the `balance` after it.

        The first grant is made at once, or `deferred` by one interval.
        """
        wanted = without_none(accountId=account_id, externalId=external_id, planId=plan_id)
        return self._write(
            "POST", "/v1/accounts/plans/assign", {**wanted, "startMode": "deferred" if deferred else "immediate"}
        )

    def unassign(
        self, *, account_id: str | None = None, external_id: str | None = None, plan_id: str | None = None
    ) -> Record | None:
        """Ends the account's assignment, if it has one and it is of that plan. Takes no credits back."""
        wanted = without_none(accountId=account_id, externalId=external_id, planId=plan_id)
        ended: Record | None = self._write("POST", "/v1/accounts/plans/unassign", wanted)["accountPlan"]
        return ended

    def of(self, *, account_id: str | None = None, external_id: str | None = None) -> Iterator[Record]:
        """The assignments of an account, newest first, past ones too."""
        query = without_none(accountId=account_id, externalId=external_id)
        return self._offset_pages("/v1/accounts/plans", "plans", query)
