"""DuckDB in the suite of usage questions, and what is special to it."""

import threading
from collections.abc import Iterator

import pytest

from tallybook.analytics.plan import Span
from tallybook.core.time_window import TimeWindow
from tallybook.storage.duckdb.in_force import Sql, in_force
from tests.storage.facts import JAN_1, DuckBook, Fact
from tests.storage.suites.usage_store import UsageStoreSuite, total


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckBook]:
    book = DuckBook(tmp_path_factory.mktemp("events"))
    yield book
    book.close()


@pytest.fixture
def book(opened: DuckBook) -> DuckBook:
    opened.empty()
    return opened


class TestDuckUsageStore(UsageStoreSuite):
    pass


def test_without_corrections_there_is_no_anti_join() -> None:
    span = Span(("a", "b"), TimeWindow(1, 9), seq_max=5)
    within = "fact.occurred_at >= ? AND fact.occurred_at < ? AND fact.org_id IN (?, ?) AND fact.seq <= ?"
    assert in_force(span, corrected=False) == Sql(f"FROM facts AS fact WHERE {within}", (1, 9, "a", "b", 5))
    assert " ANTI JOIN " in in_force(span, corrected=True).text
    assert in_force(span, corrected=True).text.endswith(f" WHERE {within}")
    assert in_force(span, corrected=True).parameters == (1, 9, "a", "b", 5) * 2


def test_readers_see_each_commit_whole_while_corrections_arrive(book: DuckBook) -> None:
    """An amendment swaps one revision for another: no reader may count both, or none."""
    facts = [Fact(n, occurred_at=JAN_1 + n, cost=1) for n in range(20)]
    book.record(*facts)
    done = threading.Event()
    wrong: list[object] = []

    def count() -> None:
        while not done.is_set():
            if (counted := total(book, "requests", "cost_usd")) != {"requests": 20, "cost_usd": 20}:
                wrong.append(counted)

    readers = [threading.Thread(target=count) for _ in range(3)]
    for reader in readers:
        reader.start()
    for fact in facts:
        book.amend(book.amend(fact))
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
