"""Operations 13 and 14 of mka1: the requests of a user in numbered pages, and one request by its id."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.correction_calls import amend, correct, corrected
from tests.contract.credit_calls import unique
from tests.contract.readers import Org, answered, org_on, refused
from tests.serving import ServerProcess

USERS = "/api/v1/llm/usage/users"
REQUESTS = "/api/v1/llm/usage/completions"
FIELDS = {
    "id",
    "requestId",
    "userId",
    "model",
    "promptTokens",
    "completionTokens",
    "totalTokens",
    "finishReason",
    "stream",
    "feedbackRating",
    "feedbackDescription",
    "createdAt",
    "updatedAt",
}
"""Those of section 10.2 that are always there."""


def at(minute: int) -> str:
    return f"2026-01-15T10:{minute:02}:00Z"


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        for number in range(7):
            made.send({"id": f"chatcmpl-{number}", "user_id": "ana", "occurred_at": at(number)})
        made.send(
            {"id": "r", "kind": "response", "user_id": "ana", "request_id": "resp-1", "occurred_at": at(7)},
            {"id": "s", "kind": "web_search", "user_id": "ana", "request_id": "resp-1", "occurred_at": at(8)},
            {"id": "e", "kind": "embedding", "user_id": "ana", "occurred_at": at(9)},
            {"id": "b", "user_id": "bob", "external_user_id": "eve", "occurred_at": at(10)},
        )
        other.send({"id": "chatcmpl-1", "user_id": "ana"}, {"id": "chatcmpl-foreign", "user_id": "ana"})
        yield made


def page(org: Org, user_id: str = "ana", **query: Any) -> dict[str, Any]:
    return answered(org.admin, f"{USERS}/{quote(user_id, safe='')}/completions", **query)


def ids(found: dict[str, Any]) -> list[str]:
    return [each["requestId"] for each in found["completions"]]


def test_the_record(org: Org) -> None:
    (uid,) = org.send(
        {
            "id": "full",
            "request_id": "chatcmpl-full",
            "user_id": "carl",
            "model": "meetkai:small",
            "usage": {"input_tokens": 15, "output_tokens": 8, "cache_read_tokens": 4},
            "finish_reason": "stop",
            "stream": True,
            "occurred_at": "2026-01-15T10:30:00.250000Z",
        }
    )
    record = answered(org.admin, f"{REQUESTS}/chatcmpl-full")
    assert record == {
        "id": uid,
        "requestId": "chatcmpl-full",
        "userId": "carl",
        "model": "meetkai:small",
        "promptTokens": 15,
        "completionTokens": 8,
        "totalTokens": 23,
        "finishReason": "stop",
        "stream": True,
        "feedbackRating": None,
        "feedbackDescription": None,
        "createdAt": "2026-01-15T10:30:00.250000Z",
        "updatedAt": "2026-01-15T10:30:00.250000Z",
    }
    assert set(record) == FIELDS
    assert page(org, "carl")["completions"] == [record]


def test_newest_first_in_pages_with_their_number(org: Org) -> None:
    everything = ["resp-1", *(f"chatcmpl-{number}" for number in reversed(range(7)))]
    whole = page(org)
    assert ids(whole) == everything
    assert whole["pagination"] == {"page": 1, "limit": 50, "total": 8, "totalPages": 1}
    walked = [page(org, limit=3, page=number) for number in (1, 2, 3)]
    assert [name for found in walked for name in ids(found)] == everything
    assert walked[2]["pagination"] == {"page": 3, "limit": 3, "total": 8, "totalPages": 3}
    beyond = page(org, limit=3, page=2**53 - 1)
    assert (beyond["completions"], beyond["pagination"]["total"]) == ([], 8)
    assert page(org, "nobody/at all?")["pagination"] == {"page": 1, "limit": 50, "total": 0, "totalPages": 0}


def test_the_end_user_has_a_log_too(org: Org) -> None:
    assert ids(page(org, "eve")) == ids(page(org, "bob")) == ["b"]


def test_corrections_show_at_once(org: Org) -> None:
    name = unique("chatcmpl")
    (uid,) = org.send({"id": name, "user_id": "dora", "usage": {"input_tokens": 5}, "occurred_at": at(1)})
    corrected(amend(org.admin, uid, 1, usage={"input_tokens": 7}))
    (record,) = page(org, "dora")["completions"]
    assert (record["id"], record["promptTokens"], record["createdAt"]) == (uid, 7, at(1))
    assert record["updatedAt"] > "2026-01-16"
    corrected(correct(org.admin, uid, "void", expected_revision=2))
    assert page(org, "dora")["pagination"]["total"] == 0
    refused(org.admin, f"{REQUESTS}/{name}", 404)


def test_of_events_with_the_same_request_id_the_newest_that_is_a_request(org: Org) -> None:
    assert answered(org.admin, f"{REQUESTS}/resp-1")["createdAt"] == at(7)


def test_walls(org: Org) -> None:
    assert ids(answered(org.ana, f"{USERS}/ana/completions")) == ids(page(org))
    refused(org.ana, f"{USERS}/bob/completions", 403)
    assert answered(org.device, f"{USERS}/ana/completions")["pagination"]["total"] == 0
    assert refused(org.ana, f"{REQUESTS}/b", 404)["code"] == "NOT_FOUND"
    assert answered(org.ana, f"{REQUESTS}/chatcmpl-1")["createdAt"] == at(1)
    refused(org.admin, f"{REQUESTS}/chatcmpl-foreign", 404)
    narrowed = org.admin.get(f"{USERS}/bob/completions", headers={"X-On-Behalf-Of": "ana"}).json()
    assert narrowed["pagination"]["total"] == 0


@pytest.mark.parametrize(
    "request_id", ["a/b", "Ünïcode ✓ 你好", "a b?c=d#e", "%2F", "'; DROP TABLE facts; --", "x" * 255]
)
def test_odd_request_ids(org: Org, request_id: str) -> None:
    path = f"{REQUESTS}/{quote(request_id, safe='')}"
    refused(org.admin, path, 404)
    org.send({"id": unique("event"), "request_id": request_id, "user_id": "odd"})
    assert answered(org.admin, path)["requestId"] == request_id


@pytest.mark.parametrize("request_id", ["", ".", "..", "%00", "%ff", "x" * 5000])
def test_ids_that_nothing_can_have(org: Org, request_id: str) -> None:
    assert org.admin.get(f"{REQUESTS}/x/../{request_id}x").status_code == 404


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"limit": 0}, ["limit"]),
        ({"limit": 201}, ["limit"]),
        ({"limit": "many"}, ["limit"]),
        ({"limit": "1.5"}, ["limit"]),
        ({"page": 0}, ["page"]),
        ({"page": -1}, ["page"]),
        ({"page": 10**30}, ["page"]),
    ],
)
def test_faults_are_named(org: Org, query: dict[str, Any], path: list[str]) -> None:
    answer = refused(org.admin, f"{USERS}/ana/completions", 400, **query)
    assert [issue["path"] for issue in answer["data"]["issues"]] == [path]
