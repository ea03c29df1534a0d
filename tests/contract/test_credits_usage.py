"""Usage as it is read: sections 7.2, 9.4 and 9.5 of the contract, over HTTP. Recording has tests of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import Ledger, Number, done, fault, refused, unique
from tests.serving import ServerProcess

RECORD_FIELDS = {
    "id",
    "context",
    "accountId",
    "externalId",
    "transactionId",
    "modelId",
    "usageType",
    "inputTokens",
    "outputTokens",
    "cachedTokens",
    "audioDurationSeconds",
    "description",
    "estimatedCostUsd",
    "createdAt",
}
Record = Mapping[str, Any]


@pytest.fixture(scope="module")
def prices(server: ServerProcess) -> None:
    """GPT-4o, its little sister and Whisper at the prices of the contract, for every org that the tests use."""
    sheets = {
        "gpt-4o": {"input_tokens": "2.5", "output_tokens": "10", "cache_read_tokens": "1.25"},
        "gpt-4o-mini": {"input_tokens": "0.15", "output_tokens": "0.6"},
        "whisper-1": {"audio_seconds": "100"},
    }
    with server.client() as http:
        for model, usd in sheets.items():
            rates = {unit: {"per": 10**6, "usd": text} for unit, text in usd.items()}
            wanted = {"model": model, "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
            http.put("/v1/prices", json=wanted).raise_for_status()


@pytest.fixture
def ledger(admin: httpx.Client, prices: None) -> Ledger:
    return Ledger(admin)


def send(ledger: Ledger, *events: Mapping[str, Any]) -> list[str]:
    """Native events; the ids of their records."""
    answer = ledger.http.post("/v1/events", json={"events": events})
    assert answer.status_code == 200, answer.text
    return [f"usage_{result['uid']}" for result in answer.json()["results"]]


def records(ledger: Ledger, **query: Any) -> list[Record]:
    answer = done(ledger.get("/usage", **query))
    assert (set(answer), answer["success"]) == ({"success", "usageRecords"}, True)
    found: list[Record] = answer["usageRecords"]
    assert all(set(record) == RECORD_FIELDS for record in found)
    return found


def ids(ledger: Ledger, **query: Any) -> list[str]:
    return [record["id"] for record in records(ledger, **query)]


def summary(ledger: Ledger, **query: Any) -> dict[str, Any]:
    answer = done(ledger.get("/usage", summary="true", **query))
    assert (set(answer), answer["success"]) == ({"success", "summary"}, True)
    found: dict[str, Any] = answer["summary"]
    return found


def paid(ledger: Ledger, account_id: str, amount: Number = 10) -> str:
    """The id of a transaction that settled a hold."""
    transaction_id: str = done(ledger.confirm(ledger.hold(account_id, amount), amount))["transactionId"]
    return transaction_id


def record(ledger: Ledger, **fields: Any) -> Record:
    tokens = {"inputTokens": 1500, "outputTokens": 500, "cachedTokens": 200}
    told: dict[str, Any] = {"modelId": "gpt-4o", "usageType": "text", **tokens, **fields}
    answer: Record = done(ledger.post("/usage/record", **told))["usageRecord"]
    return answer


# Records.


def test_a_recorded_usage_is_listed_as_it_was_answered(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(100, externalId=external_id)
    transaction_id = paid(ledger, account_id)
    made = record(ledger, accountId=account_id, transactionId=transaction_id, description="Chat completion")
    assert records(ledger, accountId=account_id) == [made]
    assert made["id"].startswith("usage_")
    assert {name: value for name, value in made.items() if name not in ("id", "createdAt")} == {
        "context": "customer",
        "accountId": account_id,
        "externalId": external_id,
        "transactionId": transaction_id,
        "modelId": "gpt-4o",
        "usageType": "text",
        "inputTokens": 1500,
        "outputTokens": 500,
        "cachedTokens": 200,
        "audioDurationSeconds": None,
        "description": "Chat completion",
        "estimatedCostUsd": Decimal("0.0085"),
    }


def test_every_recorded_form_is_listed_as_it_was_answered(ledger: Ledger) -> None:
    forms: Sequence[dict[str, Any]] = (
        {"cachedTokens": None},
        {"usageType": "embedding", "outputTokens": None},
        {"modelId": "whisper-1", "usageType": "audio_stt", "audioDurationSeconds": Decimal("12.5")},
        {"modelId": "whisper-1", "usageType": "audio_tts", "audioDurationSeconds": 0, "inputTokens": None,
         "outputTokens": None, "cachedTokens": None},
    )  # fmt: skip
    made = [record(ledger, context="system", **form) for form in forms]
    assert [made[name]["cachedTokens"] for name in range(4)] == [0, 200, 200, None]
    listed = {each["id"]: each for each in records(ledger, context="system")}
    assert [listed[each["id"]] for each in made] == made


def test_a_native_event_shows_what_a_record_can(ledger: Ledger) -> None:
    account_id = unique("account")
    (completion, sandbox, unpriced) = send(
        ledger,
        {
            "kind": "response",
            "model": "gpt-4o",
            "provider": "openai",
            "account_id": account_id,
            "usage": {"input_tokens": 100, "audio_seconds": 1.5},
            "cost_usd": "0.000000000001",
            "description": "said",
            "occurred_at": "2024-01-15T10:00:00Z",
        },
        {"kind": "sandbox", "account_id": account_id, "usage": {"operations": 3}},
        {"kind": "embedding", "model": "nobody's", "account_id": account_id, "usage": {"input_tokens": 5}},
    )
    found = {each["id"]: each for each in records(ledger) if each["accountId"] == account_id}
    assert found[completion] == {
        "id": completion,
        "context": None,
        "accountId": account_id,
        "externalId": None,
        "transactionId": None,
        "modelId": "gpt-4o",
        "usageType": "text",
        "inputTokens": 100,
        "outputTokens": None,
        "cachedTokens": 0,
        "audioDurationSeconds": Decimal("1.5"),
        "description": "said",
        "estimatedCostUsd": Decimal("0.000000000001"),
        "createdAt": "2024-01-15T10:00:00Z",
    }
    names = ("modelId", "usageType", "inputTokens", "cachedTokens", "estimatedCostUsd")
    assert [found[sandbox][name] for name in names] == [None, None, None, None, 0]
    assert [found[unpriced][name] for name in names] == ["nobody's", "embedding", 5, 0, None]


@pytest.mark.parametrize(
    ("kind", "usage_type"),
    [
        ("completion", "text"),
        ("response", "text"),
        ("decision", "text"),
        ("extract", "text"),
        ("classify", "text"),
        ("moderation", "text"),
        ("embedding", "embedding"),
        ("audio_transcription", "audio_stt"),
        ("audio_speech", "audio_tts"),
        ("image", None),
        ("sandbox", None),
        ("api_call", None),
        ("a kind nobody knows", None),
    ],
)
def test_kinds_have_their_usage_type(ledger: Ledger, kind: str, usage_type: str | None) -> None:
    model = unique("model")
    (made,) = send(ledger, {"kind": kind, "model": model})
    (found,) = records(ledger, modelId=model)
    assert (found["id"], found["usageType"]) == (made, usage_type)
    for asked in ("text", "embedding", "audio_stt", "audio_tts"):
        assert ids(ledger, modelId=model, usageType=asked) == ([made] if asked == usage_type else [])


# Filters.


def test_filters_hold_together(ledger: Ledger) -> None:
    users = [unique("user"), unique("user")]
    accounts = [ledger.account(100, externalId=user) for user in users]
    payments = [paid(ledger, account) for account in accounts for _ in range(2)]
    made = [
        record(ledger, accountId=accounts[number // 2], transactionId=payment, modelId=model)
        for number, payment in enumerate(payments)
        for model in ("gpt-4o", "gpt-4o-mini")
    ]
    made.append(record(ledger, context="system"))
    for query in (
        {"accountId": accounts[0]},
        {"externalId": users[1]},
        {"accountId": accounts[1], "externalId": users[1]},
        {"accountId": accounts[0], "modelId": "gpt-4o-mini"},
        {"transactionId": payments[1]},
        {"transactionId": payments[1], "modelId": "gpt-4o", "context": "customer", "usageType": "text"},
        {"accountId": accounts[0], "transactionId": payments[3]},
        {"accountId": accounts[0], "context": "system"},
        {"transactionId": "txn_nobody"},
    ):
        fitting = [each for each in reversed(made) if query.items() <= each.items()]
        assert records(ledger, **query) == fitting
        assert summary(ledger, **query) == folded(fitting)


def test_dates_count_whole_and_instants_themselves(ledger: Ledger) -> None:
    model = unique("model")
    stamps = ("2023-12-31T23:59:59.999999Z", "2024-01-01T00:00:00Z", "2024-01-15T10:00:00Z",
              "2024-01-31T23:59:59.999999Z", "2024-02-01T00:00:00Z")  # fmt: skip
    before, first, middle, last, after = send(
        ledger, *({"model": model, "occurred_at": stamp, "cost_usd": "1"} for stamp in stamps)
    )
    for start, end, fitting in (
        ("2024-01-01", "2024-01-31", [last, middle, first]),
        ("2024-01-31", "2024-01-31", [last]),
        ("2024-01-02", "2024-01-14", []),
        (None, "2023-12-31", [before]),
        ("2024-02-01", None, [after]),
        (None, None, [after, last, middle, first, before]),
        ("2024-01-15T10:00:00Z", "2024-01-15T10:00:00Z", [middle]),
        ("2024-01-15T10:00:00.000001Z", "2024-01-31T23:59:59.999998Z", []),
        ("2024-01-15T11:00:00+01:00", "2024-02-01T00:00:00Z", [after, last, middle]),
        ("0001-01-01", "9999-12-31", [after, last, middle, first, before]),
    ):
        window = {name: text for name, text in (("startDate", start), ("endDate", end)) if text is not None}
        assert ids(ledger, modelId=model, **window) == fitting
        assert summary(ledger, modelId=model, **window)["totalCostUsd"] == len(fitting)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"startDate": "yesterday"}, "startDate"),
        ({"endDate": "2024-02-30"}, "endDate"),
        ({"endDate": "2024-01-01T00:00:00"}, "endDate"),
        ({"startDate": "2024-01-02", "endDate": "2024-01-01"}, "endDate"),
        ({"context": "both"}, "context"),
        ({"usageType": "video"}, "usageType"),
        ({"summary": "perhaps"}, "summary"),
        ({"limit": 0}, "limit"),
        ({"offset": -1}, "offset"),
        ({"accountId": "a\x00b"}, "accountId"),
    ],
)
def test_a_fault_names_its_field(ledger: Ledger, query: dict[str, Any], field: str) -> None:
    assert fault(ledger.get("/usage", **query)) == field


def test_an_account_must_be_known_and_its_names_agree(ledger: Ledger) -> None:
    users = [unique("user"), unique("user")]
    accounts = [ledger.account(externalId=user) for user in users]
    for query in ({"accountId": "acc_nobody"}, {"externalId": "nobody"}):
        for shape in ({}, {"summary": "true"}):
            refused(ledger.get("/usage", **query, **shape), 404, "not_found")
    assert fault(ledger.get("/usage", accountId=accounts[0], externalId=users[1])) == "externalId"


# Order and pages.


def test_pages_are_cut_from_the_whole_list(ledger: Ledger) -> None:
    model = unique("model")
    stamps = [f"2024-01-{1 + number % 5:02}T00:00:00Z" for number in range(23)]
    send(ledger, *({"model": model, "occurred_at": stamp} for stamp in stamps))
    whole = records(ledger, modelId=model)
    assert [each["createdAt"] for each in whole] == sorted(stamps, reverse=True)
    for offset in range(0, 30, 7):
        answer = done(ledger.get("/usage", modelId=model, limit=7, offset=offset))
        assert answer == {
            "success": True,
            "usageRecords": whole[offset : offset + 7],
            "pagination": {"limit": 7, "offset": offset, "totalCount": 23, "hasMore": offset + 7 < 23},
        }
    far = done(ledger.get("/usage", modelId=model, limit=9_999, offset=2**53 - 1))
    assert (far["usageRecords"], far["pagination"]["limit"]) == ([], 500)


def test_a_long_list_comes_whole(ledger: Ledger) -> None:
    model = unique("model")
    sent = send(ledger, *({"model": model} for _ in range(2_345)))
    assert sorted(ids(ledger, modelId=model)) == sorted(sent)


def test_an_answer_beyond_the_bound_is_refused_and_its_parts_are_not(tmp_path: Path) -> None:
    running = ServerProcess(tmp_path / "small", list_rows_max=3, query_rows_max=1).start()
    try:
        with running.client() as http:
            ledger = Ledger(http)
            send(ledger, *({"model": "m"} for _ in range(3)))
            assert len(records(ledger)) == 3
            send(ledger, {"model": "other"})
            refused(ledger.get("/usage"), 400, "too_many_results")
            assert len(records(ledger, modelId="m")) == 3
            assert len(done(ledger.get("/usage", limit=4))["usageRecords"]) == 4
            refused(ledger.get("/usage", summary="true"), 400, "too_many_results")
            assert summary(ledger, modelId="m")["recordCount"] == 3
    finally:
        running.stop()


# Summary.


def test_nothing_is_zeros(ledger: Ledger) -> None:
    assert summary(ledger, modelId=unique("model")) == {
        "totalCostUsd": 0,
        "totalInputTokens": 0,
        "totalOutputTokens": 0,
        "totalCachedTokens": 0,
        "totalAudioDurationSeconds": 0,
        "byContext": {"customer": 0, "system": 0},
        "byModel": {},
        "recordCount": 0,
        "unpricedCount": 0,
    }


def test_the_filter_is_for_every_figure(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    transaction_id = paid(ledger, account_id)
    record(ledger, accountId=account_id, transactionId=transaction_id)
    record(ledger, context="system")
    found = summary(ledger, accountId=account_id, context="customer")
    assert found["byContext"] == {"customer": Decimal("0.0085"), "system": 0}
    assert found["byModel"] == {"gpt-4o": {"costUsd": Decimal("0.0085"), "count": 1}}
    assert (found["totalCostUsd"], found["recordCount"]) == (Decimal("0.0085"), 1)


def test_a_count_is_of_records_whatever_they_stand_for(ledger: Ledger) -> None:
    model = unique("model")
    send(
        ledger,
        {"model": model, "usage": {"requests": 5}, "cost_usd": "0.1"},
        {"model": model, "usage": {"requests": 0}, "cost_usd": "0.2"},
        {"model": model, "usage": {"requests": 7, "input_tokens": 9}},
    )
    found = summary(ledger, modelId=model)
    assert (found["recordCount"], found["unpricedCount"]) == (3, 1)
    assert found["byModel"] == {model: {"costUsd": Decimal("0.3"), "count": 3}}


def test_usage_without_model_or_context_stands_under_no_name(ledger: Ledger) -> None:
    day = {"startDate": "2001-02-03", "endDate": "2001-02-03"}
    at = {"occurred_at": "2001-02-03T04:05:06Z"}
    send(ledger, {**at, "cost_usd": "1"}, {**at, "cost_usd": "2", "context": "system", "model": "m"})
    found = summary(ledger, **day)
    assert found["byContext"] == {"customer": 0, "system": 2, "": 1}
    assert found["byModel"] == {"m": {"costUsd": 2, "count": 1}, "": {"costUsd": 1, "count": 1}}
    assert found["totalCostUsd"] == 3


def test_summaries_are_the_sums_of_their_records(server: ServerProcess) -> None:
    random = Random(20_240_115)
    with server.client() as http:
        http.post("/v1/orgs", json={"id": "sums", "name": "Sums"}).raise_for_status()
        http.headers["X-Org-Id"] = "sums"
        ledger = Ledger(http)
        send(ledger, *(_random_event(random) for _ in range(400)))
        whole = records(ledger)
        assert len(whole) == 400
        assert summary(ledger) == folded(whole)
        for _ in range(30):
            choices: dict[str, Sequence[str]] = {
                "context": ("customer", "system"),
                "modelId": ("a", "b", "c"),
                "usageType": ("text", "embedding", "audio_stt"),
            }
            query = {name: random.choice(texts) for name, texts in choices.items() if random.random() < 0.5}
            fitting = [each for each in whole if query.items() <= each.items()]
            assert records(ledger, **query) == fitting
            assert summary(ledger, **query) == folded(fitting)


def _random_event(random: Random) -> dict[str, Any]:
    usage = {
        name: random.randrange(10**9)
        for name in ("output_tokens", "requests", "audio_seconds")
        if random.random() < 0.5
    }
    if random.random() < 0.7:
        usage["input_tokens"] = random.randrange(10**9)
        usage["cache_read_tokens"] = random.randrange(usage["input_tokens"] + 1)
    event: dict[str, Any] = {
        "kind": random.choice(["completion", "embedding", "audio_transcription", "sandbox"]),
        "model": random.choice(["a", "b", "c", None]),
        "context": random.choice(["customer", "system", None]),
        "usage": usage,
    }
    if random.random() < 0.8:
        event["cost_usd"] = f"{random.randrange(10**4)}.{random.randrange(10**12):012}"
    return event


def folded(found: Iterable[Record]) -> dict[str, Any]:
    """The summary of these records."""
    total: dict[str, Any] = {
        "totalCostUsd": Decimal(0),
        "totalInputTokens": 0,
        "totalOutputTokens": 0,
        "totalCachedTokens": 0,
        "totalAudioDurationSeconds": Decimal(0),
        "byContext": {"customer": Decimal(0), "system": Decimal(0)},
        "byModel": {},
        "recordCount": 0,
        "unpricedCount": 0,
    }
    for each in found:
        usd = each["estimatedCostUsd"] or 0
        total["totalCostUsd"] += usd
        total["totalInputTokens"] += each["inputTokens"] or 0
        total["totalOutputTokens"] += each["outputTokens"] or 0
        total["totalCachedTokens"] += each["cachedTokens"] or 0
        total["totalAudioDurationSeconds"] += each["audioDurationSeconds"] or 0
        total["recordCount"] += 1
        total["unpricedCount"] += each["estimatedCostUsd"] is None
        context, model = each["context"] or "", each["modelId"] or ""
        total["byContext"][context] = total["byContext"].get(context, 0) + usd
        of_model = total["byModel"].setdefault(model, {"costUsd": Decimal(0), "count": 0})
        of_model["costUsd"] += usd
        of_model["count"] += 1
    return total


# Transactions with their usage.


def test_transactions_show_their_usage_if_asked(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    payments = [paid(ledger, account_id) for _ in range(3)]
    made = [
        record(ledger, accountId=account_id, transactionId=payments[number], description=str(index))
        for index, number in enumerate((0, 2, 0))
    ]
    (sent,) = send(ledger, {"model": "gpt-4o", "transaction_id": payments[2], "usage": {"input_tokens": 1}})
    items = done(ledger.get("/transactions", accountId=account_id, include="usage"))["items"]
    shown = {item["id"]: item["usageRecords"] for item in items}
    assert shown[payments[0]] == [made[2], made[0]]
    assert shown[payments[1]] == []
    assert {each["id"] for each in shown[payments[2]]} == {made[1]["id"], sent}
    assert all(item["usage"] == item["usageRecords"] for item in items)
    assert all("reservation" not in item for item in items)


def test_what_may_be_included(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    transaction_id = paid(ledger, account_id)
    made = record(ledger, accountId=account_id, transactionId=transaction_id)
    for include in ("reservation,usage", "usage,reservation", "usage,nonsense,reservation"):
        debit, credit = done(ledger.get("/transactions", accountId=account_id, include=include))["items"]
        assert (debit["usageRecords"], debit["reservation"]["transactionId"]) == ([made], transaction_id)
        assert (credit["usageRecords"], credit["reservation"]) == ([], None)
    for include in ("nonsense", "usages", ""):
        for item in done(ledger.get("/transactions", accountId=account_id, include=include))["items"]:
            assert not {"usage", "usageRecords", "reservation"} & set(item)


# Walls.


def test_other_orgs_see_nothing(ledger: Ledger, server: ServerProcess) -> None:
    account_id = ledger.account(100)
    transaction_id = paid(ledger, account_id)
    record(ledger, accountId=account_id, transactionId=transaction_id)
    with server.client() as http:
        http.post("/v1/orgs", json={"id": "strangers", "name": "Strangers"}).raise_for_status()
        http.headers["X-Org-Id"] = "strangers"
        stranger = Ledger(http)
        assert records(stranger) == records(stranger, transactionId=transaction_id) == []
        assert summary(stranger)["recordCount"] == 0
        refused(stranger.get("/usage", accountId=account_id), 404, "not_found")


def test_a_named_end_user_narrows_nothing(ledger: Ledger) -> None:
    model = unique("model")
    sent = send(ledger, {"model": model, "external_user_id": "ana"}, {"model": model, "external_user_id": "bob"})
    answer = ledger.http.get("/v1/usage", params={"modelId": model}, headers={"X-On-Behalf-Of": "ana"})
    assert {each["id"] for each in done(answer)["usageRecords"]} == set(sent)


def test_it_needs_the_scope_of_the_ledger(ledger: Ledger, server: ServerProcess) -> None:
    key = ledger.http.post("/v1/keys", json={"name": "reader", "role": "member"}).json()["key"]
    with server.client(key) as member:
        refused(member.get("/v1/usage"), 403, "forbidden")
    refused(httpx.get(f"{server.url}/v1/usage"), 401, "unauthorized")
    refused(ledger.http.delete("/v1/usage"), 405, "method_not_allowed")


def test_the_native_query_stays_native(ledger: Ledger) -> None:
    answer = ledger.http.get("/v1/usage/query")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.fixture(autouse=True, scope="module")
def books(server: ServerProcess) -> Iterator[None]:
    """The books agree after all of it."""
    yield
    with server.client() as http:
        Ledger(http).verify()
