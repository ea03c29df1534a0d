"""`Idempotency-Key` on every POST of the credits dialect (design rule 2, contract section 3.9)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import Ledger, done, refused, unique
from tests.serving import ServerProcess

Example = tuple[str, dict[str, Any]]


@pytest.fixture
def ledger(admin: httpx.Client) -> Ledger:
    return Ledger(admin)


@pytest.fixture(scope="module")
def shared(server: ServerProcess) -> Iterator[Ledger]:
    """Safe to share between threads."""
    with server.client() as admin:
        yield Ledger(admin)


def examples(ledger: Ledger) -> Iterator[Example]:
    """One request per POST that changes something, with what it needs."""
    account_id = ledger.account(1000)
    address = {"accountId": account_id}
    yield "/accounts/create", {"externalId": unique("user"), "metadata": {"a": 1.5}}
    yield "/accounts/credits/add", {**address, "amount": 0.1, "metadata": {"b": [1e400, 1.10]}}
    yield "/accounts/credits/deduct", {**address, "amount": 1.000001, "description": "é"}
    yield "/transactions/create", {**address, "type": "debit", "amount": 3}
    yield "/reservations/create", {**address, "amount": 4, "operation": "chat"}
    yield "/reservations/confirm", {"reservationId": ledger.hold(account_id, 5), "actualAmount": 0}
    yield "/reservations/cancel", {"reservationId": ledger.hold(account_id, 6)}
    yield "/reservations/extend", {"reservationId": ledger.hold(account_id, 7), "expiresInSeconds": 60}


def refusals(ledger: Ledger) -> Iterator[Example]:
    """One request per way to be refused by what is stored."""
    taken, account_id = unique("user"), ledger.account(10)
    ledger.account(externalId=taken)
    address = {"accountId": account_id}
    confirmed, cancelled, held = (ledger.hold(account_id, 1) for _ in range(3))
    done(ledger.confirm(confirmed, 1))
    done(ledger.cancel(cancelled))
    yield "/accounts/create", {"externalId": taken}
    yield "/accounts/credits/add", {**address, "amount": 10**10}
    yield "/accounts/credits/deduct", {**address, "amount": 100}
    yield "/transactions/create", {**address, "type": "debit", "amount": 100}
    yield "/reservations/create", {**address, "amount": 100}
    yield "/reservations/confirm", {"reservationId": held, "actualAmount": 100}
    yield "/reservations/confirm", {"reservationId": confirmed, "actualAmount": 2}
    yield "/reservations/confirm", {"reservationId": cancelled, "actualAmount": 1}
    yield "/reservations/cancel", {"reservationId": confirmed}
    yield "/reservations/extend", {"reservationId": cancelled, "expiresInSeconds": 60}


def sent(ledger: Ledger, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    return ledger.send(path, json.dumps(body).replace("Infinity", "1e400").encode(), key)


def test_a_repeat_is_answered_byte_for_byte_and_does_nothing(ledger: Ledger) -> None:
    for path, body in examples(ledger):
        key = unique("key")
        first = sent(ledger, path, body, key)
        assert first.status_code == 200, first.text
        before = done(ledger.get("/transactions"))["pagination"]["totalCount"], done(ledger.get("/accounts"))
        for _ in range(2):
            again = sent(ledger, path, body, key)
            assert (again.status_code, again.content) == (200, first.content), path
            assert again.headers["content-type"] == first.headers["content-type"]
        assert (done(ledger.get("/transactions"))["pagination"]["totalCount"], done(ledger.get("/accounts"))) == before
        other = sent(ledger, path, {**body, "other": 1}, key)
        assert refused(other, 409, "conflict")["reason"] == "idempotency_key_reused"
    ledger.verify()


def test_a_refusal_is_repeated_though_the_reason_has_gone(ledger: Ledger) -> None:
    for path, body in refusals(ledger):
        key = unique("key")
        unkeyed, first = sent(ledger, path, body, ""), sent(ledger, path, body, key)
        assert first.status_code in (402, 409), first.text
        assert first.content == unkeyed.content
        if "accountId" in body:
            ledger.post("/accounts/credits/add", accountId=body["accountId"], amount=1_000)
        again = sent(ledger, path, body, key)
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        if "accountId" in body:
            ledger.post("/accounts/credits/deduct", accountId=body["accountId"], amount=1_000)


def test_other_errors_are_not_kept(ledger: Ledger) -> None:
    key, external_id = unique("key"), unique("late")
    body = {"externalId": external_id, "amount": 5}
    refused(sent(ledger, "/accounts/credits/add", body, key), 404, "not_found")
    ledger.account(externalId=external_id)
    assert done(sent(ledger, "/accounts/credits/add", body, key))["balance"] == 5
    key, account_id = unique("key"), ledger.account()
    refused(
        sent(ledger, "/accounts/credits/add", {"accountId": account_id, "amount": "5"}, key), 400, "invalid_request"
    )
    assert done(sent(ledger, "/accounts/credits/add", {"accountId": account_id, "amount": 5}, key))["balance"] == 5


def test_a_key_belongs_to_its_path_and_org(ledger: Ledger) -> None:
    key, account_id = unique("key"), ledger.account(10)
    body = {"accountId": account_id, "amount": 5}
    assert done(sent(ledger, "/accounts/credits/add", body, key))["balance"] == 15
    assert done(sent(ledger, "/accounts/credits/deduct", body, key))["balance"] == 10
    # A doubled slash is the same path.
    assert done(sent(ledger, "//accounts/credits/deduct", body, key))["balance"] == 10
    assert ledger.statement(account_id) == [("credit", 10, 10), ("credit", 5, 15), ("debit", 5, 10)]


@pytest.mark.parametrize("key", ["", "x" * 256, "sp\u00e4t", "a\tb"])
def test_a_key_is_printable_ascii(ledger: Ledger, key: str) -> None:
    account_id = ledger.account()
    for path in ("accounts/credits/add", "reservations/create"):
        headers = {b"Idempotency-Key": key.encode()}
        answer = ledger.http.post(f"/v1/{path}", json={"accountId": account_id, "amount": 5}, headers=headers)
        refused(answer, 400, "invalid_request")
    assert ledger.statement(account_id) == []


def test_many_at_once_under_one_key_are_one(shared: Ledger) -> None:
    account_id = shared.account(100)
    body, key = {"accountId": account_id, "amount": 5}, unique("key")
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda _: sent(shared, "/reservations/create", body, key), range(64)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].status_code == 200
    assert shared.balances(account_id) == (100, 5, 95)


def test_confirming_under_other_keys_is_still_one_debit(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 10)
    answers = {ledger.confirm(reservation_id, 7, unique("key")).content for _ in range(3)}
    assert len(answers) == 1
    assert ledger.statement(account_id) == [("credit", 100, 100), ("debit", 7, 93)]


def test_a_user_named_like_a_key_repeats_nothing_of_it(ledger: Ledger) -> None:
    def add(key: dict[str, Any]) -> int:
        headers = {"Authorization": f"Bearer {key['key']}", "Idempotency-Key": "the same"}
        body = {"accountId": account_id, "amount": 1}
        answer = ledger.http.post("/v1/accounts/credits/add", json=body, headers=headers)
        balance: int = done(answer)["balance"]
        return balance

    def made(**more: str) -> dict[str, Any]:
        answer = ledger.http.post("/v1/keys", json={"name": "k", "role": "org_admin", **more})
        assert answer.status_code in (200, 201), answer.text
        key: dict[str, Any] = answer.json()
        return key

    account_id = ledger.account(0)
    key = made()
    namesake = made(user_id=key["id"])
    assert [add(key), add(namesake), add(key)] == [1, 2, 1]
