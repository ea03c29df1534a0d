"""What every event store must do. Another engine runs through it by giving the fixtures `open_store` and `read`."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tallybook.metering.event import Status, Stored, UsageEvent
from tallybook.metering.store import EventStore
from tallybook.pricing.cost import Pricing, Rating
from tests.admin_rooms import StillClock
from tests.submissions import Submitter

OpenStore = Callable[[], EventStore]
Read = Callable[[], list[Mapping[str, Any]]]
"""Every stored fact as a mapping of column to value, in the order of their seq; uids as 16 bytes."""


def told(number: int, **fields: Any) -> UsageEvent:
    return UsageEvent(id=f"event-{number}", usage={"input_tokens": number, "output_tokens": 1}, **fields)


class EventStoreSuite:
    @pytest.fixture
    def clock(self) -> StillClock:
        return StillClock()

    @pytest.fixture
    def submit(self, clock: StillClock) -> Submitter:
        return Submitter(clock)

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[EventStore]:
        opened = open_store()
        yield opened
        opened.close()

    def test_new_events_are_inserted_with_all_they_carry(
        self, store: EventStore, submit: Submitter, read: Read, clock: StillClock
    ) -> None:
        event = UsageEvent(
            id="id-1",
            source="wrapper",
            kind="response",
            user_id="ana",
            model="gpt-4o",
            metadata='{"a":1}',
            latency_ms=12,
            batch=True,
            usage={"input_tokens": 10, "audio_seconds": 1_500_000, "requests": 2},
        )
        lines, pools = (("input_tokens", 7),), (("input_tokens", 6),)
        rating = Rating(Pricing.UNPRICED, None, 7, lines, ("audio_seconds", "units"), "price_1", "m", pools)
        submission = submit(event, rating=rating)
        (outcome,) = store.append([submission])
        assert outcome.status is Status.INSERTED
        (fact,) = read()
        expected = {
            "org_id": "org",
            "uid": submission.uid,
            "revision": 1,
            "event_id": "id-1",
            "source": "wrapper",
            "kind": "response",
            "user_id": "ana",
            "model": "gpt-4o",
            "metadata": '{"a":1}',
            "latency_ms": 12,
            "batch": True,
            "background": False,
            "stream": False,
            "input_tokens": 10,
            "output_tokens": None,
            "audio_seconds": 1_500_000,
            "requests": 2,
            "pricing": "unpriced",
            "cost": None,
            "known_cost": 7,
            "cost_input_tokens": 7,
            "cost_output_tokens": None,
            "pool_input_tokens": 6,
            "unpriced_units": "audio_seconds,units",
            "price_id": "price_1",
            "matched": "m",
            "recorded_by": "key_sender",
            "recorded_at": clock.now_us(),
        }
        assert {name: fact[name] for name in expected} == expected

    @pytest.mark.parametrize("count", [1, 2, 100, 2_500])
    def test_a_batch_of_any_size_is_stored_once(
        self, store: EventStore, submit: Submitter, read: Read, count: int
    ) -> None:
        events = [told(number, project_id=f"p{number % 3}" if number % 2 else None) for number in range(count)]
        submissions = [submit(event) for event in events]
        first = store.append(submissions)
        again = store.append([submit(event) for event in events])
        assert [outcome.status for outcome in first] == [Status.INSERTED] * count
        assert [outcome.status for outcome in again] == [Status.DUPLICATE] * count
        assert [outcome.stored.uid for outcome in again if outcome.stored] == [each.uid for each in submissions]
        facts = read()
        assert sorted(fact["event_id"] for fact in facts) == sorted(f"event-{number}" for number in range(count))
        assert {fact["event_id"]: fact["input_tokens"] for fact in facts} == {
            f"event-{number}": number for number in range(count)
        }

    def test_batches_made_ready_before_are_stored_alike(self, store: EventStore, submit: Submitter, read: Read) -> None:
        plain = [submit(told(number, team_id="t")) for number in range(3)]
        store.append(plain)
        batches = [[submit(told(10 + number)) for number in range(2)], [submit(told(20, model="gpt-4o"))]]
        sent = [submission for batch in batches for submission in batch]
        first = store.append(sent, [store.make_ready(batch) for batch in batches])
        # Again with something new between: what is known must not be stored twice.
        more = [*sent, submit(told(30, team_id="t"))]
        again = store.append(more, [store.make_ready(more)])
        assert [outcome.status for outcome in first] == [Status.INSERTED] * 3
        assert [outcome.status for outcome in again] == [Status.DUPLICATE] * 3 + [Status.INSERTED]
        facts = {fact["event_id"]: (fact["input_tokens"], fact["model"], fact["team_id"]) for fact in read()}
        assert facts == {
            **{f"event-{number}": (number, None, "t") for number in range(3)},
            "event-10": (10, None, None),
            "event-11": (11, None, None),
            "event-20": (20, "gpt-4o", None),
            "event-30": (30, None, "t"),
        }

    def test_other_content_is_a_conflict_and_changes_nothing(
        self, store: EventStore, submit: Submitter, read: Read
    ) -> None:
        store.append([submit(told(1))])
        before = read()
        (outcome,) = store.append([submit(told(1, model="other"))])
        assert outcome.status is Status.CONFLICT
        assert read() == before

    def test_the_same_content_from_another_user_is_a_conflict(self, store: EventStore, submit: Submitter) -> None:
        store.append([submit(told(1), user_id="ana")])
        outcomes = store.append([submit(told(1), user_id="bob"), submit(told(1), user_id="ana")])
        assert [outcome.status for outcome in outcomes] == [Status.CONFLICT, Status.DUPLICATE]

    def test_a_duplicate_tells_the_first_pricing_and_owner(self, store: EventStore, submit: Submitter) -> None:
        first = submit(told(1), user_id="ana", api_key_id="key_1")
        store.append([first])
        later = Rating(Pricing.FREE, 0, 0)
        (again,) = store.append([submit(told(1), user_id="ana", api_key_id="key_2", rating=later)])
        assert again.stored == Stored(first.uid, "priced", 30_000_000, "ana", "key_1")

    def test_orgs_and_sources_are_part_of_the_identity(self, store: EventStore, submit: Submitter, read: Read) -> None:
        outcomes = store.append(
            [submit(told(1)), submit(told(1), org_id="other"), submit(told(1, source="a")), submit(told(1, source="b"))]
        )
        assert {outcome.status for outcome in outcomes} == {Status.INSERTED}
        assert len(read()) == 4

    def test_within_one_call_the_first_wins(self, store: EventStore, submit: Submitter, read: Read) -> None:
        first = submit(told(1))
        outcomes = store.append([first, submit(told(1)), submit(told(1, model="other")), submit(told(2))])
        statuses = [outcome.status for outcome in outcomes]
        assert statuses == [Status.INSERTED, Status.DUPLICATE, Status.CONFLICT, Status.INSERTED]
        assert outcomes[1].stored == Stored(first.uid, "priced", 30_000_000, None, None)
        assert len(read()) == 2

    def test_old_and_new_mixed_are_told_apart(self, store: EventStore, submit: Submitter, read: Read) -> None:
        rng = random.Random(7)
        stored: dict[int, str] = {}
        for _ in range(12):
            numbers = [rng.randrange(60) for _ in range(25)]
            batch = [(number, rng.choice(["gpt-4o", "gpt-4o", "gpt-4o-mini"])) for number in numbers]
            outcomes = store.append([submit(told(number, model=model)) for number, model in batch])
            for (number, model), outcome in zip(batch, outcomes, strict=True):
                if number not in stored:
                    stored[number] = model
                    assert outcome.status is Status.INSERTED
                else:
                    expected = Status.DUPLICATE if stored[number] == model else Status.CONFLICT
                    assert outcome.status is expected
        assert {fact["event_id"]: fact["model"] for fact in read()} == {
            f"event-{number}": model for number, model in stored.items()
        }

    def test_seq_and_recorded_at_rise_even_when_the_clock_falls(
        self, open_store: OpenStore, submit: Submitter, read: Read, clock: StillClock
    ) -> None:
        store = open_store()
        store.append([submit(told(1)), submit(told(2))])
        clock.now -= 3_600_000_000
        store.append([submit(told(3))])
        store.close()
        store = open_store()
        store.append([submit(told(4))])
        store.close()
        store = open_store()
        marks = [(fact["seq"], fact["recorded_at"]) for fact in read()]
        store.close()
        assert marks == sorted(marks)
        assert marks[0][0] == marks[1][0]
        assert len({seq for seq, _ in marks}) == 3

    def test_housekeeping_changes_nothing(self, store: EventStore, submit: Submitter, read: Read) -> None:
        store.append([submit(told(number)) for number in range(500)])
        before = read()
        store.maintain()
        assert read() == before
        assert store.append([submit(told(1))])[0].status is Status.DUPLICATE
