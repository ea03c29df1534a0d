"""Holds made from estimates, confirmations with usage, and native events that name a transaction, over HTTP."""

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import LONG
from tests.contract.credit_calls import Ledger, done, fault, refused, unique
from tests.contract.settlement_calls import (
    MODEL,
    USAGE,
    WHISPER,
    confirm_with,
    events,
    paid,
    put_price,
    record_prices,
    state,
)
from tests.serving import ServerProcess

SINCE = (f"2021-01-01T00:00:{second:02}Z" for second in itertools.count())


@pytest.fixture(scope="module")
def prices(server: ServerProcess) -> None:
    with server.client() as http:
        record_prices(http)


@pytest.fixture
def ledger(admin: httpx.Client, prices: None) -> Ledger:
    return Ledger(admin)


@pytest.fixture
def dear(server: ServerProcess) -> Iterator[Ledger]:
    """An org whose credits are a tenth of a dollar, with a margin of a quarter."""
    with server.client() as admin:
        admin.post("/v1/orgs", json={"id": "dear", "name": "Dear"})
        admin.headers["X-Org-Id"] = "dear"
        settings = {"credits_per_usd": "10", "markup_percent": "25"}
        admin.patch("/v1/orgs/dear/settings", json=settings).raise_for_status()
        if not admin.get("/v1/prices").json()["data"]:
            record_prices(admin)
        yield Ledger(admin)


def estimated(ledger: Ledger, account_id: str, key: str | None = None, **estimate: Any) -> httpx.Response:
    wanted = {"modelId": MODEL, "inputTokens": 1000, "maxOutputTokens": 500, **estimate}
    return ledger.post("/reservations/create", key, accountId=account_id, estimate=wanted)


def test_one_call_settlement(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    hold = done(estimated(ledger, account_id))["reservation"]
    assert hold["amount"] == Decimal("0.75")
    assert ledger.balances(account_id) == (100, Decimal("0.75"), Decimal("99.25"))
    settled = done(confirm_with(ledger, hold["id"], requestId="req-7", metadata={"a": 1}, description="Chat"))
    assert settled == {
        "success": True,
        "reservationId": hold["id"],
        "transactionId": settled["transactionId"],
        "accountId": account_id,
        "externalId": None,
        "status": "confirmed",
        "reservedAmount": Decimal("0.75"),
        "actualAmount": Decimal("0.68"),
        "releasedAmount": Decimal("0.07"),
        "late": False,
        "balance": Decimal("99.32"),
        "reserved": 0,
        "available": Decimal("99.32"),
        "usageId": settled["usageId"],
    }
    (event,) = events(ledger, account_id=account_id)
    assert f"usage_{event['uid']}" == settled["usageId"]
    assert (event["source"], event["id"]) == ("tallybook:confirm", settled["transactionId"])
    assert (event["transaction_id"], event["context"]) == (settled["transactionId"], "customer")
    assert (event["request_id"], event["metadata"], event["description"]) == ("req-7", {"a": 1}, "Chat")
    assert (event["cost_usd"], event["usage"]["input_tokens"]) == ("0.0068", 1200)
    ledger.verify()


def test_usage_is_found_by_the_request_that_it_names_or_else_by_its_own_id(ledger: Ledger) -> None:
    account_id, named = ledger.account(100), unique("request")
    settled = done(confirm_with(ledger, ledger.hold(account_id, 1)))
    recorded = {"transactionId": settled["transactionId"], "accountId": account_id, **USAGE}
    on_its_own = done(ledger.post("/usage/record", **recorded))["usageRecord"]["id"].removeprefix("usage_")
    other = done(confirm_with(ledger, ledger.hold(account_id, 1), requestId=named))
    found = {name: events(ledger, request_id=name) for name in (settled["transactionId"], on_its_own, named)}
    assert [[f"usage_{each['uid']}" for each in found[name]] for name in (settled["transactionId"], named)] == [
        [settled["usageId"]],
        [other["usageId"]],
    ]
    assert [each["uid"] for each in found[on_its_own]] == [on_its_own]
    assert events(ledger, request_id=other["transactionId"]) == []


def test_an_org_s_own_tariff_is_rounded_once(dear: Ledger) -> None:
    account_id = dear.account(100)
    hold = done(estimated(dear, account_id, inputTokens=1, maxOutputTokens=0))["reservation"]
    assert hold["amount"] == Decimal("0.000032")  # 0.0000025 USD x 12.5 is 0.00003125: up
    settled = done(confirm_with(dear, hold["id"], inputTokens=1, outputTokens=0))
    assert settled["actualAmount"] == Decimal("0.000031")  # half-even
    hold_id = done(estimated(dear, account_id))["reservation"]["id"]
    assert done(confirm_with(dear, hold_id))["actualAmount"] == Decimal("0.085")


def test_a_free_model_is_charged_nothing(ledger: Ledger) -> None:
    account_id = ledger.account(1)
    hold = done(estimated(ledger, account_id, modelId="house-model"))["reservation"]
    assert hold["amount"] == Decimal("0.000001")
    assert done(confirm_with(ledger, hold["id"], modelId="house-model"))["actualAmount"] == 0
    assert ledger.balances(account_id) == (1, 0, 1)


def test_audio_is_estimated_and_settled_by_its_seconds(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    estimate = {"modelId": WHISPER, "usageType": "audio_stt", "audioDurationSeconds": 60}
    hold = done(ledger.post("/reservations/create", accountId=account_id, estimate=estimate))["reservation"]
    assert hold["amount"] == Decimal("0.6")
    usage = {"modelId": WHISPER, "usageType": "audio_stt", "audioDurationSeconds": Decimal("30.5")}
    settled = done(ledger.post("/reservations/confirm", reservationId=hold["id"], usage=usage))
    assert settled["actualAmount"] == Decimal("0.305")


def test_the_same_usage_again_is_the_first_answer_again_whatever_it_would_cost_now(ledger: Ledger) -> None:
    account_id, model = ledger.account(10), unique("model")
    put_price(ledger.http, model, {"input_tokens": "1", "output_tokens": "1"}, next(SINCE))
    hold_id = ledger.hold(account_id, 1)
    first = confirm_with(ledger, hold_id, modelId=model, metadata={"a": 1})
    put_price(ledger.http, model, {"input_tokens": "900", "output_tokens": "900"}, next(SINCE))
    before = state(ledger, account_id)
    assert confirm_with(ledger, hold_id, modelId=model, metadata={"a": 1}).content == first.content
    put_price(ledger.http, model, {"images": "1"}, next(SINCE))  # and now it has no price at all
    assert confirm_with(ledger, hold_id, modelId=model, metadata={"a": 1}).content == first.content
    others: list[dict[str, Any]] = [
        {"inputTokens": 1201},
        {"metadata": {"a": 2}},
        {"requestId": "r"},
        {"modelId": MODEL},
    ]
    for other in others:
        usage: dict[str, Any] = {"modelId": model, "metadata": {"a": 1}, **other}
        details = refused(confirm_with(ledger, hold_id, **usage), 409, "conflict")
        assert details["status"] == "confirmed"
    assert state(ledger, account_id) == before


def test_with_and_without_usage(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    plain, told = ledger.hold(account_id, 1), ledger.hold(account_id, 1)
    done(ledger.confirm(plain, Decimal("0.68")))
    refused(confirm_with(ledger, plain), 409, "conflict")
    settled = done(confirm_with(ledger, told))
    assert done(ledger.confirm(told, Decimal("0.68")))["transactionId"] == settled["transactionId"]
    refused(ledger.confirm(told, 1), 409, "conflict")


def test_a_key_replays_both_byte_for_byte(ledger: Ledger) -> None:
    account_id, model, keys = ledger.account(10), unique("model"), (unique("key"), unique("key"))
    put_price(ledger.http, model, {"input_tokens": "1", "output_tokens": "1"}, next(SINCE))
    made = estimated(ledger, account_id, keys[0], modelId=model)
    hold_id = done(made)["reservation"]["id"]
    settled = confirm_with(ledger, hold_id, keys[1], modelId=model)
    put_price(ledger.http, model, {"images": "1"}, next(SINCE))
    assert estimated(ledger, account_id, keys[0], modelId=model).content == made.content
    assert confirm_with(ledger, hold_id, keys[1], modelId=model).content == settled.content
    assert len(events(ledger, account_id=account_id)) == 1


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"modelId": "no-such-model"}, "unpriced_usage"),
        ({"modelId": WHISPER}, "unpriced_usage"),
        ({"usageType": "audio_tts", "audioDurationSeconds": 5}, "unpriced_usage"),
        ({"modelId": None}, "invalid_request"),
        ({"usageType": "video"}, "invalid_request"),
        ({"usageType": None}, "invalid_request"),
        ({"outputTokens": None}, "invalid_request"),
        ({"cachedTokens": 1201}, "invalid_request"),
        ({"usageType": "audio_stt"}, "invalid_request"),
        ({"inputTokens": -1}, "invalid_request"),
        ({"audioDurationSeconds": "5"}, "invalid_request"),
        ({"audioDurationSeconds": 2**53}, "invalid_request"),
    ],
)
def test_what_cannot_be_charged_leaves_the_hold(ledger: Ledger, told: dict[str, Any], code: str) -> None:
    account_id = ledger.account(10)
    hold_id = ledger.hold(account_id, 1)
    before = state(ledger, account_id)
    (error,) = refused(confirm_with(ledger, hold_id, **told), 400, code)["errors"]
    assert error["field"].startswith("usage.")
    assert state(ledger, account_id) == before
    assert ledger.reservation(account_id, hold_id)["status"] == "pending"
    done(confirm_with(ledger, hold_id))


def test_a_charge_that_is_not_covered_records_nothing(ledger: Ledger) -> None:
    account_id = ledger.account(1)
    hold_id = ledger.hold(account_id, 1)
    before = state(ledger, account_id)
    refused(confirm_with(ledger, hold_id, inputTokens=10**7), 402, "overrun")
    refused(confirm_with(ledger, hold_id, inputTokens=2**53 - 1), 400, "unpriced_usage")
    refused(confirm_with(ledger, "res_none"), 404, "not_found")
    assert state(ledger, account_id) == before
    done(ledger.cancel(hold_id))
    before = state(ledger, account_id)
    refused(confirm_with(ledger, hold_id), 409, "conflict")
    assert state(ledger, account_id) == before


def test_amounts_and_what_they_follow_from_exclude_each_other(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    hold_id = ledger.hold(account_id, 1)
    before = state(ledger, account_id)
    estimate = {"modelId": MODEL, "inputTokens": 1, "maxOutputTokens": 1}
    both = ledger.post("/reservations/create", accountId=account_id, amount=1, estimate=estimate)
    assert fault(both) == "amount"
    assert fault(ledger.post("/reservations/create", accountId=account_id)) == "amount"
    both = ledger.post("/reservations/confirm", reservationId=hold_id, actualAmount=1, usage=USAGE)
    assert fault(both) == "actualAmount"
    assert fault(ledger.post("/reservations/confirm", reservationId=hold_id)) == "actualAmount"
    for wrong in (5, True, "x"):
        assert fault(ledger.post("/reservations/confirm", reservationId=hold_id, usage=wrong)) == "usage"
    wrong_estimates: list[tuple[dict[str, Any], str]] = [
        ({"modelId": MODEL, "inputTokens": 1}, "estimate.maxOutputTokens"),
        ({"inputTokens": 1, "maxOutputTokens": 1}, "estimate.modelId"),
        ({"modelId": MODEL, "inputTokens": 1, "maxOutputTokens": 1, "cachedTokens": 2}, "estimate.cachedTokens"),
    ]
    for told, field in wrong_estimates:
        assert fault(ledger.post("/reservations/create", accountId=account_id, estimate=told)) == field
    refused(estimated(ledger, account_id, modelId="no-such-model"), 400, "unpriced_usage")
    refused(estimated(ledger, account_id, inputTokens=10**8), 402, "insufficient_credits")
    assert state(ledger, account_id) == before


def native(ledger: Ledger, *told: dict[str, Any]) -> httpx.Response:
    sent = [{"model": MODEL, "usage": {"input_tokens": 10, "output_tokens": 1}, **each} for each in told]
    return ledger.http.post("/v1/events", json={"events": sent})


def test_a_native_event_takes_its_account_from_its_transaction(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    transaction_id, id_ = paid(ledger, account_id), unique("event")
    told = [
        {"id": id_, "transaction_id": transaction_id},
        {"id": unique("event"), "transaction_id": transaction_id, "account_id": account_id},
        {"id": unique("event")},
    ]
    assert native(ledger, *told).json()["inserted"] == 3
    found = events(ledger, transaction_id=transaction_id)
    assert [event["account_id"] for event in found] == [account_id, account_id]
    # What the server filled in is no content: the same event again is a duplicate.
    assert native(ledger, told[0]).json()["duplicates"] == 1
    assert native(ledger, {**told[0], "account_id": account_id}).json()["conflicts"] == 1
    ledger.verify()


def test_a_native_event_must_fit_its_transaction(ledger: Ledger, dear: Ledger) -> None:
    account_id, other = ledger.account(10), ledger.account(10)
    transaction_id, foreign = paid(ledger, account_id), paid(dear, dear.account(10))
    before = state(ledger, account_id)
    answer = native(
        ledger,
        {"transaction_id": transaction_id},
        {"transaction_id": "txn_none"},
        {"transaction_id": foreign},
        {"transaction_id": transaction_id, "account_id": other},
    )
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [
        ["events", 1, "transaction_id"],
        ["events", 2, "transaction_id"],
        ["events", 3, "account_id"],
    ]
    assert state(ledger, account_id) == before


def test_own_writes_are_read_at_once(ledger: Ledger) -> None:
    account_id = ledger.account(10**6)
    for number in range(1, (1000 if LONG else 60) + 1):
        hold_id = ledger.hold(account_id, 1)
        settled = done(confirm_with(ledger, hold_id))
        for look in READS if LONG else [READS[number % len(READS)]]:
            look(ledger, account_id, number, settled)


def in_the_query(ledger: Ledger, account_id: str, number: int, settled: dict[str, Any]) -> None:
    query = {"account_id": account_id, "bucket": "all", "start": "2026-01-01T00:00:00Z"}
    (bucket,) = ledger.http.get("/v1/usage/query", params=query).json()["data"]
    assert [row["requests"] for row in bucket["results"]] == [number]


def in_the_events(ledger: Ledger, account_id: str, number: int, settled: dict[str, Any]) -> None:
    assert events(ledger, account_id=account_id, limit=1)[0]["id"] == settled["transactionId"]


def as_an_event(ledger: Ledger, account_id: str, number: int, settled: dict[str, Any]) -> None:
    event = ledger.http.get(f"/v1/events/{settled['usageId'].removeprefix('usage_')}").json()
    assert event["transaction_id"] == settled["transactionId"]


def in_the_records(ledger: Ledger, account_id: str, number: int, settled: dict[str, Any]) -> None:
    found = done(ledger.get("/usage", accountId=account_id))["usageRecords"]
    assert (len(found), found[0]["id"]) == (number, settled["usageId"])


def in_the_summary(ledger: Ledger, account_id: str, number: int, settled: dict[str, Any]) -> None:
    assert done(ledger.get("/usage", accountId=account_id, summary="true"))["summary"]["recordCount"] == number


def with_its_transaction(ledger: Ledger, account_id: str, number: int, settled: dict[str, Any]) -> None:
    page = done(ledger.get("/transactions", accountId=account_id, include="usage", limit=1))
    assert [record["id"] for record in page["items"][0]["usageRecords"]] == [settled["usageId"]]


READS = (in_the_query, in_the_events, as_an_event, in_the_records, in_the_summary, with_its_transaction)


def test_an_outbox_that_is_full_refuses_new_usage_and_loses_none(tmp_path: Path) -> None:
    """Events cannot be stored, as the disk is said to be full, so what is confirmed waits."""
    data_dir = tmp_path / "data"
    server = ServerProcess(data_dir, outbox_events_max=3, disk_reserve_bytes=2**62).start()
    with server.client() as http:
        ledger = Ledger(http)
        record_prices(http)
        account_id = ledger.account(10)
        holds = [ledger.hold(account_id, 1) for _ in range(5)]
        for hold_id in holds[:3]:
            done(confirm_with(ledger, hold_id))
        assert http.get("/readyz").json()["reason"] == "too much usage waits for the event store"
        assert "tallybook_outbox_events 3.0" in http.get("/metrics").text
        full = confirm_with(ledger, holds[3])
        refused(full, 503, "outbox_full")
        assert full.headers["retry-after"]
        refused(ledger.post("/usage/record", context="system", **USAGE), 503, "outbox_full")
        done(confirm_with(ledger, holds[0]))  # what was answered is answered
        done(ledger.confirm(holds[4], 1))  # and what brings no usage goes on
        assert ledger.reservation(account_id, holds[3])["status"] == "pending"
        assert http.get("/v1/events").status_code == 503  # rather than an answer that lacks some
    server.stop()
    server = ServerProcess(data_dir, outbox_events_max=3).start()
    with server.client() as http:
        ledger = Ledger(http)
        assert len(events(ledger)) == 3
        done(confirm_with(ledger, holds[3]))
        assert len(events(ledger)) == 4
        ledger.verify()
    server.stop()
