"""Corrections of usage that the ledger charged: money and correction in one, and what the credits dialect shows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.contract.correction_calls import amend, correct, corrected, places, recorded, refused
from tests.contract.credit_calls import Ledger, done, unique
from tests.contract.settlement_calls import WHISPER, confirm_with, paid, record_prices
from tests.serving import ServerProcess

CHARGED = Decimal("0.68")


@pytest.fixture(scope="module")
def ledger(server: ServerProcess) -> Iterator[Ledger]:
    with server.client() as http:
        record_prices(http)
        yield Ledger(http)


def used(ledger: Ledger, account_id: str, **usage: Any) -> tuple[str, str]:
    """The uid of a confirmed usage, and its transaction."""
    settled = done(confirm_with(ledger, ledger.hold(account_id, 1), **usage))
    return settled["usageId"].removeprefix("usage_"), settled["transactionId"]


def refunding(http: httpx.Client, uid: str, revision: int, key: str | None = None, **fields: Any) -> httpx.Response:
    return correct(http, uid, "amend", key, expected_revision=revision, set=fields, refund=True)


def test_an_amendment_gives_back_what_it_makes_too_much(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    uid, transaction_id = used(ledger, account_id)
    event = corrected(refunding(ledger.http, uid, 1, usage={"input_tokens": 600, "output_tokens": 190}))
    assert event["cost_usd"] == "0.0034"
    assert "refunded" not in event
    refund = event["correction"]["refund"]
    assert refund["credits"] == "0.34"
    newest, *_ = done(ledger.get("/transactions", accountId=account_id))["items"]
    assert (newest["id"], newest["type"], newest["amount"]) == (refund["transaction_id"], "credit", Decimal("0.34"))
    assert newest["description"] == f"Refund of {transaction_id}"
    assert newest["metadata"] == {
        "refundOf": transaction_id,
        "usageId": f"usage_{uid}",
        "correctionId": event["correction"]["id"],
    }
    assert ledger.balances(account_id)[0] == Decimal("9.66")
    ledger.verify()


def test_a_void_gives_back_all_that_is_left(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    uid, _ = used(ledger, account_id)
    corrected(refunding(ledger.http, uid, 1, cost_usd="0.0017"))
    void = corrected(correct(ledger.http, uid, "void", expected_revision=2, refund=True))
    assert void["correction"]["refund"]["credits"] == "0.17"
    assert ledger.balances(account_id)[0] == 10
    corrected(correct(ledger.http, uid, "restore", expected_revision=2))
    problem = refused(refunding(ledger.http, uid, 3, cost_usd="0"), 409, "nothing_to_refund")
    assert problem["event"]["revision"] == 3
    assert ledger.balances(account_id)[0] == 10
    ledger.verify()


def test_without_a_refund_only_the_usage_changes(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    uid, _ = used(ledger, account_id)
    assert corrected(amend(ledger.http, uid, 1, cost_usd="0"))["correction"]["refund"] is None
    assert ledger.balances(account_id)[0] == 10 - CHARGED
    # And is still there to be given back.
    assert corrected(correct(ledger.http, uid, "void", expected_revision=2, refund=True))["correction"]["refund"]
    assert ledger.balances(account_id)[0] == 10


def test_what_was_free_gives_all_back_once_it_is_voided(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    free = recorded(ledger.http, transaction_id=paid(ledger, account_id, 9), cost_usd="0")
    refused(refunding(ledger.http, free, 1, description="a typo"), 409, "nothing_to_refund")
    assert ledger.balances(account_id)[0] == 1
    corrected(correct(ledger.http, free, "void", expected_revision=1, refund=True))
    assert ledger.balances(account_id)[0] == 10


def test_what_costs_nothing_any_more_is_refunded(ledger: Ledger) -> None:
    uid, _ = used(ledger, ledger.account(10))
    assert corrected(refunding(ledger.http, uid, 1, cost_usd="0"))["refunded"] is True
    assert corrected(amend(ledger.http, uid, 2, description="checked"))["refunded"] is True
    assert "refunded" not in corrected(amend(ledger.http, uid, 3, cost_usd="1"))


def test_usage_of_the_same_transaction_keeps_its_share(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    transaction_id = paid(ledger, account_id, 9)
    one = recorded(ledger.http, transaction_id=transaction_id, cost_usd="1")
    two = recorded(ledger.http, transaction_id=transaction_id, cost_usd="2")
    first = corrected(correct(ledger.http, one, "void", expected_revision=1, refund=True))
    assert first["correction"]["refund"]["credits"] == "3"
    second = corrected(correct(ledger.http, two, "void", expected_revision=1, refund=True))
    assert second["correction"]["refund"]["credits"] == "6"
    assert ledger.balances(account_id)[0] == 10
    ledger.verify()


@pytest.mark.parametrize("refund", [True, False])
def test_what_a_void_gave_back_is_not_given_back_again(ledger: Ledger, refund: bool) -> None:
    account_id = ledger.account(10)
    transaction_id = paid(ledger, account_id, 9)
    one, _ = (recorded(ledger.http, transaction_id=transaction_id, cost_usd=usd) for usd in ("1", "2"))
    corrected(correct(ledger.http, one, "void", expected_revision=1, refund=refund))
    refunded = {"status_active": True, "units_used": 0, "cost_usd": 0}
    assert ledger.http.put(f"/usage/{one}", json=refunded).status_code == 200
    assert corrected(ledger.http.get(f"/v1/events/{one}"))["refunded"] is True
    assert ledger.balances(account_id)[0] == 1 + 3
    ledger.verify()


def test_what_was_restored_or_amended_up_again_gets_no_second_share(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    transaction_id = paid(ledger, account_id, 9)
    one, two = (recorded(ledger.http, transaction_id=transaction_id, cost_usd=usd) for usd in ("1", "2"))
    halved = corrected(refunding(ledger.http, one, 1, cost_usd="0.5"))
    assert halved["correction"]["refund"]["credits"] == "1.5"
    corrected(amend(ledger.http, one, 2, cost_usd="1"))
    void = corrected(correct(ledger.http, one, "void", expected_revision=3, refund=True))
    assert void["correction"]["refund"]["credits"] == "1.5"
    corrected(correct(ledger.http, one, "restore", expected_revision=3))
    refused(correct(ledger.http, one, "void", expected_revision=4, refund=True), 409, "nothing_to_refund")
    assert ledger.balances(account_id)[0] == 1 + 3
    corrected(correct(ledger.http, one, "void", expected_revision=4))
    last = corrected(correct(ledger.http, two, "void", expected_revision=1, refund=True))
    assert last["correction"]["refund"]["credits"] == "6"
    ledger.verify()


def test_while_other_usage_has_no_known_cost_nothing_is_given_back(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    transaction_id = paid(ledger, account_id, 9)
    known = recorded(ledger.http, transaction_id=transaction_id, cost_usd="1")
    blank = recorded(ledger.http, transaction_id=transaction_id, model=unique("unknown"), usage={"input_tokens": 5})
    answer = correct(ledger.http, known, "void", expected_revision=1, refund=True)
    assert places(refused(answer, 422, "invalid")) == {"refund"}
    assert ledger.balances(account_id)[0] == 1
    corrected(correct(ledger.http, blank, "void", expected_revision=1))
    void = corrected(correct(ledger.http, known, "void", expected_revision=1, refund=True))
    assert void["correction"]["refund"]["credits"] == "9"
    ledger.verify()


def test_voids_at_once_add_up_to_the_debit(ledger: Ledger) -> None:
    at_once = 6
    accounts = [ledger.account(10) for _ in range(8)]
    with ThreadPoolExecutor(at_once) as callers:
        for account_id in accounts:
            transaction_id = paid(ledger, account_id, 9)
            uids = [recorded(ledger.http, transaction_id=transaction_id, cost_usd="0.5") for _ in range(at_once)]
            for answer in callers.map(
                lambda uid: correct(ledger.http, uid, "void", expected_revision=1, refund=True), uids
            ):
                corrected(answer)
    assert [ledger.balances(account_id)[0] for account_id in accounts] == [10] * len(accounts)
    ledger.verify()


def test_a_repeat_gives_back_once(ledger: Ledger) -> None:
    account_id, key = ledger.account(10), unique("key")
    uid, _ = used(ledger, account_id)
    first = refunding(ledger.http, uid, 1, key, cost_usd="0.0034")
    corrected(first)
    corrected(amend(ledger.http, uid, 2, cost_usd="5"))
    assert refunding(ledger.http, uid, 1, key, cost_usd="0.0034").content == first.content
    assert ledger.balances(account_id)[0] == Decimal("9.66")


def test_what_cannot_be_given_back_corrects_nothing(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    uid, _ = used(ledger, account_id)
    refused(refunding(ledger.http, uid, 1, cost_usd="0.0068"), 409, "nothing_to_refund")
    refused(refunding(ledger.http, uid, 1, cost_usd="9"), 409, "nothing_to_refund")
    assert places(refused(refunding(ledger.http, uid, 1, model=unique("unknown")), 422, "invalid")) == {"refund"}
    credit = done(ledger.post("/accounts/credits/add", accountId=account_id, amount=1))["transactionId"]
    gift = recorded(ledger.http, transaction_id=credit, cost_usd="1")
    refused(correct(ledger.http, gift, "void", expected_revision=1, refund=True), 409, "nothing_to_refund")
    plain = recorded(ledger.http, cost_usd="1")
    assert places(refused(refunding(ledger.http, plain, 1, cost_usd="0"), 422, "invalid")) == {"refund"}
    for each in (uid, gift, plain):
        assert ledger.http.get(f"/v1/events/{each}").json()["revision"] == 1
    assert ledger.balances(account_id)[0] == 11 - CHARGED
    ledger.verify()


@pytest.mark.parametrize("field", ["account_id", "context"])
def test_what_the_transaction_says_cannot_be_set(ledger: Ledger, field: str) -> None:
    uid, _ = used(ledger, ledger.account(10))
    answer = amend(ledger.http, uid, 1, **{field: "system"})
    assert places(refused(answer, 422, "invalid")) == {f"set.{field}"}


def test_only_what_was_charged_is_rated(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    told = {"modelId": WHISPER, "usageType": "audio_stt", "audioDurationSeconds": 60, "inputTokens": 5}
    settled = done(ledger.post("/reservations/confirm", reservationId=ledger.hold(account_id, 1), usage=told))
    uid = settled["usageId"].removeprefix("usage_")
    event = corrected(refunding(ledger.http, uid, 1, usage={"audio_seconds": 30, "input_tokens": 5}))
    assert (event["pricing"], event["cost_usd"], event["correction"]["refund"]["credits"]) == ("priced", "0.003", "0.3")


def test_credits_shows_usage_as_it_is_in_force(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    uid, transaction_id = used(ledger, account_id)
    corrected(refunding(ledger.http, uid, 1, usage={"input_tokens": 600, "output_tokens": 190}))

    def shown() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = done(ledger.get("/usage", accountId=account_id))["usageRecords"]
        (debit,) = [
            entry
            for entry in done(ledger.get("/transactions", accountId=account_id, include="usage"))["items"]
            if entry["id"] == transaction_id
        ]
        assert debit["amount"] == CHARGED
        assert debit.get("usageRecords", []) == found
        return found

    (record,) = shown()
    assert (record["inputTokens"], record["estimatedCostUsd"]) == (600, Decimal("0.0034"))
    summary = done(ledger.get("/usage", accountId=account_id, summary="true"))["summary"]
    assert (summary["totalCostUsd"], summary["recordCount"]) == (Decimal("0.0034"), 1)
    corrected(correct(ledger.http, uid, "void", expected_revision=2))
    assert shown() == []
    assert done(ledger.get("/usage", accountId=account_id, summary="true"))["summary"]["recordCount"] == 0
