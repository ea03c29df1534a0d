"""`kill -9` at every failpoint that a correction with a refund passes: money and correction both, or neither."""

import shutil
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tallybook.core.failpoints import Failpoint
from tests.conftest import LONG
from tests.contract.correction_calls import corrected
from tests.contract.credit_calls import Ledger, done
from tests.contract.settlement_calls import confirm_with, record_prices
from tests.crash.test_kill_settlement import await_ready
from tests.serving import ServerProcess

USAGES = 8
CHARGED = Decimal("0.68")
BALANCE = 100

POINTS = {
    # How often the server passes each before it dies there: some corrections are through by then, some to come.
    Failpoint.FLUSH_BEGUN: 12,
    Failpoint.HALF_POSTED: 4,
    Failpoint.HALF_CORRECTED: 4,
    Failpoint.EFFECT_DONE: 4,
    Failpoint.JOB_DONE: 12,
    Failpoint.BEFORE_COMMIT: 12,
    Failpoint.AFTER_COMMIT: 12,
    Failpoint.DELIVERY_BEGUN: 4,
    Failpoint.DELIVERED: 4,
}


class Book:
    """Paid usages of one account in a data folder, and what became of them."""

    def __init__(self, data_dir: Path, account_id: str, uids: list[str]) -> None:
        self.data_dir = data_dir
        self.account_id = account_id
        self.uids = uids
        self.answered: dict[str, bytes] = {}

    def copied(self, data_dir: Path) -> "Book":
        shutil.copytree(self.data_dir, data_dir)
        return Book(data_dir, self.account_id, self.uids)

    def correct_until_killed(self, server: ServerProcess) -> None:
        with server.client() as http:
            try:
                for uid in self.uids:
                    self.answered[uid] = void(http, uid).content
            except httpx.TransportError:
                return
        raise AssertionError("the server outlived every correction")

    def check(self, http: httpx.Client) -> set[str]:
        """The usages that are voided, each of which is paid back."""
        voided = {uid for uid in self.uids if http.get(f"/v1/events/{uid}").status_code == 404}
        assert set(self.answered) <= voided
        assert Ledger(http).balances(self.account_id)[0] == BALANCE - CHARGED * (USAGES - len(voided))
        verified = http.get("/v1/verify").raise_for_status().json()
        assert (verified["difference"], verified["corrections"]) == (None, len(voided))
        return voided


def void(http: httpx.Client, uid: str) -> httpx.Response:
    asked = {"expected_revision": 1, "refund": True}
    answer = http.post(f"/v1/events/{uid}/void", json=asked, headers={"Idempotency-Key": f"void {uid}"})
    assert corrected(answer)["correction"]["refund"]["credits"] == str(CHARGED)
    return answer


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Book:
    data_dir = tmp_path_factory.mktemp("paid") / "data"
    server = ServerProcess(data_dir).start()
    with server.client() as http:
        record_prices(http)
        ledger = Ledger(http)
        account_id = ledger.account(BALANCE)
        settled = [done(confirm_with(ledger, ledger.hold(account_id, 1))) for _ in range(USAGES)]
    server.stop()
    return Book(data_dir, account_id, [each["usageId"].removeprefix("usage_") for each in settled])


SOME = (Failpoint.HALF_CORRECTED, Failpoint.BEFORE_COMMIT, Failpoint.AFTER_COMMIT, Failpoint.DELIVERED)


@pytest.mark.parametrize("point", POINTS if LONG else SOME)
def test_money_and_correction_are_both_there_or_neither(paid: Book, tmp_path: Path, point: Failpoint) -> None:
    book = paid.copied(tmp_path / "data")
    server = ServerProcess(book.data_dir, failpoint=f"{point}:{POINTS[point]}").start()
    book.correct_until_killed(server)
    assert server.process is not None
    assert server.process.wait(timeout=60) == -9
    server = ServerProcess(book.data_dir).start()
    with server.client() as http:
        await_ready(http)
        assert 0 < len(book.check(http)) < USAGES
        # Asked for again, each is done once, and answered as it was.
        again = {uid: void(http, uid).content for uid in book.uids}
        assert book.answered.items() <= again.items()
        assert book.check(http) == set(book.uids)
    server.stop()
