"""Sums that were asked for before: what is in order is not added up again, and every answer is right."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tallybook.analytics.answer import UsageRow
from tallybook.analytics.query import Dimension, UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.analytics.store import UsageStore
from tallybook.core.time_window import DAY_US, HOUR_US, Bucket
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tests.admin_rooms import StillClock
from tests.storage.facts import JAN_1, DuckBook, Fact
from tests.storage.suites.usage_store import ADMIN, CURSORS

HALF_HOUR_US = HOUR_US // 2


@pytest.fixture
def book(tmp_path: Path) -> Iterator[DuckBook]:
    opened = DuckBook(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("bucket", [Bucket.HOUR, Bucket.DAY, Bucket.MONTH, Bucket.ALL])
def test_a_window_that_moves_on_is_answered_as_by_a_store_that_remembers_nothing(
    book: DuckBook, bucket: Bucket
) -> None:
    """A `DuckBook` puts in order what has arrived with every other commit."""
    facts = [
        Fact(number, occurred_at=JAN_1 + number * HALF_HOUR_US, cost=number, set={"model": "ab"[number % 2]})
        for number in range(6 * 48)
    ]
    early, late = facts[::5], [fact for fact in facts if fact.number % 5]
    book.record(*early)
    for turn in range(24):
        start = JAN_1 + turn * HALF_HOUR_US
        question = asked(start, start + 5 * DAY_US, bucket)
        assert answered(book.store, question) == answered(forgetful(book), question)
        book.record(*late[turn::24])
        if turn % 2:
            book.void(early[2 * turn])
        else:
            book.amend(early[2 * turn], cost=1)


def test_only_what_has_arrived_since_is_added_up_again(book: DuckBook) -> None:
    book.record(*(Fact(number, occurred_at=JAN_1 + number * HOUR_US) for number in range(48)))
    days = asked(JAN_1, JAN_1 + 2 * DAY_US, Bucket.DAY)
    later = asked(JAN_1 + HOUR_US, JAN_1 + 3 * DAY_US, Bucket.DAY)
    for question in (days, days, later, later):
        answered(book.store, question)
    with book.engine.transaction() as writer:
        for table in book.engine.facts.tables:
            writer.execute(f"DELETE FROM {table} WHERE run > 0")
    assert events(book.store, days) == [24, 24]
    assert events(book.store, later) == [0, 24, 0]  # of its first day a part is asked for
    book.record(Fact(100))
    book.record(Fact(101, occurred_at=JAN_1 + DAY_US))
    assert events(book.store, days) == [25, 25]
    assert events(book.store, later) == [0, 25, 0]
    assert events(forgetful(book), days) == [1, 1]


def test_a_question_that_is_new_is_asked_as_a_whole(book: DuckBook) -> None:
    book.record(*(Fact(number) for number in range(4)))
    once = asked(JAN_1, JAN_1 + DAY_US, Bucket.DAY)
    assert events(book.store, once) == [4]
    with book.engine.transaction() as writer:
        writer.execute("DELETE FROM facts")
    assert events(book.store, once) == [0]


def asked(start_us: int, end_us: int, bucket: Bucket) -> UsageQuery:
    return UsageQuery(
        ADMIN, start_us, end_us, bucket, group_by=(Dimension.MODEL,), measures=("events", "cost_usd"), limit=1_440
    )


def answered(store: UsageStore, question: UsageQuery) -> list[Sequence[UsageRow]]:
    """The rows of each bucket."""
    service = UsageService(store, CURSORS, StillClock(), rows_max=1_000, export_events_max=1_000)
    return [bucket.rows for bucket in service.query(question).buckets]


def events(store: UsageStore, question: UsageQuery) -> list[int]:
    return [sum(row.numbers[0] or 0 for row in rows) for rows in answered(store, question)]


def forgetful(book: DuckBook) -> UsageStore:
    return DuckUsageStore(book.engine, Limits(1, 1, timeout_seconds=30))
