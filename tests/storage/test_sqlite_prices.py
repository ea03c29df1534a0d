"""The SQLite engine in the suite of prices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.core.clock import SystemClock
from tallybook.core.unit_of_work import Writes
from tallybook.pricing.store import PriceStore
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.prices import SqlitePriceStore
from tests.storage.suites.price_store import PriceStoreSuite


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path / "ledger.sqlite", SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def writes(engine: SqliteEngine) -> Writes:
    return engine


@pytest.fixture
def prices(engine: SqliteEngine) -> PriceStore:
    return SqlitePriceStore(engine)


class TestSqlitePriceStore(PriceStoreSuite):
    pass
