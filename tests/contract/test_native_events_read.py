"""`GET /v1/events` and `GET /v1/events/{uid}` over HTTP."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.contract.readers import Org, answered, org_on, refused
from tests.serving import ServerProcess

PATH = "/v1/events"

FULL: dict[str, Any] = {
    "id": "full",
    "source": "batch-7",
    "kind": "completion",
    "occurred_at": "2026-01-03T00:00:00.123456Z",
    "user_id": "ana",
    "external_user_id": "eve",
    "project_id": "p",
    "team_id": "t",
    "account_id": "acc",
    "session_id": "s",
    "context": "customer",
    "provider": "openai",
    "model": "gpt",
    "operation": "chat",
    "endpoint": "/v1/chat/completions",
    "service_tier": "flex",
    "batch": True,
    "background": True,
    "stream": True,
    "usage": {"input_tokens": 5, "output_tokens": 0, "units": 0.000001, "requests": 1},
    "cost_usd": "0.000000000001",
    "request_id": "req-1",
    "finish_reason": "stop",
    "latency_ms": 12,
    "ttft_ms": 3,
    "description": "one\ntwo",
    "metadata": {"deep": {"list": [1, "é"]}},
}


@pytest.fixture(scope="module")
def uids(server: ServerProcess) -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def org(server: ServerProcess, uids: dict[str, str]) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        events: list[dict[str, Any]] = [
            {"id": "plain", "occurred_at": "2026-01-01T00:00:00Z", "usage": {"input_tokens": 1}},
            {"id": "req-1", "occurred_at": "2026-01-02T00:00:00Z", "user_id": "bob", "cost_usd": "0"},
            FULL,
        ]
        uids.update(zip([event["id"] for event in events], made.send(*events), strict=True))
        (uids["device"],) = made.send({"id": "device", "occurred_at": "2026-01-04T00:00:00Z"}, by=made.device)
        (uids["foreign"],) = other.send({"id": "plain", "occurred_at": "2026-01-01T00:00:00Z"})
        yield made


def ids(client: httpx.Client, **query: Any) -> list[str]:
    return [event["id"] for event in answered(client, PATH, **query)["data"]]


def test_an_event_shows_every_field_that_was_set(org: Org, uids: dict[str, str]) -> None:
    text = org.admin.get(f"{PATH}/{uids['full']}").text
    event = json.loads(text, parse_float=Decimal)
    recorded_at, api_key_id, seq = event.pop("recorded_at"), event.pop("api_key_id"), event.pop("seq")
    assert recorded_at.endswith("Z")
    assert api_key_id.startswith("key_")
    assert seq >= 1
    assert event == {
        **FULL,
        "usage": {**FULL["usage"], "units": Decimal("0.000001")},
        "org_id": "acme",
        "uid": uids["full"],
        "revision": 1,
        "pricing": "given",
        "price_id": None,
        "matched": None,
        "known_cost_usd": "0.000000000001",
        "unpriced_units": [],
        "lines": {},
    }


def test_what_was_not_set_is_absent(org: Org, uids: dict[str, str]) -> None:
    event = answered(org.admin, f"{PATH}/{uids['plain']}")
    assert "model" not in event
    assert "metadata" not in event
    assert event["request_id"] == "plain"
    assert event["usage"] == {"input_tokens": 1}
    assert (event["pricing"], event["cost_usd"]) == ("unpriced", None)
    assert event["unpriced_units"] == ["input_tokens"]


def test_newest_come_first(org: Org) -> None:
    page = answered(org.admin, PATH)
    assert [event["id"] for event in page["data"]] == ["device", "full", "req-1", "plain"]
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    assert page["data"][1] == answered(org.admin, f"{PATH}/{page['data'][1]['uid']}")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"id": "plain"}, ["plain"]),
        ({"id": ["plain", "full"]}, ["full", "plain"]),
        ({"source": "batch-7"}, ["full"]),
        ({"source": "batch-7", "id": "full"}, ["full"]),
        ({"source": "", "id": "full"}, []),
        ({"request_id": "req-1"}, ["full", "req-1"]),
        ({"request_id": "plain"}, ["plain"]),
        ({"request_id": "full"}, []),
        ({"model": "gpt", "batch": "true"}, ["full"]),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-04T00:00:00Z"}, ["full", "req-1"]),
        ({"start": "1767398400"}, ["device", "full"]),
        ({"end": "2026-01-02T00:00:00Z"}, ["plain"]),
        ({"as_of": "2020-01-01T00:00:00Z"}, []),
    ],
)
def test_filters(org: Org, query: dict[str, Any], found: list[str]) -> None:
    assert ids(org.admin, **query) == found


def test_a_walk_is_complete_and_without_repeats_while_events_arrive(server: ServerProcess) -> None:
    with org_on(server, "walked") as org:
        org.send(*({"id": f"{n}", "occurred_at": f"2026-01-01T00:00:0{n // 2}Z"} for n in range(9)))
        seen: list[str] = []
        page = ""
        while page is not None:
            answer = answered(org.admin, PATH, limit=2, page=page)
            seen += [event["id"] for event in answer["data"]]
            page = answer["next_page"]
            org.send(
                {"id": f"late {len(seen)}", "occurred_at": "2026-01-01T00:00:01Z"},
                {"id": f"new {len(seen)}", "occurred_at": "2026-02-01T00:00:01Z"},
            )
        assert sorted(seen) == [str(n) for n in range(9)]
        assert len(ids(org.admin)) == 19


def test_members_see_their_own(org: Org, uids: dict[str, str]) -> None:
    assert ids(org.ana) == ["full"]
    assert ids(org.device) == ["device"]
    assert answered(org.ana, f"{PATH}/{uids['full']}")["id"] == "full"
    refused(org.ana, PATH, 403, user_id="bob")
    for uid in (uids["plain"], uids["device"], uids["foreign"]):
        assert refused(org.ana, f"{PATH}/{uid}", 404)["code"] == "no_such_event"


def test_on_behalf_of_narrows(org: Org, uids: dict[str, str]) -> None:
    eve = {"X-On-Behalf-Of": "eve"}
    assert [event["id"] for event in org.admin.get(PATH, headers=eve).json()["data"]] == ["full"]
    assert org.admin.get(f"{PATH}/{uids['plain']}", headers=eve).status_code == 404


def test_another_orgs_event_is_not_there(org: Org, uids: dict[str, str]) -> None:
    refused(org.admin, f"{PATH}/{uids['foreign']}", 404)
    refused(org.cluster, f"{PATH}/{uids['foreign']}", 404)
    refused(org.admin, PATH, 403, all_orgs="true")
    refused(org.admin, PATH, 403, org_ids="other")
    assert ids(org.cluster, org_ids=["acme", "other"], id="plain") == ["plain", "plain"]


@pytest.mark.parametrize("uid", ["x", "00000000-0000-7000-8000-000000000000", "%00", "a" * 300])
def test_an_unknown_or_malformed_uid_is_not_there(org: Org, uid: str) -> None:
    assert refused(org.admin, f"{PATH}/{uid}", 404)["status"] == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"page": "x"}, "page"),
        ({"start": "x"}, "start"),
        ({"start": "1969-12-31T23:59:59Z"}, "start"),
        ({"start": "5", "end": "5"}, "end"),
        ({"background": "x"}, "background"),
        ({"user": "ana"}, "user"),
    ],
)
def test_a_fault_names_its_parameter(org: Org, query: dict[str, str], name: str) -> None:
    body = refused(org.admin, PATH, 422, **query)
    assert [fault["loc"][:2] for fault in body["errors"]] == [["query", name]]


def test_a_cursor_belongs_to_its_list(org: Org) -> None:
    cursor = answered(org.admin, PATH, limit=1)["next_page"]
    refused(org.admin, PATH, 422, limit=1, page=cursor, model="gpt")
    refused(org.cluster, PATH, 422, limit=1, page=cursor)
    assert len(ids(org.admin, limit=2, page=cursor)) == 2
