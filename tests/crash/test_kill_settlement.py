"""`kill -9` around confirmations with usage: each that was answered is recorded exactly once, and the books agree.

At random moments, and at every point that a usage passes between its confirmation and the event store.
"""

import http.client
import json
import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tallybook.core.failpoints import Failpoint
from tests.conftest import LONG
from tests.contract.credit_calls import Ledger, done
from tests.contract.settlement_calls import MODEL, USAGE, record_prices
from tests.serving import ADMIN_KEY, ServerProcess

ROUNDS = 50 if LONG else 3
CONNECTIONS = 8
POINTS = (Failpoint.HALF_RECORDED, Failpoint.DELIVERY_BEGUN, Failpoint.DELIVERED, Failpoint.UNLINKED)
# The first commits of a start are none of a usage.
COMMITS = (Failpoint.BEFORE_COMMIT, Failpoint.AFTER_COMMIT)
# A busy ledger is delivered from every three seconds or so.
KILLS = [f"{point}:{times}" for point in POINTS for times in ((1, 2, 5, 10) if LONG else (2,))]
KILLS += [f"{point}:{times}" for point in COMMITS for times in ((20, 41, 62, 83) if LONG else (40,))]


class Caller(threading.Thread):
    """One connection that holds, confirms with usage and adds a native event, until the server is gone."""

    def __init__(self, url: str, account_id: str) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._account_id = account_id
        self.confirmed: dict[str, str] = {}
        """The usage of each transaction that was answered."""
        self.native: list[str] = []

    def run(self) -> None:
        hold = {"accountId": self._account_id, "amount": 1}
        try:
            while True:
                made = self._send("/v1/reservations/create", hold)["reservation"]["id"]
                settled = self._send("/v1/reservations/confirm", {"reservationId": made, "usage": USAGE})
                self.confirmed[settled["transactionId"]] = settled["usageId"]
                told = {"transaction_id": settled["transactionId"], "model": MODEL, "usage": {"input_tokens": 1}}
                self.native.append(self._send("/v1/events", told)["results"][0]["uid"])
        except (OSError, http.client.HTTPException):
            return  # the server was killed

    def _send(self, path: str, body: dict[str, Any]) -> Any:
        self._connection.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {ADMIN_KEY}"})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)


class Book:
    """A data folder with prices and accounts, whose server is killed and started again."""

    def __init__(self, data_dir: Path, accounts: list[str]) -> None:
        self.data_dir = data_dir
        self.accounts = accounts
        self.confirmed: dict[str, str] = {}
        self.native: list[str] = []

    def copied(self, data_dir: Path) -> "Book":
        shutil.copytree(self.data_dir, data_dir)
        return Book(data_dir, self.accounts)

    def callers(self, server: ServerProcess) -> list[Caller]:
        callers = [Caller(server.url, account_id) for account_id in self.accounts]
        for caller in callers:
            caller.start()
        return callers

    def end(self, callers: list[Caller]) -> None:
        for caller in callers:
            caller.join()
            self.confirmed.update(caller.confirmed)
            self.native.extend(caller.native)

    def check(self, server: ServerProcess) -> None:
        with server.client() as admin:
            await_ready(admin)
            verified = admin.get("/v1/verify").json()
            assert verified["difference"] is None
            found = [event for account_id in self.accounts for event in walk(admin, account_id)]
            counted = Counter(event["id"] for event in found)
            assert set(counted.values()) <= {1}
            settled = {event["id"]: f"usage_{event['uid']}" for event in found if event["source"]}
            assert self.confirmed.items() <= settled.items()
            assert set(self.native) <= {event["uid"] for event in found}
            # Whoever was not answered may have been charged, and then the usage is there as well.
            debits = done(Ledger(admin).get("/transactions"))["pagination"]["totalCount"] - CONNECTIONS
            assert len(settled) == debits
            assert verified["usage_records"] == len(found)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """Each test works on a copy."""
    return open_book(tmp_path_factory.mktemp("opened") / "data")


def open_book(data_dir: Path) -> Book:
    server = ServerProcess(data_dir).start()
    with server.client() as admin:
        record_prices(admin)
        ledger = Ledger(admin)
        accounts = [ledger.account(10**6) for _ in range(CONNECTIONS)]
    server.stop()
    return Book(data_dir, accounts)


def await_ready(admin: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while admin.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def walk(admin: httpx.Client, account_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = None
    while True:
        query = {"account_id": account_id, "limit": "1000", **({"page": page} if page else {})}
        answer = admin.get("/v1/events", params=query).raise_for_status().json()
        found.extend(answer["data"])
        page = answer["next_page"]
        if page is None:
            return found


def test_killed_at_random_moments(opened: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = random.Random(20260131)
    book = opened.copied(tmp_path / "data")
    server = ServerProcess(book.data_dir).start()
    for _ in range(ROUNDS):
        callers = book.callers(server)
        time.sleep(chosen.uniform(0.2, 1.2))
        server.kill()
        book.end(callers)
        server.start()
        book.check(server)
    server.stop()
    assert len(book.confirmed) > ROUNDS
    with capsys.disabled():
        print(f"\nkill -9: {ROUNDS} rounds, {len(book.confirmed)} confirmed usages, each recorded once")


@pytest.mark.parametrize("point", KILLS)
def test_killed_between_the_commit_and_the_delivery(opened: Book, tmp_path: Path, point: str) -> None:
    book = opened.copied(tmp_path / "data")
    server = ServerProcess(book.data_dir, failpoint=point).start()
    callers = book.callers(server)
    assert server.process is not None
    assert server.process.wait(timeout=60) == -9
    book.end(callers)
    server = ServerProcess(book.data_dir).start()
    book.check(server)
    server.stop()
