"""`/v1/keys` over HTTP: what it takes, what it answers, what it refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallybook.auth.key import Role, Scope
from tests.admin_rooms import ADMIN_KEY, AdminRooms, AppClient, client_of, open_rooms

WANTED = {"name": "ci", "role": "member"}


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[AdminRooms]:
    with open_rooms(tmp_path) as opened:
        opened.started()
        opened.add_org("acme")
        yield opened


@pytest.fixture
def call(rooms: AdminRooms) -> AppClient:
    return client_of(rooms)


def made(call: AppClient, **wanted: Any) -> dict[str, Any]:
    answer = call("POST", "/v1/keys", json={**WANTED, **wanted})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def listed(call: AppClient, **query: Any) -> dict[str, Any]:
    answer = call("GET", "/v1/keys", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def shown(call: AppClient, key_id: str) -> dict[str, Any]:
    (key,) = [key for key in listed(call)["data"] if key["id"] == key_id]
    return dict(key)


def test_a_new_key_is_shown_once_and_works(call: AppClient, rooms: AdminRooms) -> None:
    wanted = {
        "name": "ci",
        "role": "org_admin",
        "scopes": ["read", "admin"],
        "user_id": "ana",
        "project_id": "p1",
        "expires_at": "2026-03-01T01:00:00+01:00",
    }
    key = made(call, **wanted)
    assert key == wanted | {
        "object": "key",
        "id": key["id"],
        "org_id": "default",
        "scopes": ["admin", "read"],
        "hint": key["key"][:8],
        "created_at": "2026-01-31T12:00:00Z",
        "expires_at": "2026-03-01T00:00:00Z",
        "revoked_at": None,
        "key": key["key"],
    }
    assert key["key"].startswith("tb_")
    assert rooms.auth.admit(key["key"]).key.id == key["id"]
    assert shown(call, key["id"]) == {name: value for name, value in key.items() if name != "key"}


def test_a_repeat_is_answered_byte_for_byte(call: AppClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = call("POST", "/v1/keys", json=WANTED, headers=headers)
    again = call("POST", "/v1/keys", json=WANTED, headers=headers)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    other = call("POST", "/v1/keys", json={**WANTED, "name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(listed(call)["data"]) == 2


@pytest.mark.parametrize("sent", ["", "x" * 256, "ü".encode()])
def test_an_idempotency_key_is_plain(call: AppClient, sent: str | bytes) -> None:
    answer = call("POST", "/v1/keys", json=WANTED, headers={"Idempotency-Key": sent})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]


@pytest.mark.parametrize(
    ("wanted", "loc"),
    [
        ({"name": ""}, ["body", "name"]),
        ({"name": "x" * 256}, ["body", "name"]),
        ({"name": "a\u0000b"}, ["body", "name"]),
        ({"name": 5}, ["body", "name"]),
        ({"name": None}, ["body", "name"]),
        ({"role": "king"}, ["body", "role"]),
        ({"scopes": []}, ["body", "scopes"]),
        ({"scopes": ["read", "fly"]}, ["body", "scopes", 1]),
        ({"scopes": ["admin"]}, ["body", "scopes"]),
        ({"scopes": "read"}, ["body", "scopes"]),
        ({"user_id": ""}, ["body", "user_id"]),
        ({"project_id": 1}, ["body", "project_id"]),
        ({"expires_at": "tomorrow"}, ["body", "expires_at"]),
        ({"expires_at": "2026-02-30T00:00:00Z"}, ["body", "expires_at"]),
        ({"expires_at": "2026-01-31T12:00:00Z"}, ["body", "expires_at"]),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, ["body", "expires_at"]),
        ({"expires_at": 1e300}, ["body", "expires_at"]),
        ({"expire_at": "2027-01-01T00:00:00Z"}, ["body", "expire_at"]),
    ],
)
def test_faults_are_named(call: AppClient, wanted: dict[str, Any], loc: list[str | int]) -> None:
    answer = call("POST", "/v1/keys", json={**WANTED, **wanted})
    assert answer.status_code == 422, answer.text
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]
    assert len(listed(call)["data"]) == 1


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b'{"name": "\\ud800", "role": "member"}'])
def test_odd_bodies_are_invalid(call: AppClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert call("POST", "/v1/keys", content=body, headers=headers).status_code in (400, 422)


def test_an_org_admin_keeps_to_its_org_and_role(call: AppClient, rooms: AdminRooms) -> None:
    org_admin = rooms.add_key(Role.ORG_ADMIN, org_id="acme")
    assert call("POST", "/v1/keys", org_admin, json=WANTED).json()["org_id"] == "acme"
    for wanted in ({"role": "cluster_admin"}, {"org_id": "default"}):
        assert call("POST", "/v1/keys", org_admin, json={**WANTED, **wanted}).status_code == 403
    assert {key["org_id"] for key in call("GET", "/v1/keys", org_admin).json()["data"]} == {"acme"}


def test_a_cluster_admin_makes_keys_of_any_org(call: AppClient) -> None:
    assert made(call, org_id="acme")["org_id"] == "acme"
    there = call("POST", "/v1/keys", json=WANTED, headers={"X-Org-Id": "acme"})
    assert there.json()["org_id"] == "acme"
    assert call("POST", "/v1/keys", json={**WANTED, "org_id": "unknown"}).status_code == 404
    assert len(call("GET", "/v1/keys", headers={"X-Org-Id": "acme"}).json()["data"]) == 2


def test_a_walk_by_pages_meets_every_key_once(call: AppClient, rooms: AdminRooms) -> None:
    for number in range(6):
        rooms.clock.now += number % 2
        made(call, name=f"key {number}")
    whole = listed(call)
    assert (whole["object"], whole["has_more"], whole["next_page"]) == ("list", False, None)
    walked, page = [], listed(call, limit=3)
    while page["has_more"]:
        walked += page["data"]
        page = listed(call, limit=3, page=page["next_page"])
    assert walked + page["data"] == whole["data"]
    assert len(whole["data"]) == 7


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ({"limit": 0}, ["query", "limit"]),
        ({"limit": 1001}, ["query", "limit"]),
        ({"limit": "x"}, ["query", "limit"]),
        ({"page": ""}, ["query", "page"]),
        ({"page": "nonsense"}, ["query", "page"]),
    ],
)
def test_a_page_is_asked_for_properly(call: AppClient, query: dict[str, Any], loc: list[str]) -> None:
    answer = call("GET", "/v1/keys", params=query)
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]


def test_a_cursor_belongs_to_its_org(call: AppClient) -> None:
    made(call)
    cursor = listed(call, limit=1)["next_page"]
    assert call("GET", "/v1/keys", params={"page": cursor}, headers={"X-Org-Id": "acme"}).status_code == 422


def test_a_revoked_key_is_refused_and_stays_listed(call: AppClient, rooms: AdminRooms) -> None:
    key = made(call, role="org_admin")
    assert call("GET", "/v1/keys", key["key"]).status_code == 200
    first = call("DELETE", f"/v1/keys/{key['id']}")
    assert (first.status_code, first.json()["revoked_at"]) == (200, "2026-01-31T12:00:00Z")
    assert "key" not in first.json()
    refused = call("GET", "/v1/keys", key["key"])
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    rooms.clock.now += 1
    again = call("DELETE", f"/v1/keys/{key['id']}")
    assert (again.status_code, again.content) == (200, first.content)
    assert shown(call, key["id"]) == first.json()


def test_foreign_and_unknown_keys_are_not_found(call: AppClient, rooms: AdminRooms) -> None:
    key = made(call)
    org_admin = rooms.add_key(Role.ORG_ADMIN, org_id="acme")
    for key_id in (key["id"], "unknown", "%00", "%ff"):
        assert call("DELETE", f"/v1/keys/{key_id}", org_admin).status_code == 404


def test_the_key_of_the_setting_is_replaced_there(call: AppClient, rooms: AdminRooms) -> None:
    answer = call("DELETE", f"/v1/keys/{rooms.admin.key.id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_fixed_by_setting")
    assert listed(call)["data"][0]["id"] == rooms.admin.key.id


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {ADMIN_KEY}"},
        {"Authorization": f"bearer {ADMIN_KEY}"},
        {"Authorization": f"BEARER   {ADMIN_KEY} "},
        {"X-API-Key": ADMIN_KEY},
        {"X-API-Key": ADMIN_KEY, "Authorization": "Basic YTpi"},
    ],
)
def test_a_key_may_be_presented_in_several_ways(call: AppClient, headers: dict[str, str]) -> None:
    assert call("GET", "/v1/keys", None, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ADMIN_KEY},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {ADMIN_KEY}"},
        {"Authorization": f"Bearer {ADMIN_KEY.upper()}"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-API-Key": ""},
    ],
)
def test_anything_else_is_unauthenticated(call: AppClient, headers: dict[str, Any]) -> None:
    answer = call("GET", "/v1/keys", None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert call("POST", "/v1/keys", None, headers=headers, json={"nonsense": 1}).status_code == 401


def test_an_end_user_header_is_checked(call: AppClient) -> None:
    assert call("GET", "/v1/keys", headers={"X-On-Behalf-Of": "*"}).status_code == 400
    assert call("GET", "/v1/keys", headers={"X-On-Behalf-Of": "ana"}).status_code == 200


def test_keys_need_the_scope_admin(call: AppClient, rooms: AdminRooms) -> None:
    for key in (rooms.add_key(Role.MEMBER), rooms.add_key(Role.ORG_ADMIN, Scope.READ, Scope.LEDGER)):
        answer = call("GET", "/v1/keys", key)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert call("POST", "/v1/keys", key, json=WANTED).status_code == 403
