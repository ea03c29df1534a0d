"""Accounts, balances, credits added and deducted: sections 4 and 5 of the contract, over HTTP."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import Ledger, done, fault, refused, unique
from tests.serving import ServerProcess


@pytest.fixture
def ledger(admin: httpx.Client) -> Ledger:
    return Ledger(admin)


@pytest.fixture(scope="module")
def other(server: ServerProcess) -> Iterator[Ledger]:
    """The ledger of another org."""
    with server.client() as admin:
        admin.post("/v1/orgs", json={"id": "other", "name": "Other"}).raise_for_status()
        admin.headers["X-Org-Id"] = "other"
        yield Ledger(admin)


def test_create_answers_the_account(ledger: Ledger) -> None:
    external_id = unique("user")
    answer = done(
        ledger.post(
            "/accounts/create",
            name="Ada",
            externalId=external_id,
            email="ada@example.com",
            metadata={"plan": "pro", "n": 1},
        )
    )
    assert set(answer) == {"success", "account"}
    assert answer["success"] is True
    account = answer["account"]
    assert account.pop("id").startswith("acc_")
    assert account["createdAt"].endswith("Z")
    assert account.pop("createdAt") == account.pop("updatedAt")
    assert account == {
        "developerId": "dev_default",
        "externalId": external_id,
        "name": "Ada",
        "email": "ada@example.com",
        "balance": 0,
        "metadata": {"plan": "pro", "n": 1},
    }


def test_everything_of_an_account_is_optional(ledger: Ledger) -> None:
    for body in ({}, dict.fromkeys(("name", "externalId", "email", "metadata")), {"unknown": [1], "balance": 7}):
        account = done(ledger.post("/accounts/create", **body))["account"]
        assert [account[name] for name in ("externalId", "name", "email", "metadata", "balance")] == [None] * 4 + [0]


def test_an_external_id_names_one_account(ledger: Ledger, other: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(externalId=external_id)
    details = refused(ledger.post("/accounts/create", externalId=external_id), 409, "conflict")
    assert details == {"reason": "external_id_taken", "accountId": account_id}
    # Compared exactly, and in its own org only.
    for different in (external_id.upper(), f" {external_id}"):
        assert ledger.account(externalId=different) != account_id
    assert other.account(externalId=external_id) != account_id


def test_get_answers_the_bare_account(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(12, externalId=external_id)
    by_id = done(ledger.get("/accounts/get", accountId=account_id))
    assert "success" not in by_id
    assert (by_id["id"], by_id["balance"]) == (account_id, 12)
    assert by_id["updatedAt"] >= by_id["createdAt"]
    assert not {"reserved", "available"} & set(by_id)
    for query in ({"externalId": external_id}, {"accountId": account_id, "externalId": external_id}):
        assert done(ledger.get("/accounts/get", **query)) == by_id


def test_the_list_is_newest_first_and_whole(ledger: Ledger) -> None:
    made = [ledger.account() for _ in range(3)]
    answer = done(ledger.get("/accounts"))
    assert set(answer) == {"accounts"}
    assert [account["id"] for account in answer["accounts"][:3]] == made[::-1]
    assert answer["accounts"][0] == done(ledger.get("/accounts/get", accountId=made[-1]))


def test_the_list_has_pages_for_those_who_ask(ledger: Ledger) -> None:
    ledger.account()
    everything = done(ledger.get("/accounts"))["accounts"]
    total = len(everything)
    page = done(ledger.get("/accounts", limit=2))
    assert page == {
        "accounts": everything[:2],
        "pagination": {"limit": 2, "offset": 0, "totalCount": total, "hasMore": total > 2},
    }
    rest = done(ledger.get("/accounts", offset=total - 1))
    assert rest["accounts"] == everything[-1:]
    assert rest["pagination"] == {"limit": 50, "offset": total - 1, "totalCount": total, "hasMore": False}
    assert done(ledger.get("/accounts", limit=9_999))["pagination"]["limit"] == 500
    assert done(ledger.get("/accounts", offset=2**53 - 1))["accounts"] == []


# Balance, reserved and available.


def test_balance_is_bare_and_counts_holds(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(1000, externalId=external_id)
    ledger.hold(account_id, 150)
    for query in ({"accountId": account_id}, {"externalId": external_id}):
        assert done(ledger.get("/accounts/balance", **query)) == {
            "accountId": account_id,
            "externalId": external_id,
            "balance": 1000,
            "reserved": 150,
            "available": 850,
        }


# Add and deduct.


def test_add_raises_the_balance_and_writes_a_credit(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(externalId=external_id)
    answer = done(
        ledger.post(
            "/accounts/credits/add",
            externalId=external_id,
            amount=1000,
            description="Top-up",
            paymentMethod="stripe",
            metadata={"invoice": "in_1"},
        )
    )
    transaction_id = answer.pop("transactionId")
    assert answer == {
        "success": True,
        "accountId": account_id,
        "externalId": external_id,
        "balance": 1000,
        "added": 1000,
    }
    (entry,) = done(ledger.get("/transactions", accountId=account_id))["items"]
    assert (entry["id"], entry["type"], entry["amount"], entry["balanceAfter"]) == (
        transaction_id,
        "credit",
        1000,
        1000,
    )
    assert (entry["description"], entry["metadata"]) == ("Top-up", {"paymentMethod": "stripe", "invoice": "in_1"})


def test_the_caller_may_use_the_name_payment_method(ledger: Ledger) -> None:
    account_id = ledger.account()
    ledger.post(
        "/accounts/credits/add", accountId=account_id, amount=1, paymentMethod="a", metadata={"paymentMethod": 5}
    )
    (entry,) = done(ledger.get("/transactions", accountId=account_id))["items"]
    assert entry["metadata"] == {"paymentMethod": 5}


def test_twice_without_a_key_is_twice(ledger: Ledger) -> None:
    account_id = ledger.account()
    for balance in (5, 10):
        assert done(ledger.post("/accounts/credits/add", accountId=account_id, amount=5))["balance"] == balance


def test_deduct_lowers_the_balance_and_writes_a_debit(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    answer = done(ledger.post("/accounts/credits/deduct", accountId=account_id, amount=30, description="Fee"))
    assert answer.pop("transactionId").startswith("txn_")
    assert answer == {"success": True, "accountId": account_id, "externalId": None, "balance": 70, "deducted": 30}
    assert ledger.statement(account_id) == [("credit", 100, 100), ("debit", 30, 70)]


def test_deduct_is_tested_against_what_is_available(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    ledger.hold(account_id, 60)
    answer = ledger.post("/accounts/credits/deduct", accountId=account_id, amount=100)
    details = refused(answer, 402, "insufficient_credits")
    assert (details["available"], details["required"]) == (40, 100)
    assert ledger.balances(account_id) == (100, 60, 40)
    assert ledger.statement(account_id) == [("credit", 100, 100)]
    assert done(ledger.post("/accounts/credits/deduct", accountId=account_id, amount=40))["balance"] == 60


# Amounts are exact.


def test_fractions_are_exact(ledger: Ledger) -> None:
    account_id = ledger.account()
    for sent, balance in [
        ("0.1", "0.1"),
        ("0.2", "0.3"),
        ("0.000001", "0.300001"),
        ("1e-6", "0.300002"),
        ("1.50", "1.800002"),
        ("1E+2", "101.800002"),
        ("8589934490.199997", "8589934591.999999"),
    ]:
        body = f'{{"accountId": "{account_id}", "amount": {sent}}}'
        answer = ledger.send("/accounts/credits/add", body.encode())
        assert done(answer)["balance"] == Decimal(balance)
        assert f'"balance":{balance},' in answer.text  # plain digits
    ledger.verify()


def test_balances_have_a_ceiling(ledger: Ledger) -> None:
    account_id = ledger.account(Decimal("8589934591.999999"))
    for amount in (Decimal("0.000001"), 1, 8589934592, 10**17):
        answer = ledger.post("/accounts/credits/add", accountId=account_id, amount=amount)
        assert refused(answer, 409, "conflict")["reason"] == "above_ceiling"
    assert ledger.balances(account_id)[0] == Decimal("8589934591.999999")


# Which account.


ADDRESSED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/accounts/get", {}),
    ("GET", "/accounts/balance", {}),
    ("GET", "/reservations", {}),
    ("POST", "/accounts/credits/add", {"amount": 1}),
    ("POST", "/accounts/credits/deduct", {"amount": 1}),
    ("POST", "/transactions/create", {"type": "credit", "amount": 1}),
    ("POST", "/reservations/create", {"amount": 1}),
]


def call(ledger: Ledger, method: str, path: str, fields: dict[str, Any]) -> httpx.Response:
    return ledger.get(path, **fields) if method == "GET" else ledger.post(path, **fields)


@pytest.mark.parametrize(("method", "path", "rest"), ADDRESSED)
def test_every_operation_takes_either_id_and_both_if_they_agree(
    ledger: Ledger, other: Ledger, method: str, path: str, rest: dict[str, Any]
) -> None:
    external_id, stranger = unique("user"), ledger.account(5, externalId=unique("user"))
    account_id = ledger.account(5, externalId=external_id)
    foreign_id = other.account(5, externalId=unique("foreign"))
    for address in (
        {"accountId": account_id},
        {"externalId": external_id},
        {"external_id": external_id},
        {"accountId": account_id, "externalId": external_id},
        {"accountId": account_id, "externalId": None},
    ):
        present = {name: value for name, value in address.items() if value is not None or method == "POST"}
        assert call(ledger, method, path, {**rest, **present}).status_code == 200, address
    before = ledger.statement(account_id), ledger.statement(stranger), other.statement(foreign_id)
    assert fault(call(ledger, method, path, rest)) in ("accountId", "externalId")
    for address in (
        {"accountId": stranger, "externalId": external_id},
        {"accountId": account_id, "externalId": "nobody"},
        {"externalId": external_id, "external_id": "nobody"},
    ):
        assert fault(call(ledger, method, path, {**rest, **address})) in ("accountId", "externalId"), address
    for address in ({"accountId": "acc_nobody"}, {"externalId": external_id.upper()}, {"accountId": foreign_id}):
        refused(call(ledger, method, path, {**rest, **address}), 404, "not_found")
    assert (ledger.statement(account_id), ledger.statement(stranger), other.statement(foreign_id)) == before


def test_nothing_of_another_org_is_seen(ledger: Ledger, other: Ledger) -> None:
    theirs = other.account(5)
    assert theirs not in {account["id"] for account in done(ledger.get("/accounts"))["accounts"]}
    assert theirs in {account["id"] for account in done(other.get("/accounts"))["accounts"]}
    assert done(other.get("/accounts/get", accountId=theirs))["developerId"] == "dev_other"
    unknown = ledger.get("/accounts/get", accountId="acc_nobody")
    assert ledger.get("/accounts/get", accountId=theirs).content == unknown.content
