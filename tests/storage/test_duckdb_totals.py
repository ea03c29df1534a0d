"""Totals of lists: what was counted before and is in order is not counted again, and every total is right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.analytics.plan import STORABLE, ListPlan, Span
from tallybook.analytics.query import Condition, Dimension
from tallybook.analytics.store import UsageStore
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tests.storage.facts import DuckBook, Fact


@pytest.fixture
def book(tmp_path: Path) -> Iterator[DuckBook]:
    opened = DuckBook(tmp_path)
    yield opened
    opened.close()


def test_totals_are_right_whatever_was_counted_before(book: DuckBook) -> None:
    """A `DuckBook` puts in order what has arrived with every other commit."""
    facts = [Fact(number, kind="completion" if number % 3 else "image") for number in range(12)]
    book.record(*facts[:4])
    assert totals(book) == (4, 2)
    book.record(*facts[4:6])
    assert totals(book) == (6, 4)
    book.void(facts[1])
    assert totals(book) == (5, 3)
    assert totals(book, with_voided=True) == (6, 4)
    book.amend(facts[2])
    assert totals(book) == (5, 3)
    book.restore(facts[1])
    assert totals(book) == (6, 4)
    book.record(*facts[6:])
    book.void(facts[11])
    assert totals(book) == (11, 7)
    assert totals(book, with_voided=True) == (12, 8)


def test_only_what_has_arrived_since_is_counted_again(book: DuckBook) -> None:
    book.record(Fact(1), Fact(2))
    assert listed(book.store, plan_of()) == 2
    with book.engine.transaction() as writer:
        writer.execute("DELETE FROM facts WHERE run > 0")
    book.record(Fact(3))
    book.record(Fact(4))
    assert listed(book.store, plan_of()) == 4
    assert listed(DuckUsageStore(book.engine, Limits(1, 1, timeout_seconds=30)), plan_of()) == 2


def totals(book: DuckBook, *, with_voided: bool = False) -> tuple[int, int]:
    """Of all and of the completions; each as a store finds it that remembers nothing."""
    plans = plan_of(with_voided=with_voided), plan_of("completion", with_voided=with_voided)
    every, completions = (listed(book.store, plan) for plan in plans)
    assert (every, completions) == tuple(
        listed(DuckUsageStore(book.engine, Limits(1, 1, timeout_seconds=30)), plan) for plan in plans
    )
    return every, completions


def listed(store: UsageStore, plan: ListPlan) -> int:
    total = store.list_events(plan).total
    assert total is not None
    return total


def plan_of(*kinds: str, with_voided: bool = False) -> ListPlan:
    conditions = (Condition((Dimension.KIND,), kinds),) if kinds else ()
    span = Span(("org",), STORABLE, with_voided=with_voided)
    return ListPlan(span, None, conditions, (), (), (), None, limit=2, with_total=True)
