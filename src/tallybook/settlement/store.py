"""What settlement asks of the ledger's disk and of the event store."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.metering.event import Submission
from tallybook.settlement.model import Link


class Waiting(NamedTuple):
    """What the oldest commits in the outbox promised, in order. `newest` is the number of the last one."""

    newest: int
    submissions: Sequence[Submission]


class LinkedUsage(NamedTuple):
    """A link as `verify` sees it, with the account of its transaction; None where there is no such transaction."""

    link: Link
    account_id: str | None


class Outbox(Protocol):
    """What each commit promised, under numbers that rise while the process lives."""

    def outbox_length(self) -> int:
        """How many usages wait. Those of a commit that failed count until the next delivery."""
        ...

    def newest_waiting(self) -> int | None:
        """The number of the newest commit in the outbox."""
        ...

    def oldest_waiting(self, limit: int) -> Waiting | None:
        """About `limit` usages; None when there are none."""
        ...

    def remove_delivered(self, delivered: Waiting) -> None:
        """Holds the calling thread until the commit."""
        ...


class SettlementStore(Outbox, Protocol):
    """The outbox and the links. Transactions are as in the ledger's store."""

    def put(self, transaction: Tx, submission: Submission) -> None:
        """Adds to the outbox."""
        ...

    def link(self, transaction: Tx, org_id: str, link: Link) -> None:
        """Adds a link whose uid is new, to a transaction of the org."""
        ...

    async def link_stored(self, org_id: str, links: Sequence[Link]) -> None:
        """Adds what is not there yet of links to transactions of the org, in a commit of its own."""
        ...

    def link_found(self, events: Sequence["BilledEvent"]) -> None:
        """As `link_stored`, for events of any org; holds the calling thread until the commit."""
        ...

    def find_confirmed_with(self, transaction: Tx, org_id: str, transaction_id: str) -> Link | None:
        """The link to the usage that the transaction's reservation was confirmed with."""
        ...

    def links_of(self, org_id: str, transaction_ids: Collection[str]) -> list[Link]:
        """Oldest usage first within each transaction."""
        ...

    def linked_seq(self) -> int:
        """The commit of the event store up to which all that has to be linked is."""
        ...

    def set_linked_seq(self, seq: int) -> None:
        """Holds the calling thread until the commit."""
        ...

    def audit(self, org_id: str) -> AbstractContextManager[Iterator[Sequence[LinkedUsage]]]:
        """Every link of an org, some at a time, in one snapshot that holds up nobody."""
        ...


class BilledEvent(NamedTuple):
    """The first revision of a usage event that names a transaction, or should."""

    org_id: str
    uid: bytes
    occurred_at_us: int
    transaction_id: str | None
    account_id: str | None


class BilledEvents(Protocol):
    """The event store as settlement reads it. `seq` numbers its commits."""

    def newest_seq(self) -> int:
        """Of the commits that have been answered."""
        ...

    def billed_after(self, seq: int) -> AbstractContextManager[Iterator[Sequence[BilledEvent]]]:
        """The events of all orgs in later commits that name a transaction, some at a time."""
        ...

    def billed_until(self, org_id: str, seq: int) -> AbstractContextManager[Iterator[Sequence[BilledEvent]]]:
        """The org's events up to that commit that name a transaction, or that settlement stored for a customer."""
        ...

    def find_billed(self, org_id: str, links: Sequence[Link]) -> list[BilledEvent]:
        """The events behind these links, as far as there are any."""
        ...
