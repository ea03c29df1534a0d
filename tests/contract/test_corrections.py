"""Amend, void and restore over HTTP: what they change at once, what they leave, and what is refused."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import LONG
from tests.contract.correction_calls import amend, correct, corrected, places, recorded, recorded_all, refused
from tests.contract.credit_calls import unique
from tests.contract.settlement_calls import MODEL, put_price, record_prices
from tests.serving import ADMIN_KEY, ServerProcess

USAGE = {"input_tokens": 1200, "output_tokens": 380}
HALF = {"input_tokens": 600, "output_tokens": 190}
PAIRS, AT_ONCE = 200 if LONG else 16, 8


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        record_prices(client)
        yield client


def event(http: httpx.Client, uid: str, **query: str) -> dict[str, Any] | None:
    """As it is in force, or was recorded to be."""
    answer = http.get(f"/v1/events/{uid}", params=query)
    return None if answer.status_code == 404 else answer.raise_for_status().json()


def totals(http: httpx.Client, **query: str) -> dict[str, Any]:
    asked = {"start": "2020-01-01T00:00:00Z", "bucket": "all", "measures": "events,input_tokens,cost_usd", **query}
    (bucket,) = http.get("/v1/usage/query", params=asked).raise_for_status().json()["data"]
    (row,) = bucket["results"] or [{"events": 0, "input_tokens": 0, "cost_usd": "0"}]
    return dict(row)


def test_an_amendment_is_rated_again_and_in_every_answer_at_once(http: httpx.Client) -> None:
    user, other = unique("ana"), unique("bob")
    uid = recorded(http, model=MODEL, usage=USAGE, user_id=user)
    before = event(http, uid)
    assert before is not None
    done = corrected(
        correct(http, uid, "amend", expected_revision=1, set={"usage": HALF, "user_id": other}, reason="counted twice")
    )
    correction = done.pop("correction")
    assert done.pop("voided") is False
    assert done == event(http, uid)
    assert (done["revision"], done["cost_usd"], done["lines"]) == (
        2,
        "0.0034",
        {"input_tokens": "0.0015", "output_tokens": "0.0019"},
    )
    changed = {"revision", "seq", "recorded_at", "user_id", "usage", "cost_usd", "known_cost_usd", "lines"}
    assert {name for name in done if done[name] != before[name]} == changed
    assert correction == {
        "id": correction["id"],
        "action": "amend",
        "superseded": 1,
        "replacement": 2,
        "actor": correction["actor"],
        "reason": "counted twice",
        "recorded_at": done["recorded_at"],
        "seq": done["seq"],
        "refund": None,
    }
    assert totals(http, user_id=user)["events"] == 0
    assert totals(http, user_id=other) == {"events": 1, "input_tokens": 600, "cost_usd": "0.0034"}
    # What was recorded before still answers as it did.
    assert event(http, uid, as_of=before["recorded_at"]) == before
    assert totals(http, user_id=user, as_of=before["recorded_at"])["cost_usd"] == "0.0068"


def test_a_void_leaves_every_answer_and_a_restore_brings_it_back(http: httpx.Client) -> None:
    user = unique("user")
    uid = recorded(http, model=MODEL, usage=USAGE, user_id=user)
    first = event(http, uid)
    void = corrected(correct(http, uid, "void", expected_revision=1, reason="not ours"))
    assert (void["voided"], void["revision"], void["correction"]["replacement"]) == (True, 1, None)
    assert event(http, uid) is None
    assert totals(http, user_id=user)["events"] == 0
    assert http.get("/v1/events", params={"user_id": user}).json()["data"] == []
    back = corrected(correct(http, uid, "restore", expected_revision=1))
    assert (back["voided"], back["revision"], back["correction"]["superseded"]) == (False, 2, None)
    assert totals(http, user_id=user) == {"events": 1, "input_tokens": 1200, "cost_usd": "0.0068"}
    assert first is not None
    assert {name for name in first if back[name] != first[name]} == {"revision", "seq", "recorded_at"}


def test_a_given_cost_stays_until_it_is_cleared(http: httpx.Client) -> None:
    uid = recorded(http, model=MODEL, usage=USAGE)
    assert corrected(amend(http, uid, 1, cost_usd="0.5"))["cost_usd"] == "0.5"
    still = corrected(amend(http, uid, 2, usage=HALF))
    assert (still["cost_usd"], still["pricing"]) == ("0.5", "given")
    rated = corrected(amend(http, uid, 3, cost_usd=None))
    assert (rated["cost_usd"], rated["pricing"]) == ("0.0034", "priced")


def test_the_price_of_its_own_time_counts_as_known_now(http: httpx.Client) -> None:
    model = unique("model")
    uid = recorded(http, model=model, usage=USAGE, occurred_at="2024-03-01T00:00:00Z")
    put_price(http, model, {"input_tokens": "1", "output_tokens": "1"}, "2024-01-01T00:00:00Z")
    put_price(http, model, {"input_tokens": "9", "output_tokens": "9"}, "2025-01-01T00:00:00Z")
    done = corrected(amend(http, uid, 1, team_id="t"))
    assert (done["pricing"], done["cost_usd"]) == ("priced", "0.00158")


def test_null_clears_a_field(http: httpx.Client) -> None:
    uid = recorded(http, model=MODEL, usage=USAGE, team_id="t", metadata={"a": 1}, batch=True, request_id="r")
    done = corrected(amend(http, uid, 1, team_id=None, metadata=None, batch=None, usage=None, request_id=None))
    assert not {"team_id", "metadata"} & set(done)
    assert (done["batch"], done["usage"], done["cost_usd"], done["request_id"]) == (False, {}, "0", done["id"])


def test_a_request_id_that_is_set_finds_the_event(http: httpx.Client) -> None:
    uid = recorded(http, source="wrapper", request_id=unique("first"))
    name = unique("second")
    corrected(amend(http, uid, 1, request_id=name))
    found = http.get("/v1/events", params={"request_id": name}).json()["data"]
    assert [each["uid"] for each in found] == [uid]
    done = corrected(amend(http, uid, 2, request_id=None))
    found = http.get("/v1/events", params={"request_id": done["id"]}).json()["data"]
    assert [each["uid"] for each in found] == [uid]


def test_a_resend_still_meets_the_first_telling(http: httpx.Client) -> None:
    told = {"id": unique("event"), "model": MODEL, "usage": USAGE}
    (first,) = http.post("/v1/events", json=told).json()["results"]
    corrected(amend(http, first["uid"], 1, usage=HALF))
    corrected(correct(http, first["uid"], "void", expected_revision=2))
    (again,) = http.post("/v1/events", json=told).json()["results"]
    assert again == {**first, "status": "duplicate"}


def test_a_repeat_is_answered_alike_whatever_came_later(http: httpx.Client) -> None:
    uid, key = recorded(http, model=MODEL, usage=USAGE), unique("key")
    first = amend(http, uid, 1, key, usage=HALF)
    assert corrected(first)["revision"] == 2
    refusal = amend(http, uid, 1, f"{key}-stale", usage=HALF)
    refused(refusal, 409, "stale_revision")
    corrected(amend(http, uid, 2, usage={}))
    assert amend(http, uid, 1, key, usage=HALF).content == first.content
    assert amend(http, uid, 1, f"{key}-stale", usage=HALF).content == refusal.content
    refused(amend(http, uid, 1, key, usage={}), 409, "idempotency_key_reused")


def test_two_repeats_at_once_are_one_correction(http: httpx.Client, server: ServerProcess) -> None:
    uids = recorded_all(http, [{"model": MODEL, "usage": USAGE}] * 20)
    wish: Wish = ("amend", {"expected_revision": 1, "set": {"usage": HALF}})
    for one, two in race(server, [(uid, (wish, wish), unique("key")) for uid in uids]):
        assert one.content == two.content
        assert corrected(one)["revision"] == 2


def test_of_two_corrections_at_once_one_wins(http: httpx.Client, server: ServerProcess) -> None:
    uids = recorded_all(http, [{"model": MODEL, "usage": USAGE}] * PAIRS)
    amending: Wish = ("amend", {"expected_revision": 1, "set": {"usage": HALF}})
    voiding: Wish = ("void", {"expected_revision": 1})
    pairs = itertools.cycle(itertools.product((amending, voiding), repeat=2))
    for answers in race(server, [(uid, next(pairs), None) for uid in uids]):
        winner, loser = sorted(answers, key=lambda answer: answer.status_code)
        won = corrected(winner)
        problem = refused(loser, 409, "event_voided" if won["voided"] else "stale_revision")
        assert problem["event"] == {name: value for name, value in won.items() if name != "correction"}


Wish = tuple[str, dict[str, Any]]
Pair = tuple[Wish, ...]


def race(server: ServerProcess, pairs: list[tuple[str, Pair, str | None]]) -> list[list[httpx.Response]]:
    """The answers to each pair of corrections of an event, sent together; some pairs at a time."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    turns = asyncio.Semaphore(AT_ONCE)

    async def both(client: httpx.AsyncClient, uid: str, pair: Pair, key: str | None) -> list[httpx.Response]:
        named = {} if key is None else {"Idempotency-Key": key}
        async with turns:
            sent = [client.post(f"/v1/events/{uid}/{what}", json=body, headers=named) for what, body in pair]
            return list(await asyncio.gather(*sent))

    async def all_pairs() -> list[list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
            return list(await asyncio.gather(*(both(client, *each) for each in pairs)))

    return asyncio.run(all_pairs())


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": "x"}, {"set.id"}),
        ({"source": "x", "kind": "image", "occurred_at": 1}, {"set.source", "set.kind", "set.occurred_at"}),
        ({"transaction_id": "txn_1", "messages": []}, {"set.transaction_id", "set.messages"}),
        ({"tokens": 1}, {"set.tokens"}),
        ({}, {"set"}),
        (
            {"usage": {"input_tokens": -1, "output_tokens": 2**53}},
            {"set.usage.input_tokens", "set.usage.output_tokens"},
        ),
        ({"usage": {"tokens": 1}}, {"set.usage.tokens"}),
        ({"usage": {"input_tokens": 1, "cache_read_tokens": 2}}, {"set.usage.input_tokens"}),
        ({"cost_usd": "-1"}, {"set.cost_usd"}),
        ({"cost_usd": "9000001"}, {"set.cost_usd"}),
        ({"cost_usd": "1e999999999"}, {"set.cost_usd"}),
        ({"context": "nobody"}, {"set.context"}),
        ({"model": "x" * 256, "user_id": ""}, {"set.model", "set.user_id"}),
        ({"usage": {"input_tokens": 2**53 - 1}}, {"set.usage"}),
    ],
)
def test_what_no_event_may_become_is_refused_by_field(
    http: httpx.Client, fields: dict[str, Any], named: set[str]
) -> None:
    model = unique("dear")
    put_price(http, model, {"input_tokens": "9000000"}, "2020-01-01T00:00:00Z")
    uid = recorded(http, model=model, usage={"input_tokens": 1})
    before = event(http, uid)
    assert places(refused(amend(http, uid, 1, **fields), 422, "invalid")) == named
    assert event(http, uid) == before


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"set": {"model": "x"}}, {"expected_revision"}),
        ({"expected_revision": "1", "set": {"model": "x"}}, {"expected_revision"}),
        ({"expected_revision": 0, "set": {"model": "x"}}, {"expected_revision"}),
        ({"expected_revision": 1}, {"set"}),
        ({"expected_revision": 1, "set": [], "reason": ""}, {"set", "reason"}),
        ({"expected_revision": 1, "set": {"model": "x"}, "refund": "yes"}, {"refund"}),
        ({"expected_revision": 1, "set": {"model": "x"}, "colour": 1}, {"colour"}),
        ({"expected_revision": 1, "set": {"model": "x"}, "refund": True}, {"refund"}),
        ([], {"body"}),
    ],
)
def test_a_wrong_body_is_refused_by_field(http: httpx.Client, body: Any, named: set[str]) -> None:
    uid = recorded(http)
    answer = http.post(f"/v1/events/{uid}/amend", json=body)
    assert places(refused(answer, 422, "invalid")) == named
    assert event(http, uid) is not None


def test_an_unreadable_body_is_400(http: httpx.Client) -> None:
    uid = recorded(http)
    for body in (b"", b"{", b'{"expected_revision": NaN}', b"\xff", b"[" * 100_000):
        answer = http.post(f"/v1/events/{uid}/void", content=body, headers={"Content-Type": "application/json"})
        refused(answer, 400, "malformed")


@pytest.mark.parametrize("uid", ["nonsense", "01a20108-4b09-7c15-924d-73ab54a2cbf7", "usage_1", "%00"])
def test_an_unknown_event_is_404(http: httpx.Client, uid: str) -> None:
    refused(correct(http, uid, "void", expected_revision=1), 404, "no_such_event")


def test_the_event_of_another_org_is_404(http: httpx.Client) -> None:
    org = unique("org")
    http.post("/v1/orgs", json={"id": org, "name": org}).raise_for_status()
    uid = recorded(http)
    answer = http.post(f"/v1/events/{uid}/void", json={"expected_revision": 1}, headers={"X-Org-Id": org})
    refused(answer, 404, "no_such_event")
    narrowed = http.post(f"/v1/events/{uid}/void", json={"expected_revision": 1}, headers={"X-On-Behalf-Of": "eve"})
    refused(narrowed, 404, "no_such_event")


def test_a_revision_that_is_no_more_is_409_with_the_event(http: httpx.Client) -> None:
    uid = recorded(http, model=MODEL, usage=USAGE)
    corrected(amend(http, uid, 1, usage=HALF))
    wishes: list[Wish] = [("amend", {"set": {"usage": {}}}), ("void", {}), ("restore", {})]
    for what, body in wishes:
        problem = refused(correct(http, uid, what, None, expected_revision=1, **body), 409, "stale_revision")
        assert problem["event"] == {**(event(http, uid) or {}), "voided": False}


def test_void_and_restore_only_follow_each_other(http: httpx.Client) -> None:
    uid = recorded(http)
    refused(correct(http, uid, "restore", expected_revision=1), 409, "event_not_voided")
    corrected(correct(http, uid, "void", expected_revision=1))
    assert refused(correct(http, uid, "void", expected_revision=1), 409, "event_voided")["event"]["voided"] is True
    refused(amend(http, uid, 1, model="x"), 409, "event_voided")
    corrected(correct(http, uid, "restore", expected_revision=1))
    refused(correct(http, uid, "restore", expected_revision=2), 409, "event_not_voided")


def test_corrections_outlive_the_server(own_server: ServerProcess) -> None:
    with own_server.start().client() as http:
        uid, key = recorded(http, usage=USAGE), unique("key")
        first = amend(http, uid, 1, key, usage=HALF, team_id="t")
    own_server.kill()
    with own_server.start().client() as http:
        assert (event(http, uid) or {})["usage"] == HALF
        assert amend(http, uid, 1, key, usage=HALF, team_id="t").content == first.content
        assert corrected(amend(http, uid, 2, usage=USAGE))["seq"] == 3
