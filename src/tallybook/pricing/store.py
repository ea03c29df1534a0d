"""What the pricing room asks of a disk."""

from collections.abc import Sequence
from typing import Protocol

from tallybook.core.unit_of_work import Transaction
from tallybook.pricing.catalogue.names import ProviderNames
from tallybook.pricing.price import Origin, Price

Position = tuple[int, str]
"""Where a price stands in the list of its org: (`recorded_at_us`, id)."""


class PriceStore(Protocol):
    """Prices by their owner: an org, or None for those of every org. Reads see the newest commit, or with
    `transaction` what it has done so far."""

    def append(self, transaction: Transaction, price: Price) -> None:
        """Adds a price whose id is new and whose `supersedes`, if any, no other price names."""
        ...

    def get(self, org_id: str, price_id: str, transaction: Transaction | None = None) -> Price:
        """A price of the org, superseded or not. Raises `NotFound`."""
        ...

    def find(self, org_id: str, price_id: str) -> Price | None:
        """A price of the org or of every org, superseded or not."""
        ...

    def is_superseded(self, org_id: str, price_id: str, transaction: Transaction) -> bool: ...

    def list_beginning(self, org_id: str, effective_from_us: int, transaction: Transaction) -> list[Price]:
        """The prices of the org that begin at that instant and that no other price supersedes."""
        ...

    def list_prices(
        self,
        owner: str | None,
        origin: Origin,
        *,
        provider: str | None,
        model: str | None,
        before: Position | None,
        limit: int,
    ) -> list[Price]:
        """At most `limit` prices of the owner, newest first, from those older than `before`; superseded too.

        `provider` and `model` narrow to prices that name exactly them, in any letter case (A-Z).
        """
        ...

    def list_in_force(self, owner: str | None, transaction: Transaction | None = None) -> list[Price]:
        """Every price of that owner, past and future, that no other price supersedes."""
        ...

    def append_names(
        self, transaction: Transaction, version: str, providers: Sequence[ProviderNames], recorded_at_us: int
    ) -> None:
        """Adds the names of a catalogue's version, which are in force from now on."""
        ...

    def catalogue_version(self, transaction: Transaction | None = None) -> str | None:
        """The version of the names in force; None before the first."""
        ...

    def list_names(self, transaction: Transaction | None = None) -> Sequence[ProviderNames]:
        """The names in force."""
        ...
