"""`/v1/orgs` and the settings of orgs over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallybook.auth.key import Role
from tests.admin_rooms import AdminRooms, AppClient, client_of, open_rooms

DEFAULTS = {
    "late_confirm": "charge",
    "overrun": "available",
    "credits_per_usd": "100",
    "markup_percent": "0",
    "reservation_seconds": 900,
    "store_messages": False,
    "message_retention_days": 30,
}


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[AdminRooms]:
    with open_rooms(tmp_path) as opened:
        opened.started()
        opened.add_org("acme")
        yield opened


@pytest.fixture
def call(rooms: AdminRooms) -> AppClient:
    return client_of(rooms)


def test_an_org_is_made_once(call: AppClient) -> None:
    answer = call("POST", "/v1/orgs", json={"id": "new:org-1", "name": "Näme"})
    assert answer.status_code == 201
    assert answer.json() == {
        "object": "org",
        "id": "new:org-1",
        "name": "Näme",
        "created_at": "2026-01-31T12:00:00Z",
    }
    again = call("POST", "/v1/orgs", json={"id": "new:org-1", "name": "Other"})
    assert (again.status_code, again.json()["code"]) == (409, "org_exists")
    assert call("GET", "/v1/orgs", headers={"X-Org-Id": "new:org-1"}).status_code == 200


def test_a_repeat_is_answered_byte_for_byte(call: AppClient) -> None:
    for org_id, status in (("new", 201), ("acme", 409)):
        answers = [
            call("POST", "/v1/orgs", json={"id": org_id, "name": "N"}, headers={"Idempotency-Key": org_id})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [status, status]
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("wanted", "loc"),
    [
        ({"id": "a b", "name": "N"}, ["body", "id"]),
        ({"id": "", "name": "N"}, ["body", "id"]),
        ({"id": "x" * 256, "name": "N"}, ["body", "id"]),
        ({"id": 5, "name": "N"}, ["body", "id"]),
        ({"id": "new", "name": ""}, ["body", "name"]),
        ({"id": "new", "name": "a\nb"}, ["body", "name"]),
        ({"id": "new"}, ["body", "name"]),
        ({"id": "new", "name": "N", "nonsense": 1}, ["body", "nonsense"]),
    ],
)
def test_faults_are_named(call: AppClient, wanted: dict[str, Any], loc: list[str]) -> None:
    answer = call("POST", "/v1/orgs", json=wanted)
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]


def test_cluster_admins_see_all_orgs_and_others_their_own(call: AppClient, rooms: AdminRooms) -> None:
    assert [org["id"] for org in call("GET", "/v1/orgs").json()["data"]] == ["acme", "default"]
    member = rooms.add_key(Role.MEMBER, org_id="acme")
    seen = call("GET", "/v1/orgs", member).json()
    assert [org["id"] for org in seen["data"]] == ["acme"]
    assert (seen["has_more"], seen["next_page"]) == (False, None)


def test_a_walk_by_pages_meets_every_org_once(call: AppClient, rooms: AdminRooms) -> None:
    for number in range(5):
        rooms.add_org(f"org{number}")
    walked, page = [], call("GET", "/v1/orgs", params={"limit": 3}).json()
    while page["has_more"]:
        walked += page["data"]
        page = call("GET", "/v1/orgs", params={"limit": 3, "page": page["next_page"]}).json()
    ids = [org["id"] for org in walked + page["data"]]
    assert ids == ["acme", "default", *(f"org{number}" for number in range(5))]
    assert call("GET", "/v1/orgs", params={"page": "nonsense"}).status_code == 422


def test_settings_start_at_their_defaults_and_change_by_name(call: AppClient, rooms: AdminRooms) -> None:
    admin = rooms.add_key(Role.ORG_ADMIN, org_id="acme")
    assert call("GET", "/v1/orgs/acme/settings", admin).json() == DEFAULTS
    changed = call("PATCH", "/v1/orgs/acme/settings", admin, json={"overrun": "held", "markup_percent": "12.5"})
    assert changed.json() == DEFAULTS | {"overrun": "held", "markup_percent": "12.5"}
    assert call("GET", "/v1/orgs/acme/settings", admin).json() == changed.json()
    reset = call("PATCH", "/v1/orgs/acme/settings", admin, json={"overrun": None})
    assert reset.json() == DEFAULTS | {"markup_percent": "12.5"}
    assert call("PATCH", "/v1/orgs/acme/settings", admin, json={}).json() == reset.json()
    assert call("GET", "/v1/orgs/default/settings").json() == DEFAULTS


def test_a_repeated_change_is_answered_alike_and_changes_nothing(call: AppClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = call("PATCH", "/v1/orgs/acme/settings", json={"overrun": "held"}, headers=headers)
    call("PATCH", "/v1/orgs/acme/settings", json={"overrun": "available"})
    again = call("PATCH", "/v1/orgs/acme/settings", json={"overrun": "held"}, headers=headers)
    assert again.content == first.content
    assert call("GET", "/v1/orgs/acme/settings").json()["overrun"] == "available"


def test_every_fault_is_listed_and_nothing_changes(call: AppClient) -> None:
    wanted = {"overrun": "held", "store_messages": 1, "nonsense": 1, "credits_per_usd": 2.5}
    answer = call("PATCH", "/v1/orgs/acme/settings", json=wanted)
    assert answer.status_code == 422
    locs = [error["loc"] for error in answer.json()["errors"]]
    assert locs == [["body", "store_messages"], ["body", "nonsense"], ["body", "credits_per_usd"]]
    assert call("GET", "/v1/orgs/acme/settings").json() == DEFAULTS


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'{"\\ud800": 1}'])
def test_odd_bodies_are_invalid(call: AppClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = call("PATCH", "/v1/orgs/acme/settings", content=body, headers=headers)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("org_id", ["default", "unknown"])
def test_foreign_and_unknown_orgs_are_not_found(call: AppClient, rooms: AdminRooms, org_id: str) -> None:
    admin = rooms.add_key(Role.ORG_ADMIN, org_id="acme")
    assert call("GET", f"/v1/orgs/{org_id}/settings", admin).status_code == 404
    assert call("PATCH", f"/v1/orgs/{org_id}/settings", admin, json={"overrun": "held"}).status_code == 404
    assert call("GET", "/v1/orgs/unknown/settings").status_code == 404


def test_a_cluster_admin_sets_any_org(call: AppClient) -> None:
    assert call("PATCH", "/v1/orgs/acme/settings", json={"overrun": "held"}).status_code == 200


def test_only_cluster_admins_make_orgs_and_members_set_nothing(call: AppClient, rooms: AdminRooms) -> None:
    org_admin, member = rooms.add_key(Role.ORG_ADMIN), rooms.add_key(Role.MEMBER)
    assert call("POST", "/v1/orgs", org_admin, json={"id": "new", "name": "N"}).status_code == 403
    assert call("GET", "/v1/orgs/default/settings", member).status_code == 403
    assert call("PATCH", "/v1/orgs/default/settings", member, json={}).status_code == 403
    assert call("GET", "/v1/orgs", None).status_code == 401
