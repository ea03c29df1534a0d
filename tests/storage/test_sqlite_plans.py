"""The SQLite engine in the suite of plan stores, and the plans of its queries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.core.clock import SystemClock
from tallybook.core.unit_of_work import Writes
from tallybook.ledger.store import LedgerStore
from tallybook.plans.store import PlanStore
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.ledger import SqliteLedgerStore
from tallybook.storage.sqlite.plans import SqlitePlanStore
from tests.storage.suites.plan_store import PlanStoreSuite


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path / "ledger.sqlite", SystemClock())
    yield opened
    opened.close()


class TestSqlitePlanStore(PlanStoreSuite):
    @pytest.fixture
    def writes(self, engine: SqliteEngine) -> Writes:
        return engine

    @pytest.fixture
    def ledger(self, engine: SqliteEngine) -> LedgerStore:
        return SqliteLedgerStore(engine)

    @pytest.fixture
    def store(self, engine: SqliteEngine) -> PlanStore:
        return SqlitePlanStore(engine)


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT min(next_grant_at) FROM account_plans WHERE next_grant_at IS NOT NULL", "account_plans_due"),
        ("SELECT seq FROM account_plans WHERE next_grant_at <= ? ORDER BY next_grant_at, seq", "account_plans_due"),
        ("SELECT seq FROM account_plans WHERE account = ? AND open = 1", "account_plans_one_open"),
        (
            "SELECT sum(amount) FROM transactions WHERE account = ? AND type = 'credit' AND seq > 5",
            "transactions_credits (account=? AND rowid>?)",
        ),
    ],
)
def test_the_job_finds_its_rows_by_an_index(engine: SqliteEngine, sql: str, index: str) -> None:
    values = (1,) * sql.count("?")
    (*_, detail) = engine.read().execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchone()
    assert index in detail
