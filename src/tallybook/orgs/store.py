"""What the orgs room asks of a disk."""

from typing import Protocol

from tallybook.core.unit_of_work import Record, Transaction
from tallybook.orgs.model import Org


class OrgStore(Protocol):
    """Orgs and the dated facts of their settings.

    Reads see the newest commit, or with `transaction` what it has done so far.
    """

    def find(self, org_id: str, transaction: Transaction | None = None) -> Org | None: ...

    def list_orgs(self, *, after: str, limit: int) -> list[Org]:
        """At most `limit` orgs by rising id (code points), from those after the id `after` ("" for all)."""
        ...

    def add(self, transaction: Transaction, org: Org) -> None:
        """Adds an org whose id is new."""
        ...

    def settings_in_force(self, org_id: str, transaction: Transaction | None = None) -> Record:
        """The newest fact of each setting that was ever set: plain value, or None where it was reset."""
        ...

    def append_settings(
        self, transaction: Transaction, org_id: str, values: Record, *, set_at_us: int, set_by: str
    ) -> None: ...
