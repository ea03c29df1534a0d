"""Unpriced usage gets its cost once a price is known: told beforehand, done in one go, taken back as one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.correction_calls import amend, correct, corrected, places, recorded, recorded_all, refused
from tests.contract.credit_calls import Ledger, done, unique
from tests.contract.settlement_calls import MODEL, confirm_with, paid, put_price, record_prices
from tests.serving import ServerProcess

SINCE = "2024-01-01T00:00:00Z"
RATES = {"input_tokens": "1", "output_tokens": "3"}


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        record_prices(client)
        yield client


def used(http: httpx.Client, model: str, days: list[int], **fields: Any) -> list[str]:
    """The uids of an event of 1 000 input tokens on each of these days of March 2024."""
    usage = {"input_tokens": 1000}
    told = [{"model": model, "occurred_at": f"2024-03-{day:02}T12:00:00Z", "usage": usage, **fields} for day in days]
    return recorded_all(http, [{"id": unique("event"), **each} for each in told])


def reprice(http: httpx.Client, key: str | None = None, **asked: Any) -> httpx.Response:
    return http.post("/v1/events/reprice", json=asked, headers={} if key is None else {"Idempotency-Key": key})


def undo(http: httpx.Client, correction_id: str, **asked: Any) -> httpx.Response:
    return http.post(f"/v1/corrections/{correction_id}/undo", json=asked)


def acted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def costs(http: httpx.Client, model: str) -> list[tuple[str, str | None, int]]:
    found = http.get("/v1/events", params={"model": model, "limit": "1000"}).json()["data"]
    return sorted((event["pricing"], event["cost_usd"], event["revision"]) for event in found)


def test_it_tells_then_acts_and_is_undone_as_one(http: httpx.Client) -> None:
    model = unique("model")
    used(http, model, [1, 1, 2])
    used(http, model, [2], cost_usd="5")
    put_price(http, model, RATES, SINCE)
    told = acted(reprice(http, filter={"model": model}, reason="priced late", dry_run=True))
    differences = [
        {
            "org_id": "default",
            "model": model,
            "day": f"2024-03-0{day}",
            "events": events,
            "unpriced_before": events,
            "unpriced_after": 0,
            "known_cost_usd_before": "0",
            "known_cost_usd_after": cost,
        }
        for day, events, cost in ((1, 2, "0.002"), (2, 1, "0.001"))
    ]
    assert told == {
        "object": "bulk_correction",
        "correction_id": None,
        "matched": 3,
        "changed": 3,
        "skipped": 0,
        "differences": differences,
    }
    assert [pricing for pricing, _, _ in costs(http, model)] == ["given", *["unpriced"] * 3]
    did = acted(reprice(http, filter={"model": [model]}, reason="priced late"))
    assert did == {**told, "correction_id": did["correction_id"]}
    assert costs(http, model) == [("given", "5", 1), *[("priced", "0.001", 2)] * 3]
    nothing = {**told, "matched": 0, "changed": 0, "differences": []}
    assert acted(reprice(http, filter={"model": model})) == nothing
    undone = acted(undo(http, did["correction_id"], reason="wrong price", dry_run=True))
    assert (undone["correction_id"], undone["changed"], len(undone["differences"])) == (None, 3, 2)
    assert costs(http, model)[1][0] == "priced"
    undone = acted(undo(http, did["correction_id"], reason="wrong price"))
    assert undone["changed"] == 3
    assert costs(http, model) == [("given", "5", 1), *[("unpriced", None, 3)] * 3]
    assert acted(undo(http, did["correction_id"])) == {**nothing, "matched": 3}
    # And an undo can be undone.
    acted(undo(http, undone["correction_id"]))
    assert costs(http, model)[1:] == [("priced", "0.001", 4)] * 3


def test_an_undo_leaves_alone_what_was_corrected_again(http: httpx.Client) -> None:
    model = unique("model")
    first, second, third = used(http, model, [1, 2, 3])
    put_price(http, model, RATES, SINCE)
    did = acted(reprice(http, filter={"model": model}))
    corrected(amend(http, first, 2, cost_usd="9"))
    corrected(correct(http, second, "void", expected_revision=2))
    told = acted(undo(http, did["correction_id"], dry_run=True))
    undone = acted(undo(http, did["correction_id"]))
    assert (undone["matched"], undone["changed"], undone["skipped"]) == (3, 1, 0)
    assert undone["differences"] == told["differences"]
    assert costs(http, model) == [("given", "9", 3), ("unpriced", None, 3)]
    assert http.get(f"/v1/events/{third}").json()["revision"] == 3


@pytest.mark.parametrize("what", ["amend", "void", "restore"])
def test_a_single_correction_is_undone_too(http: httpx.Client, what: str) -> None:
    uid = recorded(http, model=MODEL, usage={"input_tokens": 1000}, team_id="first")
    if what == "restore":
        corrected(correct(http, uid, "void", expected_revision=1))
    more = {"set": {"team_id": "second"}} if what == "amend" else {}
    done_ = corrected(correct(http, uid, what, None, expected_revision=1, **more))
    acted(undo(http, done_["correction"]["id"]))
    answer = http.get(f"/v1/events/{uid}")
    if what == "restore":
        refused(answer, 404, "no_such_event")
    else:
        assert (answer.json()["team_id"], answer.json()["cost_usd"]) == ("first", "0.0025")


def test_events_of_the_ledger_are_repriced_there(http: httpx.Client) -> None:
    ledger, model = Ledger(http), unique("model")
    transaction_id = paid(ledger, ledger.account(10))
    used(http, model, [1], transaction_id=transaction_id)
    put_price(http, model, RATES, SINCE)
    before = http.get("/v1/verify").json()["corrections"]
    did = acted(reprice(http, filter={"model": model}))
    assert did["changed"] == 1
    acted(undo(http, did["correction_id"]))
    assert costs(http, model) == [("unpriced", None, 3)]
    assert http.get("/v1/verify").json()["corrections"] == before + 2
    ledger.verify()


def test_priced_usage_is_repriced_where_that_is_asked(http: httpx.Client) -> None:
    model = unique("model")
    put_price(http, model, RATES, SINCE)
    used(http, model, [1])
    put_price(http, model, {"input_tokens": "2"}, "2024-02-01T00:00:00Z")
    assert acted(reprice(http, filter={"model": model}))["matched"] == 0
    did = acted(reprice(http, filter={"model": model, "pricing": ["priced", "free"], "start": SINCE}))
    assert [did["differences"][0][name] for name in ("known_cost_usd_before", "known_cost_usd_after")] == [
        "0.001",
        "0.002",
    ]


def test_a_repeat_is_answered_alike(http: httpx.Client) -> None:
    model, key = unique("model"), unique("key")
    used(http, model, [1, 2])
    put_price(http, model, RATES, SINCE)
    first = reprice(http, key, filter={"model": model})
    assert acted(first)["changed"] == 2
    assert reprice(http, key, filter={"model": model}).content == first.content
    refused(reprice(http, key, filter={}), 409, "idempotency_key_reused")


def test_a_repeat_waits_for_the_first_and_is_no_correction_of_its_own(http: httpx.Client) -> None:
    model, key, days = unique("model"), unique("key"), 2_000 * [1]
    used(http, model, days)
    put_price(http, model, RATES, SINCE)
    with ThreadPoolExecutor(3) as callers:
        answers = list(callers.map(lambda _: reprice(http, key, filter={"model": model}), range(3)))
    assert {acted(answer)["changed"] for answer in answers} == {len(days)}
    assert len({answer.content for answer in answers}) == 1


def test_unpriced_usage_is_listed_with_the_reason(http: httpx.Client) -> None:
    model, half = unique("model"), unique("half")
    used(http, model, [1])
    put_price(http, half, {"output_tokens": "1"}, SINCE)
    used(http, half, [1])
    nameless = recorded(http, usage={"input_tokens": 1})
    (tiered,) = used(http, MODEL, [1], service_tier="gold")
    untold = recorded(http, model=MODEL, unreported=True)
    found = http.get("/v1/events", params={"pricing": "unpriced", "limit": "1000"}).json()["data"]
    by_uid = {event["uid"]: event["unpriced_reason"] for event in found}
    assert by_uid[tiered] == f"no price for '{MODEL}' in the service tier 'gold' was known for its time"
    assert http.get(f"/v1/events/{untold}").json()["unpriced_reason"] == "the provider did not tell what was used"
    reasons = {event.get("model"): event["unpriced_reason"] for event in found}
    assert reasons[model] == f"no price for '{model}' was known for its time"
    assert reasons[half] == f"the price of {half} has no rate for input_tokens"
    assert reasons[None] == "the event names no model"
    assert nameless in {event["uid"] for event in found}


def test_too_many_are_refused_before_anything_is_done(own_server: ServerProcess) -> None:
    bounded = ServerProcess(own_server.data_dir, correction_events_max=2, correction_rows_max=1).start()
    with bounded.client() as http:
        used(http, "a", [1, 1, 2])
        put_price(http, "a", RATES, SINCE)
        refused(reprice(http, filter={"model": "a"}), 413, "too_many_to_correct")
        one_day: dict[str, Any] = {"model": "a", "start": "2024-03-01", "end": "2024-03-02T00:00:00Z"}
        assert places(refused(reprice(http, filter=one_day), 422, "invalid")) == {"filter.start"}
        one_day["start"] = 1709251200  # the same instant in Unix seconds
        assert acted(reprice(http, filter=one_day))["changed"] == 2
        used(http, "b", [1, 2])
        put_price(http, "b", RATES, SINCE)
        refused(reprice(http, filter={"model": "b"}), 413, "too_many_differences")
        assert costs(http, "b") == [("unpriced", None, 1)] * 2
    bounded.stop()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"filter": {"colour": "red"}}, {"filter.colour"}),
        ({"filter": {"model": 5}}, {"filter.model"}),
        ({"filter": []}, {"filter"}),
        ({"filter": {"as_of": SINCE}}, {"filter.as_of"}),
        ({"filter": {"start": SINCE, "end": SINCE}}, {"query.end"}),
        ({"filter": {"start": []}}, {"filter.start"}),
        ({"filter": {"end": True}}, {"filter.end"}),
        ({"dry_run": "yes"}, {"dry_run"}),
        ({"reason": "", "colour": 1}, {"reason", "colour"}),
    ],
)
def test_a_wrong_question_is_refused_by_field(http: httpx.Client, body: dict[str, Any], named: set[str]) -> None:
    assert places(refused(reprice(http, **body), 422, "invalid")) == named


def test_what_is_wrong_is_told_as_on_every_other_route(http: httpx.Client) -> None:
    problem = refused(reprice(http, filter={"end": True}, colour="red"), 422, "invalid")
    said = {fault["loc"][-1]: fault["msg"] for fault in problem["errors"]}
    assert said == {
        "end": "must be an RFC 3339 date-time with a zone, or Unix seconds",
        "colour": "is not known here",
    }


def test_what_cannot_be_undone(http: httpx.Client) -> None:
    refused(undo(http, "cor_unknown"), 404, "no_such_correction")
    ledger = Ledger(http)
    uid = done(confirm_with(ledger, ledger.hold(ledger.account(10), 1)))["usageId"].removeprefix("usage_")
    void = corrected(correct(http, uid, "void", expected_revision=1, refund=True))
    refused(undo(http, void["correction"]["id"]), 409, "not_undone")
    org = unique("org")
    http.post("/v1/orgs", json={"id": org, "name": org}).raise_for_status()
    other = http.post("/v1/corrections/{}/undo".format(void["correction"]["id"]), headers={"X-Org-Id": org})
    refused(other, 404, "no_such_correction")
