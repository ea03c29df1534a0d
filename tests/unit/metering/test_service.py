"""The way into the event store, with a store and a rater of the test's own."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tallybook.core.counters import Usage
from tallybook.core.errors import Fault, InvalidInput, Overloaded, StorageFull
from tallybook.core.ids import uid_text
from tallybook.core.money import COST_PICO_MAX, COST_USD_MAX, PICO_PER_USD
from tallybook.core.time_window import parse_instant
from tallybook.metering.errors import BatchTooLarge
from tallybook.metering.event import Outcome, Sender, Status, Stored, Submission, UsageEvent
from tallybook.metering.identity import content_hash, derived_id, identity_of, request_key_of
from tallybook.metering.service import MeteringService
from tallybook.pricing.cost import Pricing, Rating

NOW = parse_instant("2026-01-31T12:00:00Z")
SENDER = Sender("org", "key_1", may_name_others=True, reads_org=True)
FIRST = Stored(b"first-event-uid!", "priced", 7, user_id="ana", api_key_id="key_ana")


class StillClock:
    def now_us(self) -> int:
        return NOW


@dataclass
class Rates:
    """A rater that charges a picodollar per input token and a dollar per image, or what was given.

    It remembers what it was asked.
    """

    asked: list[dict[str, Any]] = field(default_factory=list)

    def rating(self, org_id: str, *, usage: Usage, given_pico: int | None, **about: Any) -> Rating:
        self.asked.append({"org_id": org_id, "usage": usage, **about})
        if given_pico is not None:
            return Rating(Pricing.GIVEN, given_pico, given_pico)
        cost = usage.get("input_tokens", 0) + usage.get("images", 0) * PICO_PER_USD
        return Rating(Pricing.PRICED, cost, cost, (("input_tokens", cost),))


@dataclass
class Shelf:
    """A store in memory: `answers` by event id, otherwise inserted. Appends that `reached` the `gate` wait there."""

    answers: dict[str, Outcome] = field(default_factory=dict)
    failure: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    appended: list[list[Submission]] = field(default_factory=list)
    closed_after: int | None = None

    def make_ready(self, submissions: Sequence[Submission]) -> object:
        return len(submissions)

    def append(self, submissions: Sequence[Submission], ready: Sequence[object] = ()) -> list[Outcome]:
        self.reached.set()
        self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        self.appended.append(list(submissions))
        return [self.answers.get(one.event_id, Outcome(Status.INSERTED, None)) for one in submissions]

    @property
    def ids(self) -> list[str]:
        return [one.event_id for flush in self.appended for one in flush]

    def maintain(self) -> None:
        pass

    def close(self) -> None:
        self.closed_after = len(self.ids)


@dataclass
class Room:
    shelf: Shelf
    rates: Rates
    service: MeteringService

    def prepare(self, *events: UsageEvent | None, sender: Sender = SENDER, **options: Any) -> list[Submission]:
        return self.service.prepare(events, sender, **options)

    def store(self, *events: UsageEvent, sender: Sender = SENDER) -> list[Outcome]:
        submissions = self.prepare(*events, sender=sender)
        return list(asyncio.run(self.service.store(submissions, sender)))


@pytest.fixture
def room() -> Iterator[Room]:
    shelf, rates = Shelf(), Rates()
    shelf.gate.set()
    service = MeteringService(shelf, rates, StillClock(), batch_events_max=5, queue_events_max=10, flush_events_max=4)
    yield Room(shelf, rates, service)
    shelf.gate.set()
    service.close()


def faults_of(error: InvalidInput) -> list[tuple[str, str]]:
    return [(".".join(map(str, fault.loc)), fault.msg) for fault in error.faults]


# What the server fills in.


def test_blanks_are_filled_beside_the_event_not_in_it(room: Room) -> None:
    sender = Sender("org", "key_1", user_id="ana", project_id="p", reads_org=True)
    (bare,) = room.prepare(UsageEvent(id="a", model="m"), sender=sender)
    assert (bare.user_id, bare.api_key_id, bare.project_id, bare.recorded_by) == ("ana", "key_1", "p", "key_1")
    assert bare.occurred_at_us == NOW
    assert bare.event == UsageEvent(id="a", model="m")
    assert bare.content == content_hash(UsageEvent(id="a", model="m"))


def test_what_the_event_says_wins(room: Room) -> None:
    sender = Sender("org", "key_1", user_id="ana", project_id="p", may_name_others=True)
    event = UsageEvent(id="a", user_id="bob", api_key_id="key_2", project_id="q", occurred_at_us=NOW - 1)
    (said,) = room.prepare(event, sender=sender)
    assert (said.user_id, said.api_key_id, said.project_id, said.occurred_at_us) == ("bob", "key_2", "q", NOW - 1)
    assert said.recorded_by == "key_1"


def test_the_header_fills_the_end_user_and_counts_as_content(room: Room) -> None:
    sender = Sender("org", "key_1", external_user_id="end-1", may_name_others=True)
    filled, named = room.prepare(UsageEvent(id="a"), UsageEvent(id="a", external_user_id="end-1"), sender=sender)
    assert filled == named.__class__(**{**_fields(named), "uid": filled.uid})
    (without,) = room.prepare(UsageEvent(id="a"))
    assert without.content != filled.content


def _fields(submission: Submission) -> dict[str, Any]:
    return {name: getattr(submission, name) for name in submission.__struct_fields__}


def test_an_id_is_taken_derived_or_made(room: Room) -> None:
    (sent,) = room.prepare(UsageEvent(id="a"), idempotency_key="k")
    assert sent.event_id == "a"
    first, second = room.prepare(UsageEvent(), UsageEvent(), idempotency_key="k")
    assert [first.event_id, second.event_id] == [derived_id("org", "k", 0), derived_id("org", "k", 1)]
    (made,) = room.prepare(UsageEvent())
    assert made.event_id == uid_text(made.uid)
    assert first.identity == identity_of("org", "", first.event_id)
    assert first.content == made.content


def test_a_request_is_found_by_its_own_key_unless_the_identity_says_it_all(room: Room) -> None:
    plain, elsewhere, named, same = room.prepare(
        UsageEvent(id="a"),
        UsageEvent(id="a", source="s"),
        UsageEvent(id="a", request_id="r"),
        UsageEvent(id="a", request_id="a"),
    )
    assert plain.request_key is None
    assert same.request_key is None
    assert elsewhere.request_key == request_key_of("org", "a")
    assert named.request_key == request_key_of("org", "r")


def test_the_rater_is_asked_at_the_events_own_time(room: Room) -> None:
    event = UsageEvent(provider="p", model="m", service_tier="flex", batch=True, occurred_at_us=NOW - 5)
    another = UsageEvent(usage={"input_tokens": 3}, image_size="1024x1024")
    room.prepare(event, another)
    assert room.rates.asked == [
        {
            "org_id": "org",
            "told": event,
            "provider": "p",
            "model": "m",
            "service_tier": "flex",
            "batch": True,
            "at_us": NOW - 5,
            "usage": {},
        },
        {
            "org_id": "org",
            "told": another,
            "provider": None,
            "model": None,
            "service_tier": None,
            "batch": False,
            "at_us": NOW,
            "usage": {"input_tokens": 3},
        },
    ]


# What keeps a batch out.


def test_a_batch_has_a_bound(room: Room) -> None:
    assert len(room.prepare(*[UsageEvent()] * 5)) == 5
    with pytest.raises(BatchTooLarge, match="6 events in one request; at most 5"):
        room.prepare(*[UsageEvent()] * 6)


def test_faults_of_reading_and_checking_are_told_in_the_order_of_the_batch(room: Room) -> None:
    read = [Fault(("events", 1, "latency_ms"), "expected int"), Fault(("events", 3), "must be an object")]
    with pytest.raises(InvalidInput) as refused:
        room.prepare(
            UsageEvent(context="else", cost_pico=-1),
            None,
            UsageEvent(occurred_at_us=0),
            None,
            UsageEvent(usage={"images": COST_USD_MAX + 1}),
            faults=read,
        )
    assert [place for place, _ in faults_of(refused.value)] == [
        "events.0.context",
        "events.0.cost_usd",
        "events.1.latency_ms",
        "events.2.occurred_at",
        "events.3",
        "events.4.usage",
    ]


def test_one_fault_keeps_the_whole_batch_out(room: Room) -> None:
    with pytest.raises(InvalidInput):
        room.prepare(UsageEvent(id="good"), UsageEvent(context="else"))
    assert room.store(UsageEvent(id="good")) == [Outcome(Status.INSERTED, None)]
    assert room.shelf.ids == ["good"]


def test_a_rated_cost_has_the_bound_of_a_given_one(room: Room) -> None:
    (dearest,) = room.prepare(UsageEvent(usage={"images": COST_USD_MAX}))
    assert dearest.rating.cost_pico == COST_PICO_MAX
    with pytest.raises(InvalidInput) as refused:
        room.prepare(UsageEvent(usage={"images": COST_USD_MAX, "input_tokens": 1}))
    assert faults_of(refused.value) == [("events.0.usage", "costs more than 9000000 USD")]


# Storing, and what is told of it.


def test_outcomes_come_in_the_order_of_the_batch(room: Room) -> None:
    room.shelf.answers = {"b": Outcome(Status.DUPLICATE, FIRST), "c": Outcome(Status.CONFLICT, FIRST)}
    outcomes = room.store(*[UsageEvent(id=name) for name in "abc"])
    assert outcomes == [Outcome(Status.INSERTED, None), room.shelf.answers["b"], room.shelf.answers["c"]]


def test_an_empty_batch_asks_nothing_of_the_store(room: Room) -> None:
    assert room.store() == []
    assert room.shelf.appended == []


@pytest.mark.parametrize(
    ("sender", "sees"),
    [
        (Sender("org", "key_admin", reads_org=True), True),
        (Sender("org", "key_ana", user_id="ana", reads_user_id="ana"), True),
        # A user's events are theirs whatever key recorded them, and no one else's although it was the same key.
        (Sender("org", "key_other", user_id="ana", reads_user_id="ana"), True),
        (Sender("org", "key_ana", user_id="bob", reads_user_id="bob"), False),
        (Sender("org", "key_ana", reads_key_id="key_ana"), True),
        (Sender("org", "key_device", reads_key_id="key_device"), False),
        (Sender("org", "key_ana", user_id="ana"), False),
    ],
)
@pytest.mark.parametrize("status", [Status.DUPLICATE, Status.CONFLICT])
def test_a_stored_event_is_shown_to_those_who_may_read_it(
    room: Room, sender: Sender, sees: bool, status: Status
) -> None:
    room.shelf.answers = {"a": Outcome(status, FIRST)}
    assert room.store(UsageEvent(id="a"), sender=sender) == [Outcome(status, FIRST if sees else None)]


def test_a_full_disk_is_told_to_everyone_waiting(room: Room) -> None:
    room.shelf.failure = StorageFull()
    with pytest.raises(StorageFull):
        room.store(UsageEvent())
    room.shelf.failure = None
    assert room.store(UsageEvent()) == [Outcome(Status.INSERTED, None)]


def test_a_full_queue_refuses_the_batch_that_does_not_fit(room: Room) -> None:
    async def crowd() -> list[Any]:
        batches = [room.prepare(*[UsageEvent(id=f"{number}-{n}") for n in range(5)]) for number in range(5)]
        room.shelf.gate.clear()
        first = asyncio.ensure_future(room.service.store(batches[0], SENDER))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(room.shelf.reached.wait, 30)  # the writer has taken it
        others = [asyncio.ensure_future(room.service.store(batch, SENDER)) for batch in batches[1:]]
        await asyncio.sleep(0)
        room.shelf.gate.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    *taken, third, fourth = asyncio.run(crowd())
    assert [len(outcomes) for outcomes in taken] == [5, 5, 5]
    assert isinstance(third, Overloaded)
    assert isinstance(fourth, Overloaded)
    assert len(room.shelf.ids) == 15


def test_close_commits_what_was_accepted_and_takes_no_more(room: Room) -> None:
    async def leave() -> list[Any]:
        room.shelf.gate.clear()
        waiting = [
            asyncio.ensure_future(room.service.store(room.prepare(UsageEvent(id=f"event-{n}")), SENDER))
            for n in range(8)
        ]
        await asyncio.sleep(0)
        closing = asyncio.get_running_loop().run_in_executor(None, room.service.close)
        room.shelf.gate.set()
        await closing
        return await asyncio.gather(*waiting)

    outcomes = asyncio.run(leave())
    assert outcomes == [[Outcome(Status.INSERTED, None)]] * 8
    assert room.shelf.ids == [f"event-{n}" for n in range(8)]
    assert room.shelf.closed_after == 8
    with pytest.raises(Overloaded, match="shutting down"):
        room.store(UsageEvent())


def test_parts_from_a_thread_are_one_commit(room: Room) -> None:
    parts = [room.prepare(*(UsageEvent(id=each) for each in ids)) for ids in ("ab", "", "c")]
    room.shelf.answers["b"] = Outcome(Status.DUPLICATE, None)
    outcomes = room.service.commit_from_thread(iter(parts))
    assert [each.status for each in outcomes] == [Status.INSERTED, Status.DUPLICATE, Status.INSERTED]
    assert [[each.event_id for each in commit] for commit in room.shelf.appended] == [["a", "b", "c"]]
    assert room.service.commit_from_thread([[]]) == []
    assert len(room.shelf.appended) == 1
