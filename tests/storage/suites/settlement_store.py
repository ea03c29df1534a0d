"""What any store of settlement must do: the outbox in order, links once, and nothing of a command that failed."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest

from tallybook.core.errors import Conflict
from tallybook.core.unit_of_work import Record, Writes
from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.metering.event import Sender
from tallybook.settlement.model import SOURCE_CONFIRMED, Context, Link, Told
from tallybook.settlement.recording import Draft, Placed
from tallybook.settlement.store import BilledEvent, SettlementStore
from tests.submissions import RATING

ORG = "acme"


def usage(event_id: str, input_tokens: int = 0) -> Placed:
    told = Told("gpt-4o", "completion", {"input_tokens": input_tokens}, metadata="{}")
    draft = Draft(told, SOURCE_CONFIRMED, b"c" * 16, event_id.encode().rjust(16), 7, RATING, Sender(ORG, "key_1"))
    return Placed(draft, Context.CUSTOMER, "acc_1", transaction_id=event_id)


class SettlementStoreSuite(ABC):
    """`paid` makes a transaction of the org and gives its id."""

    store: SettlementStore
    writes: Writes

    @abstractmethod
    def paid(self, org_id: str) -> str: ...

    @abstractmethod
    def reopen(self) -> None: ...

    def put(self, *usages: Placed) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*(self.put_one(each) for each in usages))

        asyncio.run(all_at_once())

    async def put_one(self, placed: Placed) -> None:
        def effect(tx: Tx) -> Record:
            self.store.put(tx, placed)
            return {}

        await self.writes.once(None, effect)

    def link(self, org_id: str, *links: Link) -> None:
        def effect(tx: Tx) -> Record:
            for link in links:
                self.store.link(tx, org_id, link)
            return {}

        asyncio.run(self.writes.once(None, effect))

    def waiting(self, limit: int = 100) -> Sequence[str]:
        found = self.store.oldest_waiting(limit)
        return [] if found is None else [each.event_id for each in found.submissions]

    def test_the_outbox_is_in_order_and_outlives_a_restart(self) -> None:
        assert (self.store.oldest_waiting(5), self.store.newest_waiting(), self.store.outbox_length()) == (
            None,
            None,
            0,
        )
        told = [usage(str(number), number) for number in range(5)]
        for each in told:
            self.put(each)
        self.reopen()
        found = self.store.oldest_waiting(100)
        assert found is not None
        assert (list(found.submissions), self.store.outbox_length()) == ([each.submission() for each in told], 5)
        assert self.waiting(2) == ["0", "1"]

    def test_numbers_rise_while_the_outbox_runs_empty(self) -> None:
        newest = 0
        for number in range(3):
            self.put(usage(str(number)))
            found = self.store.oldest_waiting(100)
            assert found is not None
            assert found.newest == self.store.newest_waiting()
            assert found.newest > newest
            newest = found.newest
            self.store.note_delivered(found.newest)
            assert (self.waiting(), self.store.outbox_length()) == ([], 0)

    def test_what_came_meanwhile_stays(self) -> None:
        self.put(usage("a"))
        found = self.store.oldest_waiting(100)
        assert found is not None
        self.put(usage("b"), usage("c"))
        self.store.note_delivered(found.newest)
        assert (sorted(self.waiting()), self.store.outbox_length()) == (["b", "c"], 2)

    def test_what_is_delivered_waits_again_after_a_restart_until_it_is_removed(self) -> None:
        self.put(usage("a"), usage("b"))
        for _ in range(2):
            found = self.store.oldest_waiting(100)
            assert found is not None
            assert (sorted(self.waiting()), self.store.outbox_length()) == (["a", "b"], 2)
            self.store.note_delivered(found.newest)
            assert (self.waiting(), self.store.newest_waiting(), self.store.outbox_length()) == ([], None, 0)
            self.reopen()
        self.put(usage("c"))
        found = self.store.oldest_waiting(100)
        assert found is not None
        self.store.note_delivered(found.newest)
        self.store.remove_delivered()
        self.reopen()
        assert (self.waiting(), self.store.outbox_length()) == ([], 0)

    def test_a_command_that_fails_promises_nothing(self) -> None:
        def effect(tx: Tx) -> Record:
            self.store.put(tx, usage("lost"))
            raise Conflict("no")

        async def together() -> None:
            refused = self.writes.once(None, effect)
            answers = await asyncio.gather(self.put_one(usage("kept")), refused, return_exceptions=True)
            assert isinstance(answers[1], Conflict)

        asyncio.run(together())
        assert (self.waiting(), self.store.outbox_length()) == (["kept"], 1)

    def test_who_listens_is_told_after_each_commit_that_promises(self) -> None:
        told: list[Sequence[str]] = []
        self.store.tell(lambda: told.append(self.waiting()))
        mine = self.paid(ORG)
        self.link(ORG, Link(mine, b"a" * 16, 1))
        assert told == []
        self.put(usage("a"))
        self.put(usage("b"))
        assert told == [["a"], ["a", "b"]]

    def test_links_lead_from_transactions_of_their_org(self) -> None:
        mine, other = self.paid(ORG), self.paid("other")
        first, second = Link(mine, b"a" * 16, 1, b"c" * 16), Link(mine, b"b" * 16, 2)
        self.link(ORG, second, first)
        self.link("other", Link(other, b"d" * 16, 3))
        assert self.store.links_of(ORG, [mine, other, "txn_none"]) == [first, second]
        assert self.store.links_of("other", [mine]) == []
        assert self.store.links_of(ORG, []) == []

    def test_only_a_confirmation_has_a_hash(self) -> None:
        mine = self.paid(ORG)
        found: list[Link | None] = []

        def look(tx: Tx) -> Record:
            found.append(self.store.find_confirmed_with(tx, ORG, mine))
            found.append(self.store.find_confirmed_with(tx, "other", mine))
            return {}

        self.link(ORG, Link(mine, b"b" * 16, 2))
        asyncio.run(self.writes.once(None, look))
        self.link(ORG, Link(mine, b"a" * 16, 1, b"c" * 16))
        asyncio.run(self.writes.once(None, look))
        assert found == [None, None, Link(mine, b"a" * 16, 1, b"c" * 16), None]

    def test_links_of_stored_events_are_written_once(self) -> None:
        mine = self.paid(ORG)
        link = Link(mine, b"a" * 16, 1)
        for _ in range(2):
            asyncio.run(self.store.link_stored(ORG, [link, Link("txn_none", b"e" * 16, 1)]))
            self.store.link_found([BilledEvent(ORG, link.uid, 1, mine, None)])
        assert self.store.links_of(ORG, [mine, "txn_none"]) == [link]

    def test_how_far_all_is_linked(self) -> None:
        assert self.store.linked_seq() == 0
        self.store.set_linked_seq(7)
        self.reopen()
        assert self.store.linked_seq() == 7

    @pytest.mark.parametrize("count", [0, 1, 2500])
    def test_an_audit_sees_every_link_with_the_account_of_its_transaction(self, count: int) -> None:
        mine = self.paid(ORG)
        self.link(ORG, *(Link(mine, number.to_bytes(16, "big"), number) for number in range(count)))
        self.link("other", Link(self.paid("other"), b"d" * 16, 3))
        with self.store.audit(ORG) as parts:
            found = [each for part in parts for each in part]
        assert len(found) == count
        assert {each.link.transaction_id for each in found} <= {mine}
        assert None not in {each.account_id for each in found}
