"""Recording usage: section 9.3 of the contract, over HTTP."""

import re
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import Ledger, done, fault, refused, unique
from tests.contract.settlement_calls import MODEL, USAGE, WHISPER, events, paid, put_price, record_prices, state
from tests.serving import ServerProcess


@pytest.fixture(scope="module")
def prices(server: ServerProcess) -> None:
    with server.client() as http:
        record_prices(http)


@pytest.fixture
def ledger(admin: httpx.Client, prices: None) -> Ledger:
    return Ledger(admin)


def record(ledger: Ledger, key: str | None = None, **fields: Any) -> httpx.Response:
    return ledger.post("/usage/record", key, **fields)


def test_of_a_customer(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(10, externalId=external_id)
    transaction_id = paid(ledger, account_id)
    before = ledger.balances(account_id)
    answer = done(
        record(
            ledger,
            context="customer",
            transactionId=transaction_id,
            externalId=external_id,
            modelId=MODEL,
            usageType="text",
            inputTokens=1500,
            outputTokens=500,
            cachedTokens=200,
            description="Chat",
            requestId="req-1",
            metadata={"b": 1, "a": [2]},
        )
    )
    assert set(answer) == {"success", "usageRecord"}
    shown = answer["usageRecord"]
    assert re.fullmatch(r"usage_[0-9a-f-]{36}", shown["id"])
    assert shown == {
        "id": shown["id"],
        "context": "customer",
        "accountId": account_id,
        "externalId": external_id,
        "transactionId": transaction_id,
        "modelId": MODEL,
        "usageType": "text",
        "inputTokens": 1500,
        "outputTokens": 500,
        "cachedTokens": 200,
        "audioDurationSeconds": None,
        "description": "Chat",
        "estimatedCostUsd": Decimal("0.0085"),
        "createdAt": shown["createdAt"],
    }
    assert ledger.balances(account_id) == before
    (event,) = events(ledger, transaction_id=transaction_id)
    assert (event["source"], event["kind"], event["request_id"]) == ("tallybook:credits", "completion", "req-1")
    assert (event["account_id"], event["context"], event["cost_usd"]) == (account_id, "customer", "0.0085")
    assert (event["metadata"], event["occurred_at"]) == ({"b": 1, "a": [2]}, shown["createdAt"])
    ledger.verify()


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"inputTokens": 1000, "outputTokens": 500}, "0.0075"),
        ({"inputTokens": 1200, "outputTokens": 380, "cachedTokens": 0}, "0.0068"),
        ({"inputTokens": 1500, "outputTokens": 500, "cachedTokens": 200}, "0.0085"),
        ({"inputTokens": 5000, "outputTokens": 1000, "cachedTokens": 2000}, "0.02"),
        ({"inputTokens": 1, "outputTokens": 0}, "0.0000025"),
        ({"inputTokens": 0, "outputTokens": 0}, "0"),
        ({"inputTokens": 1000, "outputTokens": 500, "audioDurationSeconds": 60}, "0.0075"),
        ({"modelId": WHISPER, "usageType": "audio_stt", "audioDurationSeconds": 90}, "0.009"),
        ({"modelId": WHISPER, "usageType": "audio_tts", "audioDurationSeconds": Decimal("0.5")}, "0.00005"),
        ({"modelId": WHISPER, "usageType": "audio_stt", "audioDurationSeconds": 60, "inputTokens": 5}, "0.006"),
        ({"modelId": "text-embedding-3-small", "usageType": "embedding", "inputTokens": 1000}, "0.00002"),
        ({"modelId": "house-model", "inputTokens": 7, "outputTokens": 7}, "0"),
    ],
)
def test_costs(ledger: Ledger, told: dict[str, Any], cost: str) -> None:
    sent: dict[str, Any] = {"modelId": MODEL, "usageType": "text", **told}
    answer = record(ledger, context="system", **sent)
    assert f'"estimatedCostUsd":{cost},' in answer.text  # plain digits, whatever the size
    shown = done(answer)["usageRecord"]
    for name in ("inputTokens", "outputTokens", "audioDurationSeconds"):
        assert shown[name] == told.get(name)


def test_the_system_has_no_account_whatever_is_sent(ledger: Ledger) -> None:
    told = {**USAGE, "accountId": "acc_none", "transactionId": "txn_none"}
    shown = done(record(ledger, context="system", **told))["usageRecord"]
    assert (shown["accountId"], shown["externalId"], shown["transactionId"]) == (None, None, None)


def test_several_records_may_share_a_transaction(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    transaction_id = paid(ledger, account_id)
    ids = {
        done(record(ledger, accountId=account_id, transactionId=transaction_id, **USAGE))["usageRecord"]["id"]
        for _ in range(3)
    }
    found = events(ledger, transaction_id=transaction_id)
    assert {f"usage_{event['uid']}" for event in found} == ids
    assert len(ids) == 3


def test_a_repeat_with_a_key_is_one_record(ledger: Ledger) -> None:
    account_id, key = ledger.account(10), unique("key")
    told = {**USAGE, "modelId": unique("model"), "accountId": account_id, "transactionId": paid(ledger, account_id)}
    put_price(ledger.http, told["modelId"], {"input_tokens": "1", "output_tokens": "1"}, "2020-01-01T00:00:00Z")
    first = record(ledger, key, **told)
    put_price(ledger.http, told["modelId"], {"input_tokens": "9", "output_tokens": "9"}, "2021-01-01T00:00:00Z")
    again = record(ledger, key, **told)
    assert first.content == again.content
    assert done(first)["usageRecord"]["estimatedCostUsd"] == Decimal("0.00158")
    assert len(events(ledger, account_id=account_id)) == 1
    other = record(ledger, key, **{**told, "inputTokens": 1})
    assert refused(other, 409, "conflict")["reason"] == "idempotency_key_reused"


CUSTOMER: dict[str, Any] = {**USAGE, "context": "customer"}
AUDIO = {"modelId": WHISPER, "usageType": "audio_stt"}


@pytest.mark.parametrize(
    ("told", "without", "field"),
    [
        ({"context": "nobody"}, (), "context"),
        ({"context": 5}, (), "context"),
        ({}, ("transactionId",), "transactionId"),
        ({}, ("accountId",), "accountId"),
        ({"externalId": "other"}, (), "externalId"),
        ({}, ("modelId",), "modelId"),
        ({"modelId": ""}, (), "modelId"),
        ({}, ("usageType",), "usageType"),
        ({"usageType": "video"}, (), "usageType"),
        ({}, ("inputTokens",), "inputTokens"),
        ({}, ("outputTokens",), "outputTokens"),
        ({"inputTokens": -1}, (), "inputTokens"),
        ({"inputTokens": Decimal("1.5")}, (), "inputTokens"),
        ({"inputTokens": "5"}, (), "inputTokens"),
        ({"inputTokens": 2**53}, (), "inputTokens"),
        ({"cachedTokens": 1201}, (), "cachedTokens"),
        ({"audioDurationSeconds": -1}, (), "audioDurationSeconds"),
        ({"audioDurationSeconds": "60"}, (), "audioDurationSeconds"),
        ({"audioDurationSeconds": 2**53}, (), "audioDurationSeconds"),
        (AUDIO, (), "audioDurationSeconds"),
        ({**AUDIO, "usageType": "audio_tts", "audioDurationSeconds": None}, (), "audioDurationSeconds"),
        ({"usageType": "embedding"}, ("inputTokens", "outputTokens"), "inputTokens"),
        ({"usageType": "embedding", "outputTokens": 5}, (), "outputTokens"),
        ({"metadata": [1]}, (), "metadata"),
        ({"description": "x" * 5000}, (), "description"),
    ],
)
def test_bad_input_names_its_field(ledger: Ledger, told: dict[str, Any], without: tuple[str, ...], field: str) -> None:
    account_id = ledger.account(10)
    sent = {**CUSTOMER, "accountId": account_id, "transactionId": paid(ledger, account_id), **told}
    before = state(ledger, account_id)
    assert fault(record(ledger, **{name: value for name, value in sent.items() if name not in without})) == field
    assert state(ledger, account_id) == before


def test_accounts_and_transactions_that_do_not_fit(ledger: Ledger, server: ServerProcess) -> None:
    mine, other = ledger.account(10), ledger.account(10)
    transaction_id, foreign = paid(ledger, mine), ""
    with server.client() as http:
        http.post("/v1/orgs", json={"id": "elsewhere", "name": "Elsewhere"})
        http.headers["X-Org-Id"] = "elsewhere"
        there = Ledger(http)
        foreign = paid(there, there.account(10))
    before = state(ledger, mine)
    refused(record(ledger, **CUSTOMER, accountId=mine, transactionId="txn_none"), 404, "not_found")
    refused(record(ledger, **CUSTOMER, accountId=mine, transactionId=foreign), 404, "not_found")
    refused(record(ledger, **CUSTOMER, accountId="acc_none", transactionId=transaction_id), 404, "not_found")
    assert fault(record(ledger, **CUSTOMER, accountId=other, transactionId=transaction_id)) == "transactionId"
    assert state(ledger, mine) == before


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"modelId": "no-such-model"}, "unknown_model"),
        ({"modelId": "no-such-model", "inputTokens": 0, "outputTokens": 0}, "unknown_model"),
        ({"modelId": WHISPER}, "unpriced_usage"),
        ({"usageType": "audio_stt", "audioDurationSeconds": 5}, "unpriced_usage"),
    ],
)
def test_what_has_no_price_is_not_recorded(ledger: Ledger, told: dict[str, Any], code: str) -> None:
    account_id = ledger.account(10)
    before = state(ledger, account_id)
    (error,) = refused(record(ledger, context="system", **{**USAGE, **told}), 400, code)["errors"]
    assert error["field"] == "modelId"
    assert state(ledger, account_id) == before
