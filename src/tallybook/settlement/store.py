"""What settlement asks of the ledger's disk and of the event store."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from tallybook.analytics.answer import EventRecord
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.corrections.model import Change, CorrectionRecord
from tallybook.metering.event import Submission
from tallybook.settlement.model import Link
from tallybook.settlement.recording import Placed


class Waiting(NamedTuple):
    """What the oldest commits in the outbox promised, in order. `newest` is the number of the last one.

    `changes` are corrections, each of an event that is in the event store already.
    """

    newest: int
    submissions: Sequence[Submission]
    changes: Sequence[Change] = ()


class LinkedUsage(NamedTuple):
    """A link as `verify` sees it, with the account of its transaction; None where there is no such transaction."""

    link: Link
    account_id: str | None


class Outbox(Protocol):
    """What each commit promised, under numbers that rise while the process lives."""

    def tell(self, listener: Callable[[], None]) -> None:
        """Calls `listener` after each commit that promises something, on the thread that commits."""
        ...

    def outbox_length(self) -> int:
        """How many usages wait."""
        ...

    def newest_waiting(self) -> int | None:
        """The number of the newest commit in the outbox."""
        ...

    def oldest_waiting(self, limit: int, after: int = 0) -> Waiting | None:
        """About `limit` usages of the commits behind that one; None when there are none."""
        ...

    def note_delivered(self, newest: int) -> None:
        """From now on nothing up to that number waits. Until it is removed, the next start finds it waiting again."""
        ...

    def remove_delivered(self) -> None:
        """Removes what is left of what is delivered. Holds the calling thread until the commit."""
        ...


class SettlementStore(Outbox, Protocol):
    """The outbox and the links. Transactions are as in the ledger's store."""

    def put(self, transaction: Tx, placed: Placed) -> None:
        """Adds to the outbox."""
        ...

    def promise(self, transaction: Tx, change: Change) -> None:
        """Adds a correction to the outbox."""
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


class Paid(NamedTuple):
    """What a transaction took from its account (a credit: 0), and how much of it corrections gave back."""

    account_id: str
    amount_micro: int
    refunded_micro: int


class Claim(NamedTuple):
    """A correction as the ledger decided it. `refunded_micro`: by all those of its transaction; `refund_micro`: by it.

    Accounts are named as the store keeps them.
    """

    uid: bytes
    occurred_at_us: int
    superseded: int | None
    replacement: int | None
    id: str
    transaction_id: str
    account: int
    amount_micro: int
    refunded_micro: int
    refund_id: str | None
    refund_type: str | None
    refund_account: int | None
    refund_micro: int = 0


class RefundStore(Protocol):
    """The corrections that are decided in the ledger. Transactions are as in the ledger's store."""

    def is_claimed(self, transaction: Tx, change: Change) -> bool:
        """Whether another change has ended the revision that this one ends, or begun the one it begins."""
        ...

    def claim(self, transaction: Tx, change: Change, transaction_id: str) -> None:
        """Adds a change whose claim is free, of an event of that transaction of the org."""
        ...

    def newest_claim(self, org_id: str, transaction_id: str, transaction: Tx | None = None) -> int:
        """The number of the last change of an event of that transaction of the org; they rise. 0: there is none.

        As of the newest commit, or with `transaction` of what it has done so far.
        """
        ...

    def find_paid(self, transaction: Tx, org_id: str, transaction_id: str) -> Paid:
        """Of a transaction of the org, which exists."""
        ...

    def claims(self, org_id: str) -> AbstractContextManager[Iterator[Sequence[Claim]]]:
        """Every claim of an org, some at a time, in one snapshot that holds up nobody."""
        ...

    def claims_of(self, org_id: str, uids: Sequence[bytes]) -> Sequence[Claim]:
        """Every claim of these events."""
        ...


class Histories(Protocol):
    """Events with what was made of them."""

    def history(self, org_id: str, uid: str) -> tuple[Sequence[EventRecord], Sequence[CorrectionRecord]]:
        """Every revision of an event, and every correction, in order."""
        ...


class CorrectedEvents(Protocol):
    """Corrections as the event store has them."""

    def corrections_of_events(self, org_id: str, claims: Sequence[Claim]) -> Sequence[CorrectionRecord]:
        """Every correction of the events of these claims."""
        ...

    def corrections_of_billed(self, org_id: str) -> AbstractContextManager[Iterator[Sequence[CorrectionRecord]]]:
        """Every correction of an event that names a transaction, some at a time."""
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
