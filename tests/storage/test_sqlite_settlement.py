"""The SQLite engine in the suite of settlement, and an audit that finds what is wrong."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.failpoints import go_on
from tallybook.ledger.model import Account
from tallybook.metering.event import Sender, UsageEvent
from tallybook.metering.service import MeteringService
from tallybook.pricing.cost import Pricing, Rating
from tallybook.settlement.linking import Linking
from tallybook.settlement.verify import UsageAudit
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.settlement import DuckBilledEvents
from tallybook.storage.sqlite.settlement import SqliteSettlementStore
from tests.admin_rooms import StillClock
from tests.storage.suites.settlement_store import ORG, SettlementStoreSuite, usage
from tests.unit.ledger.rooms import OpenLedger


class TestSqliteSettlementStore(SettlementStoreSuite):
    @pytest.fixture(autouse=True)
    def _open(self, tmp_path: Path) -> Iterator[None]:
        self.room = OpenLedger(tmp_path)
        self.accounts: dict[str, Account] = {}
        self._take()
        yield
        self.room.runner.close()
        self.room.close()

    def paid(self, org_id: str) -> str:
        if org_id not in self.accounts:
            self.accounts[org_id] = self.room.account(org_id=org_id)
        return self.room.post(self.accounts[org_id], 1, org_id=org_id).id

    def reopen(self) -> None:
        self.room.close()
        self.room.open()
        self._take()

    def test_delivered_rows_leave_their_place_to_those_that_come(self) -> None:
        for number in range(5):
            self.put(usage(str(number)))
        newest = self.store.newest_waiting()
        assert newest is not None
        self.store.note_delivered(newest)
        kept = []
        for number in range(4):
            self.put(usage(f"later {number}"))
            kept.append(self.room.engine.read().execute("SELECT count(*) FROM outbox").fetchone()[0])
        assert kept == [4, 3, 3, 4]
        assert self.waiting() == [f"later {number}" for number in range(4)]

    def _take(self) -> None:
        self.store, self.writes = SqliteSettlementStore(self.room.engine), self.room.engine


class NoPrices:
    def rating(self, org_id: str, **usage: Any) -> Rating:
        return Rating(Pricing.FREE, 0, 0)


class Books:
    """A ledger and an event store, and native events that name transactions of the one in the other."""

    def __init__(self, folder: Path) -> None:
        self.room = OpenLedger(folder)
        self.duck = DuckEngine(folder / "events.duckdb", memory="200MB", threads=1, query_memory="128MB")
        events = DuckEventStore(self.duck, StillClock(), wal_bytes_max=2**30, disk_reserve_bytes=0)
        self.metering = MeteringService(
            events, NoPrices(), StillClock(), batch_events_max=100, queue_events_max=100, flush_events_max=100
        )
        self.store = SqliteSettlementStore(self.room.engine)
        self.billed = DuckBilledEvents(self.duck, lambda: events.newest_seq)
        self.linking = self.opened()
        self.account = self.room.account(credits=10)

    def opened(self) -> Linking:
        """As after a start."""
        return Linking(self.store, self.billed, self.room.ledger, self.metering, go_on)

    def paid(self) -> str:
        return self.room.post(self.account, -1).id

    def tell(self, *events: UsageEvent, linked: bool = True) -> None:
        sender = Sender(org_id=ORG, key_id="key_1", may_name_others=True)
        submissions = self.linking.admit(self.metering.prepare(events, sender))
        taker = self.linking.store if linked else self.metering.store
        self.room.run(taker(submissions, sender))

    def difference(self) -> str | None:
        audit = UsageAudit(self.store, self.billed, lambda: None, self.linking.linked_until)
        found = audit.verify(ORG).difference
        return None if found is None else found.what

    def damage(self, statement: str) -> None:
        self.room.run(self.room.engine.write(lambda writer: writer.execute(statement)))

    def close(self) -> None:
        self.metering.close()
        self.room.runner.close()
        self.room.close()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    opened = Books(tmp_path)
    yield opened
    opened.close()


def test_a_start_links_what_a_crash_left_unlinked(books: Books) -> None:
    paid = books.paid()
    books.tell(UsageEvent(id="a", transaction_id=paid))
    books.linking.catch_up()
    books.tell(UsageEvent(id="b", transaction_id=paid), UsageEvent(id="c"), linked=False)
    assert books.difference() == "link to the transaction"
    books.linking = books.opened()
    books.linking.catch_up()
    assert books.difference() is None
    assert len(books.store.links_of(ORG, [paid])) == 2
    assert books.store.linked_seq() == books.billed.newest_seq()


def test_what_is_being_stored_is_not_taken_for_linked(books: Books) -> None:
    paid = books.paid()
    books.tell(UsageEvent(id="a", transaction_id=paid))
    before = books.billed.newest_seq()
    with books.linking._storing():
        books.tell(UsageEvent(id="b", transaction_id=paid))
        assert books.linking.linked_until() == before
    assert books.linking.linked_until() == before + 1


def test_links_that_could_not_be_written_are_written_later(books: Books) -> None:
    paid = books.paid()
    books.linking.catch_up()
    with suppress(RuntimeError), books.linking._storing():
        books.tell(UsageEvent(id="a", transaction_id=paid), linked=False)
        raise RuntimeError("as a full disk would")
    books.linking.catch_up()
    assert books.difference() is None


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("DELETE FROM usage_links", "link to the transaction"),
        ("UPDATE usage_links SET uid = zeroblob(16)", "event of the usage"),
        ("UPDATE usage_links SET transaction_seq = 99", "transaction of the usage"),
        ("UPDATE usage_links SET transaction_seq = 2", "transaction_id"),
    ],
)
def test_an_audit_finds_what_differs(books: Books, damage: str, what: str) -> None:
    books.paid()  # the second transaction; the first filled the account
    books.tell(UsageEvent(id="a", transaction_id=books.paid()))
    assert books.difference() is None
    books.damage(damage)
    assert books.difference() == what


def test_an_audit_finds_usage_of_another_account(books: Books) -> None:
    other = books.room.account()
    paid = books.paid()
    books.tell(UsageEvent(id="a", transaction_id=paid))
    seq = f"(SELECT seq FROM accounts WHERE id = '{other.id}')"
    books.damage(f"UPDATE transactions SET account = {seq} WHERE id = '{paid}'")
    assert books.difference() == "account_id"
