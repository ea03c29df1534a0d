"""The ledger's lines: section 7 of the contract, over HTTP."""

import httpx
import pytest

from tests.contract.credit_calls import Ledger, done, fault, refused, unique


@pytest.fixture
def ledger(admin: httpx.Client) -> Ledger:
    return Ledger(admin)


def test_a_manual_entry_is_answered_whole(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(450, externalId=external_id)
    answer = done(
        ledger.post(
            "/transactions/create",
            externalId=external_id,
            type="credit",
            amount=100,
            description="Refund",
            metadata={"ticket": 7},
        )
    )
    assert set(answer) == {"success", "transaction"}
    entry = answer["transaction"]
    assert entry.pop("id").startswith("txn_")
    assert entry.pop("createdAt").endswith("Z")
    assert entry == {
        "accountId": account_id,
        "externalId": external_id,
        "type": "credit",
        "amount": 100,
        "description": "Refund",
        "balanceAfter": 550,
        "metadata": {"ticket": 7},
        "reservationId": None,
    }
    debit = done(ledger.post("/transactions/create", accountId=account_id, type="debit", amount=50))["transaction"]
    assert (debit["balanceAfter"], debit["description"], debit["metadata"]) == (500, None, {})


def test_a_debit_is_tested_against_what_is_available(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    ledger.hold(account_id, 60)
    answer = ledger.post("/transactions/create", accountId=account_id, type="debit", amount=41)
    assert refused(answer, 402, "insufficient_credits")["available"] == 40
    assert ledger.statement(account_id) == [("credit", 100, 100)]


@pytest.mark.parametrize("kind", [None, "", "Credit", "refund", 1, ["credit"]])
def test_the_type_is_credit_or_debit(ledger: Ledger, kind: object) -> None:
    account_id = ledger.account(5)
    assert fault(ledger.post("/transactions/create", accountId=account_id, type=kind, amount=1)) == "type"
    assert ledger.statement(account_id) == [("credit", 5, 5)]


def test_the_list_is_newest_first_in_pages(ledger: Ledger) -> None:
    account_id = ledger.account()
    for amount in range(1, 8):
        ledger.post("/accounts/credits/add", accountId=account_id, amount=amount)
    answer = done(ledger.get("/transactions", accountId=account_id))
    assert set(answer) == {"items", "pagination"}
    assert answer["pagination"] == {"limit": 50, "offset": 0, "totalCount": 7, "hasMore": False}
    assert [entry["amount"] for entry in answer["items"]] == [7, 6, 5, 4, 3, 2, 1]
    page = done(ledger.get("/transactions", accountId=account_id, limit=3, offset=2))
    assert [entry["amount"] for entry in page["items"]] == [5, 4, 3]
    assert page["pagination"] == {"limit": 3, "offset": 2, "totalCount": 7, "hasMore": True}
    beyond = done(ledger.get("/transactions", accountId=account_id, limit=9_999, offset=10**15))
    assert beyond["items"] == []
    assert beyond["pagination"] == {"limit": 500, "offset": 10**15, "totalCount": 7, "hasMore": False}


def test_without_an_account_it_is_the_whole_org(ledger: Ledger) -> None:
    accounts = [ledger.account(n) for n in (1, 2, 3)]
    items = done(ledger.get("/transactions", limit=3))["items"]
    assert [(entry["accountId"], entry["amount"]) for entry in items] == list(zip(accounts, (1, 2, 3), strict=True))[
        ::-1
    ]
    refused(ledger.get("/transactions", externalId="nobody"), 404, "not_found")


def test_dates_count_on_both_ends(ledger: Ledger) -> None:
    account_id = ledger.account(1)
    (entry,) = done(ledger.get("/transactions", accountId=account_id))["items"]
    at, day = entry["createdAt"], entry["createdAt"][:10]
    for inside in (
        {"startDate": day, "endDate": day},
        {"startDate": at, "endDate": at},
        {"startDate": "2020-01-01"},
        {"endDate": "2199-12-31"},
        {"startDate": f"{day}T00:00:00Z", "endDate": f"{day}T23:59:59.999999Z"},
        {"startDate": "", "endDate": ""},
    ):
        assert done(ledger.get("/transactions", accountId=account_id, **inside))["pagination"]["totalCount"] == 1
    for outside in (
        {"endDate": "2020-01-01"},
        {"startDate": "2199-12-31"},
        {"startDate": day, "endDate": "2020-01-01"},
    ):
        assert done(ledger.get("/transactions", accountId=account_id, **outside))["items"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "many"),
        ("limit", "1.5"),
        ("offset", "-1"),
        ("offset", "9007199254740992"),
        ("offset", "x"),
        ("startDate", "yesterday"),
        ("startDate", "2026-02-30"),
        ("startDate", "2026-01-31T12:00:00"),
        ("endDate", "1700000000"),
        ("endDate", "2026-1-1"),
    ],
)
def test_bad_numbers_and_dates(ledger: Ledger, name: str, value: str) -> None:
    assert fault(ledger.get("/transactions", **{name: value})) == name


def test_entries_of_reservations_bring_them_along_when_asked(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 30, operation="chat-completion")
    done(ledger.confirm(reservation_id, 20))
    plain = done(ledger.get("/transactions", accountId=account_id))["items"]
    assert all("reservation" not in entry for entry in plain)
    debit, credit = done(ledger.get("/transactions", accountId=account_id, include="usage,reservation,x"))["items"]
    assert debit["reservation"] == ledger.reservation(account_id, reservation_id)
    assert (debit["reservationId"], debit["description"]) == (reservation_id, "chat-completion")
    assert credit["reservation"] is None


def test_entries_stay_as_they_were_written(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    first = done(ledger.get("/transactions", accountId=account_id))["items"]
    ledger.post("/accounts/credits/deduct", accountId=account_id, amount=1)
    assert done(ledger.get("/transactions", accountId=account_id))["items"][1:] == first
