"""Many at once on one account or one hold: nothing is spent twice, and what was answered is what is so."""

import asyncio
import json
import random
import ssl
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tests.conftest import LONG
from tests.contract.credit_calls import Ledger, done, unique
from tests.serving import ADMIN_KEY, ServerProcess

CONNECTIONS = 64
RESERVATIONS, RACES = (2_000, 200) if LONG else (600, 12)
HELD = 60


@dataclass(frozen=True)
class Sent:
    """A keyed request and its answer, to be asked for again."""

    path: str
    body: dict[str, Any]
    key: str
    status: int
    content: bytes

    @property
    def answer(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Request:
    """To be sent no sooner than `delay` seconds after the start."""

    path: str
    body: dict[str, Any]
    delay: float = 0.0


class Crowd:
    """Sends requests over 64 connections, each as soon as the one before it on its connection is answered."""

    def __init__(self, server: ServerProcess, org_id: str = "default") -> None:
        self._url = server.url
        self._headers = {"Authorization": f"Bearer {ADMIN_KEY}", "X-Org-Id": org_id}
        self._tls = ssl.create_default_context()  # one for all: making it costs more than a hundred requests

    def send(self, requests: Sequence[Request]) -> list[Sent]:
        """The answers, in the order of the requests."""
        return asyncio.run(self._all([(request, unique("race")) for request in requests]))

    def check_replays(self, sent: Sequence[Sent]) -> None:
        """Each request is answered again as it was."""
        again = asyncio.run(self._all([(Request(each.path, each.body), each.key) for each in sent]))
        assert again == list(sent)

    async def _all(self, keyed: Sequence[tuple[Request, str]]) -> list[Sent]:
        waiting = deque(sorted(range(len(keyed)), key=lambda place: keyed[place][0].delay))
        answers: dict[int, Sent] = {}
        started = asyncio.get_running_loop().time()

        async def connection() -> None:
            async with httpx.AsyncClient(
                base_url=self._url, headers=self._headers, verify=self._tls, timeout=60
            ) as client:
                while waiting:
                    place = waiting.popleft()
                    request, key = keyed[place]
                    await asyncio.sleep(max(0.0, started + request.delay - asyncio.get_running_loop().time()))
                    answer = await client.post(
                        f"/v1{request.path}", json=request.body, headers={"Idempotency-Key": key}
                    )
                    answers[place] = Sent(request.path, request.body, key, answer.status_code, answer.content)

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        return [answers[place] for place in range(len(keyed))]


def test_one_hot_account_grants_exactly_what_it_has(server: ServerProcess, admin: httpx.Client) -> None:
    ledger, granted = Ledger(admin), RESERVATIONS // 3
    account_id = ledger.account(granted * 7)
    body = {"accountId": account_id, "amount": 7}
    sent = Crowd(server).send([Request("/reservations/create", body)] * RESERVATIONS)
    assert Counter(each.status for each in sent) == {200: granted, 402: RESERVATIONS - granted}
    held = {each.answer["reservation"]["id"] for each in sent if each.status == 200}
    assert len(held) == granted
    assert {each.answer["code"] for each in sent if each.status == 402} == {"insufficient_credits"}
    assert ledger.balances(account_id) == (granted * 7, granted * 7, 0)
    active = done(ledger.get("/reservations", accountId=account_id, activeOnly="true"))["reservations"]
    assert {reservation["id"] for reservation in active} == held
    ledger.verify()


# Two commands on one hold of 60 out of 100, RACES times. What the pair was answered decides what must be so.


@dataclass(frozen=True)
class Race:
    """An account with 100 credits and a hold of 60; `first` and `second` were sent about at once."""

    account_id: str
    reservation_id: str
    first: Sent
    second: Sent


Command = Callable[[str], Request]


def confirming(actual: int) -> Command:
    return lambda hold: Request("/reservations/confirm", {"reservationId": hold, "actualAmount": actual})


def cancelling(hold: str) -> Request:
    return Request("/reservations/cancel", {"reservationId": hold})


def races(crowd: Crowd, ledger: Ledger, first: Command, second: Command, *, at_expiry: bool = False) -> list[Race]:
    rng = random.Random(20260131)
    accounts = [ledger.account(100) for _ in range(RACES)]
    lasting = {"expiresInSeconds": 1} if at_expiry else {}
    made = crowd.send(
        [Request("/reservations/create", {"accountId": name, "amount": HELD, **lasting}) for name in accounts]
    )
    holds = [each.answer["reservation"]["id"] for each in made]
    requests: list[Request] = []
    for hold in holds:
        delay = rng.uniform(0.7, 1.0) if at_expiry else 0.0
        requests += [replace(first(hold), delay=delay), replace(second(hold), delay=delay + rng.uniform(0, 0.002))]
    sent = crowd.send(requests)
    crowd.check_replays([*made, *sent])
    return [
        Race(account_id, hold, *pair)
        for account_id, hold, pair in zip(accounts, holds, zip(sent[::2], sent[1::2], strict=True), strict=True)
    ]


def check(ledger: Ledger, race: Race, status: str, debited: int | None) -> None:
    """The hold is freed once and debited at most once, and reads say what the answers said."""
    reservation = ledger.reservation(race.account_id, race.reservation_id)
    assert reservation["status"] == status
    left = 100 - (debited or 0)
    assert ledger.balances(race.account_id) == (left, 0, left)
    debits = [] if debited is None else [("debit", debited, left)]
    assert ledger.statement(race.account_id) == [("credit", 100, 100), *debits]
    ids = {each.answer["transactionId"] for each in (race.first, race.second) if "transactionId" in each.answer}
    assert ids == (set() if debited is None else {reservation["transactionId"]})


def test_confirm_against_confirm(server: ServerProcess, admin: httpx.Client) -> None:
    ledger = Ledger(admin)
    for race in races(Crowd(server), ledger, confirming(50), confirming(40)):
        assert sorted((race.first.status, race.second.status)) == [200, 409]
        check(ledger, race, "confirmed", 50 if race.first.status == 200 else 40)
    ledger.verify()


def test_confirm_against_the_same_confirm(server: ServerProcess, admin: httpx.Client) -> None:
    ledger = Ledger(admin)
    for race in races(Crowd(server), ledger, confirming(50), confirming(50)):
        assert (race.first.status, race.first.content) == (200, race.second.content)
        check(ledger, race, "confirmed", 50)
    ledger.verify()


def test_confirm_against_cancel(server: ServerProcess, admin: httpx.Client) -> None:
    ledger = Ledger(admin)
    for race in races(Crowd(server), ledger, confirming(50), cancelling):
        assert sorted((race.first.status, race.second.status)) == [200, 409]
        if race.first.status == 200:
            check(ledger, race, "confirmed", 50)
        else:
            assert race.second.answer["releasedAmount"] == HELD
            check(ledger, race, "cancelled", None)
    ledger.verify()


@pytest.mark.parametrize("late_confirm", ["charge", "reject"])
def test_confirm_against_expiry(server: ServerProcess, admin: httpx.Client, late_confirm: str) -> None:
    org_id = f"expiry-{late_confirm}"
    admin.post("/v1/orgs", json={"id": org_id, "name": org_id}).raise_for_status()
    admin.patch(f"/v1/orgs/{org_id}/settings", json={"late_confirm": late_confirm}).raise_for_status()
    admin.headers["X-Org-Id"] = org_id
    ledger = Ledger(admin)
    for race in races(Crowd(server, org_id), ledger, confirming(50), confirming(50), at_expiry=True):
        statuses = (race.first.status, race.second.status)
        if late_confirm == "charge":
            assert statuses == (200, 200)
            assert race.first.content == race.second.content
        if 200 in statuses:
            assert statuses == (200, 200)
            late = race.first.answer["late"]
            assert race.first.answer["releasedAmount"] == (0 if late else HELD - 50)
            check(ledger, race, "confirmed", 50)
        else:
            assert statuses == (409, 409)
            assert race.first.answer["details"]["status"] == "expired"
            check(ledger, race, "expired", None)
    ledger.verify()


def test_cancel_against_expiry(server: ServerProcess, admin: httpx.Client) -> None:
    ledger = Ledger(admin)
    for race in races(Crowd(server), ledger, cancelling, cancelling, at_expiry=True):
        assert (race.first.status, race.second.status) == (200, 200)
        (status,) = {each.answer["status"] for each in (race.first, race.second)}
        released = sorted(each.answer["releasedAmount"] for each in (race.first, race.second))
        assert released == ([0, HELD] if status == "cancelled" else [0, 0])
        check(ledger, race, status, None)
    ledger.verify()
