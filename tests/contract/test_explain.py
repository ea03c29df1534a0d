"""Why a number is what it is: lines that add up exactly, the price behind them, what came after, and today."""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import httpx
import pytest

from tests.contract.correction_calls import amend, correct, corrected, recorded, refused
from tests.contract.credit_calls import Ledger, done, unique
from tests.contract.settlement_calls import MODEL, WHISPER, confirm_with, put_price, record_prices
from tests.serving import ServerProcess

PICO = Decimal("0.000000000001")


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        record_prices(client)
        yield client


def explained(http: httpx.Client, uid: str) -> dict[str, Any]:
    answer = http.get(f"/v1/events/{uid}/explain")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    check_lines(found)
    return found


def check_lines(found: dict[str, Any]) -> None:
    """Each unit x rate = amount, and they add up to what is known of the cost."""
    cost = found["cost"]
    assert sum(Decimal(line["amount_usd"]) for line in cost["lines"]) == Decimal(cost["known_cost_usd"])
    for line in cost["lines"]:
        if line["usd"] is not None:
            exact = Decimal(str(line["quantity"])) * Decimal(line["usd"]) / line["per"]
            assert exact.quantize(PICO, ROUND_HALF_EVEN) == Decimal(line["amount_usd"])
    assert found["cost"]["cost_usd"] == found["event"]["cost_usd"]


def test_each_line_is_units_times_rate(http: httpx.Client) -> None:
    usage = {"input_tokens": 1200, "cache_read_tokens": 200, "output_tokens": 380}
    found = explained(http, recorded(http, model=MODEL, usage=usage))
    assert found["cost"] == {
        "pricing": "priced",
        "because": "every reported unit has a rate",
        "cost_usd": "0.00655",
        "known_cost_usd": "0.00655",
        "unpriced_units": [],
        "lines": [
            {"unit": "input_tokens", "quantity": 1000, "usd": "2.5", "per": 10**6, "amount_usd": "0.0025"},
            {"unit": "output_tokens", "quantity": 380, "usd": "10", "per": 10**6, "amount_usd": "0.0038"},
            {"unit": "cache_read_tokens", "quantity": 200, "usd": "1.25", "per": 10**6, "amount_usd": "0.00025"},
        ],
    }
    price = found["price"]
    assert (price["id"], price["model"], price["origin"]) == (found["event"]["price_id"], MODEL, "org")
    assert price["effective_from"] == "2020-01-01T00:00:00Z"
    assert found["recomputed"]["today"]["cost_usd"] == "0.00655"
    assert (found["corrections"], len(found["revisions"]), found["transactions"]) == ([], 1, [])


def test_the_price_is_shown_as_it_was_put(http: httpx.Client) -> None:
    price = {
        "model": "by-night",
        "effective_from": "2020-01-01T00:00:00Z",
        "daily": {"from": "22:00", "to": "06:00", "weekdays": ["fri", "sat"]},
        "rates": {"input_tokens": {"usd": "1", "per": 10**6, "tiers": [{"above": 100, "usd": "2"}]}},
    }
    put = http.put("/v1/prices", json=price).raise_for_status().json()
    night = {"model": "by-night", "occurred_at": "2026-01-31T23:00:00Z", "usage": {"input_tokens": 50}}
    assert explained(http, recorded(http, **night))["price"] == put


@pytest.mark.parametrize(
    ("told", "pricing", "because"),
    [
        ({"model": WHISPER, "usage": {"audio_seconds": 12.3456}}, "priced", "every reported unit has a rate"),
        ({"model": "house-model", "usage": {"input_tokens": 5}}, "free", "every rate is 0, or no billable"),
        ({"model": MODEL, "cost_usd": "0.123"}, "given", "the cost was given"),
        ({"model": "nobody-knows", "usage": {"input_tokens": 5}}, "unpriced", "no price for 'nobody-knows' was known"),
        (
            {"model": MODEL, "usage": {"input_tokens": 5, "images": 1}},
            "unpriced",
            "the price of gpt-4o has no rate",
        ),
    ],
)
def test_every_pricing_says_why(http: httpx.Client, told: dict[str, Any], pricing: str, because: str) -> None:
    cost = explained(http, recorded(http, **told))["cost"]
    assert cost["pricing"] == pricing
    assert cost["because"].startswith(because)
    if pricing == "given":
        assert [line["unit"] for line in cost["lines"]] == ["given"]


def test_tiers_and_least_quantities_are_those_that_counted(http: httpx.Client) -> None:
    model = unique("tiered")
    rates = {
        "input_tokens": {"per": 10**6, "usd": "1", "tiers": [{"above": 1000, "usd": "2"}]},
        "audio_seconds": {"per": 60, "usd": "0.006", "at_least": 10},
    }
    since = "2020-01-01T00:00:00Z"
    http.put("/v1/prices", json={"model": model, "effective_from": since, "rates": rates}).raise_for_status()
    lines = explained(http, recorded(http, model=model, usage={"input_tokens": 1001, "audio_seconds": 2.5}))["cost"][
        "lines"
    ]
    assert [(line["quantity"], line["usd"]) for line in lines] == [(1001, "2"), (10, "0.006")]
    several = {"audio_seconds": 2.5, "requests": 3}
    (line,) = explained(http, recorded(http, model=model, usage=several))["cost"]["lines"]
    assert (line["quantity"], line["amount_usd"]) == (30, "0.003")


def test_what_was_sent_is_told_from_what_was_filled_in(http: httpx.Client, server: ServerProcess) -> None:
    told = {"model": MODEL, "usage": {"input_tokens": 1}, "metadata": {"a": 1.50}, "latency_ms": 0, "stream": True}
    made = http.post("/v1/keys", json={"name": "app", "role": "member", "user_id": "ana", "project_id": "p"}).json()
    with server.client(made["key"]) as app:
        (result,) = app.post("/v1/events", json=told).json()["results"]
        found = explained(app, result["uid"])
        assert "transactions" not in found  # who keeps no ledger does not see it
        (other,) = http.post("/v1/events", json=told).json()["results"]
        refused(app.get(f"/v1/events/{other['uid']}/explain"), 404, "no_such_event")
    assert (found["received"], found["received_exactly"]) == ({**told, "kind": "completion"}, True)
    event = found["event"]
    assert (event["user_id"], event["project_id"], event["api_key_id"]) == ("ana", "p", made["id"])
    sent = {**told, "id": unique("id"), "user_id": "bob", "occurred_at": "2024-01-01T00:00:00Z", "cost_usd": "0.5"}
    (result,) = http.post("/v1/events", json=sent).json()["results"]
    assert explained(http, result["uid"])["received"] == {**sent, "kind": "completion"}


def test_what_was_anothers_is_not_shown(http: httpx.Client, server: ServerProcess) -> None:
    uid = recorded(http, model=MODEL, usage={"input_tokens": 1}, user_id="eleanor", description="of eleanor")
    amend(http, uid, 1, user_id="bob", description=None).raise_for_status()
    made = http.post("/v1/keys", json={"name": "app", "role": "member", "user_id": "bob"}).json()
    with server.client(made["key"]) as bob:
        answer = bob.get(f"/v1/events/{uid}/explain")
    assert "eleanor" not in answer.text
    assert [each["revision"] for each in answer.json()["revisions"]] == [2]
    assert not answer.json()["received_exactly"]
    assert [each["revision"] for each in explained(http, uid)["revisions"]] == [1, 2]


def test_what_came_after_is_in_order_and_today_stands_beside_it(http: httpx.Client) -> None:
    model = unique("model")
    put_price(http, model, {"input_tokens": "1"}, "2024-01-01T00:00:00Z")
    usage = {"input_tokens": 1000}
    uid = recorded(http, model=model, usage=usage, occurred_at="2024-06-01T00:00:00Z")
    put_price(http, model, {"input_tokens": "3"}, "2024-05-01T00:00:00Z")
    put_price(http, model, {"input_tokens": "7"}, "2025-05-01T00:00:00Z")
    found = explained(http, uid)
    assert found["cost"]["cost_usd"] == "0.001"
    assert found["recomputed"]["at_its_time"]["cost_usd"] == "0.003"
    assert found["recomputed"]["today"]["cost_usd"] == "0.007"
    corrected(correct(http, uid, "amend", None, expected_revision=1, set={"team_id": "t"}, reason="whose"))
    corrected(correct(http, uid, "void", expected_revision=2))
    found = explained(http, uid)
    assert found["voided"] is True
    assert [(each["action"], each["superseded"], each["reason"]) for each in found["corrections"]] == [
        ("amend", 1, "whose"),
        ("void", 2, None),
    ]
    assert [(each["revision"], each["cost_usd"]) for each in found["revisions"]] == [(1, "0.001"), (2, "0.003")]
    assert found["received"]["usage"] == usage


def test_the_ledger_is_part_of_it(http: httpx.Client) -> None:
    ledger = Ledger(http)
    settled = done(confirm_with(ledger, ledger.hold(ledger.account(10), 1)))
    uid = settled["usageId"].removeprefix("usage_")
    corrected(correct(http, uid, "void", expected_revision=1, refund=True))
    found = explained(http, uid)
    debit, refund = found["transactions"]
    assert (debit["id"], debit["type"], debit["amount"]) == (settled["transactionId"], "debit", "0.68")
    assert (debit["balance_before"], debit["balance_after"]) == ("10", "9.32")
    assert (refund["type"], refund["amount"], refund["balance_after"]) == ("credit", "0.68", "10")
    assert (found["received"]["source"], found["received_exactly"]) == ("tallybook:confirm", False)


def test_what_is_not_there_is_404(http: httpx.Client) -> None:
    for uid in ("nonsense", "01a20108-4b09-7c15-924d-73ab54a2cbf7"):
        refused(http.get(f"/v1/events/{uid}/explain"), 404, "no_such_event")
    uid = recorded(http)
    assert amend(http, uid, 1, cost_usd="1").status_code == 200
    assert explained(http, uid)["event"]["revision"] == 2
