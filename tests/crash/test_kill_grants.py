"""`kill -9` while missed grants are caught up: afterwards each period was granted exactly once, and the books agree."""

import asyncio
import itertools
import random
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tallybook.core.clock import SystemClock
from tallybook.core.failpoints import Failpoint
from tallybook.core.time_window import DAY_US, HOUR_US
from tallybook.ledger.model import Address, NewAccount
from tallybook.ledger.service import LedgerService
from tallybook.orgs.model import DEFAULT_ORG
from tallybook.plans.model import Interval, NewPlan
from tallybook.plans.service import PlanService
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.ledger import SqliteLedgerStore
from tallybook.storage.sqlite.plans import SqlitePlanStore
from tests.admin_rooms import StillClock
from tests.conftest import LONG
from tests.serving import ServerProcess

MISSED_DAYS = 60
ACCOUNTS = 6
POINTS = (Failpoint.HALF_POSTED, Failpoint.JOB_DONE, Failpoint.BEFORE_COMMIT, Failpoint.AFTER_COMMIT)
CREDIT = 10**6


def fall_behind(data_dir: Path) -> list[str]:
    """Accounts that were put on daily plans two months ago, every other one on a plan that does not accumulate."""
    data_dir.mkdir()
    clock = StillClock(SystemClock().now_us() - MISSED_DAYS * DAY_US - HOUR_US)
    engine = SqliteEngine(data_dir / "ledger.sqlite", clock)
    ledger = LedgerService(SqliteLedgerStore(engine), engine, clock, list_rows_max=100)
    plans = PlanService(SqlitePlanStore(engine), ledger, engine, clock, list_rows_max=100)

    async def prepare() -> list[str]:
        offers = [
            await plans.create(DEFAULT_ORG, NewPlan("Daily", CREDIT, Interval.DAY, accumulate=accumulate))
            for accumulate in (True, False)
        ]
        accounts = [await ledger.create_account(DEFAULT_ORG, NewAccount()) for _ in range(ACCOUNTS)]
        for number, account in enumerate(accounts):
            await plans.assign(DEFAULT_ORG, Address(account.id), offers[number % 2].id)
        return [account.id for account in accounts]

    accounts = asyncio.run(prepare())
    engine.close()
    # A ledger alone is not served.
    DuckEngine(data_dir / "events.duckdb", memory="100MB", threads=1, query_memory="128MB").close()
    (data_dir / "secret").write_text("of the tests")
    return accounts


def run_until_killed(data_dir: Path, failpoint: str) -> None:
    server = ServerProcess(data_dir, failpoint=failpoint)
    with suppress(AssertionError):  # it may end before it says where it listens
        server.start()
    assert server.process is not None
    assert server.process.wait(timeout=60) == -9


def caught_up(http: httpx.Client, accounts: list[str]) -> bool:
    found = [http.get("/v1/accounts/plans", params={"accountId": each}).json()["plans"][0] for each in accounts]
    return all(assignment["grants"] == MISSED_DAYS + 1 for assignment in found)


def rounds() -> list[list[str]]:
    """Failpoints at which the server dies, one after the other; together they leave some grants to be made."""
    chosen = random.Random()
    if LONG:
        return [[f"{chosen.choice(POINTS)}:{chosen.randint(1, 2)}" for _ in range(3)] for _ in range(15)]
    return [["half_posted:20", "before_commit:2", "after_commit:2"]]


@pytest.mark.parametrize("failpoints", rounds(), ids=itertools.count())
def test_each_missed_period_is_granted_exactly_once(tmp_path: Path, failpoints: list[str]) -> None:
    data_dir = tmp_path / "data"
    accounts = fall_behind(data_dir)
    for failpoint in failpoints:
        run_until_killed(data_dir, failpoint)
    server = ServerProcess(data_dir).start()
    with server.client() as http:
        deadline = time.monotonic() + 60
        while not caught_up(http, accounts):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert http.get("/readyz").status_code == 200
        for number, account_id in enumerate(accounts):
            items = http.get("/v1/transactions", params={"accountId": account_id, "limit": 500}).json()["items"]
            granted = [each["metadata"]["occurrence"] for each in reversed(items) if each["type"] == "credit"]
            assert granted == list(range(1, MISSED_DAYS + 2))
            expired = [each["metadata"]["occurrence"] for each in reversed(items) if each["type"] == "debit"]
            assert expired == ([] if number % 2 == 0 else list(range(1, MISSED_DAYS + 1)))
            assert items[0]["balanceAfter"] == (MISSED_DAYS + 1 if number % 2 == 0 else 1)
        assert http.get("/v1/verify").json()["difference"] is None
    server.stop()
