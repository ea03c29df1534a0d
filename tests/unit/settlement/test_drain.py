"""The drain: in order, before any reader, and never a loss."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from tallybook.core.errors import Overloaded, StorageFull
from tallybook.core.failpoints import go_on
from tallybook.metering.event import Outcome, Status, Submission, UsageEvent
from tallybook.settlement.drain import Drain
from tallybook.settlement.store import Outbox, Waiting
from tests.admin_rooms import StillClock
from tests.submissions import Submitter


class Shelf(Outbox):
    """An outbox in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Submission]] = []
        self.newest = 0

    def add(self, submission: Submission) -> None:
        self.newest += 1
        self.rows.append((self.newest, submission))

    def outbox_length(self) -> int:
        return len(self.rows)

    def newest_waiting(self) -> int | None:
        return self.rows[-1][0] if self.rows else None

    def tell(self, listener: Callable[[], None]) -> None:
        pass

    def oldest_waiting(self, limit: int, after: int = 0) -> Waiting | None:
        rows = [row for row in self.rows if row[0] > after][:limit]
        return Waiting(rows[-1][0], [submission for _, submission in rows]) if rows else None

    def remove_delivered(self) -> None:
        pass

    def note_delivered(self, newest: int) -> None:
        self.rows = [row for row in self.rows if row[0] > newest]


class EventStore:
    def __init__(self) -> None:
        self.stored: list[str] = []
        self.failures: list[Exception] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def deliver(self, parts: Iterable[Sequence[Submission]]) -> Sequence[Outcome]:
        submissions = [each for part in parts for each in part]
        if self.failures:
            raise self.failures.pop()
        self.meanwhile()
        self.stored.extend(each.event_id for each in submissions)
        return [Outcome(Status.INSERTED, None)] * len(submissions)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def events() -> EventStore:
    return EventStore()


@pytest.fixture
def drain(shelf: Shelf, events: EventStore) -> Iterator[Drain]:
    made = Drain(shelf, events.deliver, lambda: None, go_on)
    yield made
    made.close()


def fill(shelf: Shelf, *ids: str) -> None:
    submit = Submitter(StillClock())
    for each in ids:
        shelf.add(submit(UsageEvent(id=each)))


def test_a_reader_waits_for_all_that_was_there_before_it(shelf: Shelf, events: EventStore, drain: Drain) -> None:
    fill(shelf, "a", "b", "c")
    drain.start()
    drain.before_read()
    assert events.stored == ["a", "b", "c"]


def test_nobody_waits_for_nothing(drain: Drain) -> None:
    drain.start()
    drain.before_read()


def test_readers_share_one_delivery(shelf: Shelf, events: EventStore, drain: Drain) -> None:
    fill(shelf, "a")
    readers = [threading.Thread(target=drain.before_read) for _ in range(8)]
    for reader in readers:
        reader.start()
    drain.start()
    for reader in readers:
        reader.join(timeout=30)
        assert not reader.is_alive()
    assert events.stored == ["a"]


def test_without_a_reader_it_is_delivered_in_a_while(shelf: Shelf, events: EventStore, drain: Drain) -> None:
    drain.start()
    fill(shelf, "a")
    drain.nudge()
    for _ in range(1_000):
        if events.stored:
            break
        threading.Event().wait(0.01)
    assert events.stored == ["a"]


def test_what_comes_during_a_delivery_gathers_for_the_next(shelf: Shelf, events: EventStore, drain: Drain) -> None:
    def add_more() -> None:
        if len(events.stored) < 1_000:
            fill(shelf, "more")
            drain.nudge()

    events.meanwhile = add_more
    fill(shelf, "first")
    drain.start()
    drain.before_read()
    drain.close()
    assert len(events.stored) < 10


@pytest.mark.parametrize(("failure", "told"), [(StorageFull(), StorageFull), (RuntimeError("why"), Overloaded)])
def test_a_reader_is_told_what_keeps_it_and_may_come_again(
    shelf: Shelf, events: EventStore, drain: Drain, failure: Exception, told: type[Exception]
) -> None:
    fill(shelf, "a")
    drain.start()
    drain.before_read()
    shelf.rows = [(2, shelf.rows[0][1])] if shelf.rows else [(2, Submitter(StillClock())(UsageEvent(id="b")))]
    events.failures = [failure]
    with pytest.raises(told):
        drain.before_read()
    drain.before_read()
    assert len(events.stored) == 2


def test_what_waits_at_the_end_is_delivered(shelf: Shelf, events: EventStore) -> None:
    drain = Drain(shelf, events.deliver, lambda: None, go_on)
    drain.start()
    fill(shelf, "a", "b")
    drain.close()
    assert events.stored == ["a", "b"]
