"""What plans ask of a disk."""

from collections.abc import Collection
from typing import NamedTuple, Protocol

from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger.model import Listed, Slice, Standing
from tallybook.plans.model import Assignment, Grant, Plan


class Due(NamedTuple):
    """An assignment whose next grant is due, since `at_us`."""

    org_id: str
    assignment: Assignment
    at_us: int


class PlanStore(Protocol):
    """Plans, assignments and grants; grants are only ever added.

    Reads see the newest commit, or with `transaction` what it has done so far, and judge what is active by the
    account's instant.
    """

    def find_plan(self, org_id: str, plan_id: str, transaction: Tx | None = None) -> Plan | None: ...

    def add_plan(self, transaction: Tx, org_id: str, plan: Plan) -> None:
        """Adds a plan whose id is new."""
        ...

    def replace_plan(self, transaction: Tx, org_id: str, plan: Plan) -> None:
        """Keeps `active` and `updated_at_us`; all else of a plan stays as it was added."""
        ...

    def list_plans(self, org_id: str, page: Slice | None, rows_max: int) -> Listed[Plan]:
        """Newest first; without `page` all. Raises `TooManyResults` above `rows_max`."""
        ...

    def find_open(self, transaction: Tx, org_id: str, account: Standing) -> Assignment | None:
        """The account's assignment that nobody ended; its last period may be over."""
        ...

    def list_assignments(self, org_id: str, account: Standing, page: Slice | None, rows_max: int) -> Listed[Assignment]:
        """As `list_plans`."""
        ...

    def add_assignment(self, transaction: Tx, org_id: str, account: Standing, assignment: Assignment) -> None:
        """Adds an assignment whose id is new, to an account without an open one."""
        ...

    def end_assignment(self, transaction: Tx, org_id: str, assignment: Assignment) -> None:
        """Keeps `expires_at_us`; no grant will follow."""
        ...

    def append_grant(self, transaction: Tx, org_id: str, grant: Grant, assignment: Assignment) -> None:
        """Adds a grant whose number is new, and keeps `granted` and `next_grant_at_us` as they are after it."""
        ...

    def last_grant(self, transaction: Tx, org_id: str, assignment: Assignment) -> Grant:
        """The newest grant of an assignment that has one."""
        ...

    def debited_since(self, transaction: Tx, org_id: str, account: Standing, transaction_id: str) -> int:
        """Microcredits that the account's transactions after that one took from it."""
        ...

    def find_due(self, transaction: Tx, now_us: int, passed_over: Collection[str] = ()) -> Due | None:
        """The assignment, of any org, whose next grant is due longest, but for those of these ids."""
        ...

    def oldest_due_us(self) -> int | None:
        """The instant at which the next grant of any assignment is or was due."""
        ...
