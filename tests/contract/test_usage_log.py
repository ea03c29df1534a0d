"""The usage log over HTTP: who sees and changes what, how records and events map, and what is refused."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.correction_calls import recorded
from tests.contract.credit_calls import Ledger, done, read, unique
from tests.contract.settlement_calls import MODEL, confirm_with, record_prices
from tests.serving import ServerProcess

CALL: dict[str, Any] = {"api_name": "tts", "endpoint": "/tts", "units_used": 12.5, "cost_usd": 0.1}
WRONG, MISSING = "value_error", "missing"
BOTH = {"body.units_used": WRONG, "body.cost_usd": WRONG}
UNKNOWN = "01a20108-4b09-7c15-924d-73ab54a2cbf7"


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        record_prices(client)
        yield client


def member(server: ServerProcess, http: httpx.Client, **wanted: Any) -> httpx.Client:
    made = http.post("/v1/keys", json={"name": unique("key"), "role": "member", **wanted}).raise_for_status().json()
    return server.client(made["key"])


def log(http: httpx.Client, key: str | None = None, **fields: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = http.post("/usage", json={**CALL, **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    return read(answer)


def listed(http: httpx.Client, path: str = "/usage", **query: Any) -> list[Any]:
    answer = http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: list[Any] = read(answer)
    return found


def faults(answer: httpx.Response) -> dict[str, str]:
    """Field to type of each fault of a 422."""
    assert answer.status_code == 422, answer.text
    for fault in answer.json()["detail"]:
        assert set(fault) == {"loc", "msg", "type"}
    return {".".join(map(str, fault["loc"])): fault["type"] for fault in answer.json()["detail"]}


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    (said,) = answer.json().values()
    assert isinstance(said, str)
    return said


def test_members_see_their_own_admins_their_org_cluster_admins_all(server: ServerProcess, http: httpx.Client) -> None:
    org, ana, bob = unique("org"), unique("ana"), unique("bob")
    http.post("/v1/orgs", json={"id": org, "name": org}).raise_for_status()
    keeper = http.post("/v1/keys", json={"name": "k", "role": "org_admin", "org_id": org}).json()["key"]
    with server.client(keeper) as admin, member(server, admin, user_id=ana) as of_ana, member(server, admin) as of_none:
        first, second = log(of_ana), log(admin, user_id=bob)
        third = log(of_none)
        assert first["user_id"] == ana
        assert listed(of_ana) == [first]
        assert listed(of_none) == [third]
        assert listed(admin) == [third, second, first]
        assert listed(http)[:3] == [third, second, first]
        assert [row["usage_id"] for row in read(http.get("/usage", headers={"X-Org-Id": org}))] == [
            row["usage_id"] for row in (third, second, first)
        ]
        assert listed(of_ana, f"/usage/user/{ana}") == [first]
        assert listed(admin, f"/usage/user/{bob}") == [second]
        detail(of_ana.get(f"/usage/user/{bob}"), 403)
        detail(of_none.get(f"/usage/user/{bob}"), 403)
        detail(of_ana.get(f"/usage/{second['usage_id']}"), 404)
        assert read(of_ana.get(f"/usage/{first['usage_id']}")) == first
        for change in (of_ana.put(f"/usage/{first['usage_id']}", json={"cost_usd": 0}),
                       of_ana.delete(f"/usage/{first['usage_id']}")):  # fmt: skip
            detail(change, 403)
        # The cluster admin corrects the records of every org that they see.
        assert read(http.put(f"/usage/{first['usage_id']}", json={"cost_usd": 3}))["cost_usd"] == 3
    with server.client() as nobody:
        nobody.headers["Authorization"] = "Bearer wrong"
        detail(nobody.get("/usage"), 401)


def test_a_user_id_may_hold_slashes(server: ServerProcess, http: httpx.Client) -> None:
    user = f"team/{unique('ana')}"
    record = log(http, user_id=user)
    for spelled in (user, user.replace("/", "%2F")):
        assert listed(http, f"/usage/user/{spelled}") == [record]
    with member(server, http, user_id=user) as of_user, member(server, http, user_id="team") as of_team:
        assert listed(of_user, f"/usage/user/{user}") == [record]
        detail(of_team.get(f"/usage/user/{user}"), 403)


def test_only_who_may_name_others_logs_for_them(server: ServerProcess, http: httpx.Client) -> None:
    other = unique("other")
    with member(server, http, user_id=unique("ana")) as of_ana, member(server, http) as service:
        detail(of_ana.post("/usage", json={**CALL, "user_id": other}), 403)
        assert log(service, user_id=other)["user_id"] == other
        assert listed(http, f"/usage/user/{other}") != []


def test_a_key_that_was_used_is_neither_kept_nor_shown(own_server: ServerProcess, tmp_path: Path) -> None:
    with own_server.start().client() as http:
        secrets = [
            "pk_live_abc123",
            "sk-proj-0123456789abcdef",
            "hunter2hunter2",
            "abcd",
            "tb_wrong",
            "tb_e_0123456789abcdef",
        ]
        shown = [log(http, api_key_used=text)["api_key_used"] for text in secrets]
        assert shown == ["pk_live_…c123", "sk-proj-…cdef", "…ter2", "…", "tb_…", "tb_…cdef"]
        made = http.post("/v1/keys", json={"name": "app", "role": "member", "user_id": "ana"}).json()
        record = log(http, api_key_used=made["key"])
        assert record["api_key_used"] == f"tb_…{made['key'][-4:]}"
        event = http.get(f"/v1/events/{record['usage_id']}").json()
        assert event["api_key_id"] == made["id"]
        bad = http.post("/usage", json={**CALL, "api_key_used": "x" * 2000 + "the end", "units_used": "pk_live_abc123"})
        assert "the end" not in bad.text
        assert "pk_live" not in bad.text
        secrets.append(made["key"])
    own_server.stop()
    kept = b"".join(file.read_bytes() for file in own_server.data_dir.iterdir()) + own_server.log_path.read_bytes()
    assert [text for text in secrets if len(text) > 8 and text.encode() in kept] == []


def test_a_call_with_tokens_is_rated(http: httpx.Client) -> None:
    told = {"api_name": "completion", "endpoint": "/chat", "model": MODEL, "input_tokens": 1200, "output_tokens": 380}
    record = read(http.post("/usage", json=told))
    assert (record["units_used"], record["cost_usd"]) == (1580, Decimal("0.0068"))
    event = http.get(f"/v1/events/{record['usage_id']}").json()
    assert (event["kind"], event["pricing"], event["usage"]) == (
        "completion",
        "priced",
        {"input_tokens": 1200, "output_tokens": 380},
    )
    unpriced = read(http.post("/usage", json={**told, "model": unique("unknown")}))
    assert unpriced["cost_usd"] is None


def test_every_event_is_a_record(http: httpx.Client) -> None:
    ledger, user = Ledger(http), unique("user")
    uid = recorded(
        http, kind="audio_transcription", user_id=user, usage={"audio_seconds": 1.5}, cost_usd="0.000000000001"
    )
    (record,) = listed(http, f"/usage/user/{user}")
    assert record == {
        "usage_id": uid,
        "user_id": user,
        "api_name": "audio_transcription",
        "endpoint": None,
        "units_used": Decimal("1.5"),
        "cost_usd": Decimal("0.000000000001"),
        "api_key_used": record["api_key_used"],
        "status_active": True,
        "created_at": record["created_at"],
    }
    settled = done(confirm_with(ledger, ledger.hold(ledger.account(10), 1)))
    shown = read(http.get(f"/usage/{settled['usageId'].removeprefix('usage_')}"))
    assert (shown["units_used"], shown["cost_usd"]) == (1580, Decimal("0.0068"))


def test_a_refund_of_what_the_ledger_charged_gives_the_credits_back(http: httpx.Client) -> None:
    ledger = Ledger(http)
    account_id = ledger.account(10)
    usage_id = done(confirm_with(ledger, ledger.hold(account_id, 1)))["usageId"].removeprefix("usage_")
    record = read(http.put(f"/usage/{usage_id}", json={"units_used": 0, "cost_usd": 0}))
    assert (record["units_used"], record["cost_usd"], record["status_active"]) == (0, 0, False)
    assert ledger.balances(account_id)[0] == 10
    # Once.
    assert read(http.put(f"/usage/{usage_id}", json={"units_used": 0, "cost_usd": 0})) == record
    assert ledger.balances(account_id)[0] == 10
    ledger.verify()


def test_a_deleted_record_leaves_lists_and_totals_and_can_be_restored(http: httpx.Client) -> None:
    user = unique("user")
    one, two = log(http, user_id=user), log(http, user_id=user)
    path = f"/usage/user/{user}"
    assert http.delete(f"/usage/{one['usage_id']}").status_code == 204
    detail(http.delete(f"/usage/{one['usage_id']}"), 404)
    detail(http.get(f"/usage/{one['usage_id']}"), 404)
    detail(http.put(f"/usage/{one['usage_id']}", json={"cost_usd": 1}), 404)
    answer = http.get(path)
    assert (read(answer), answer.headers["X-Total-Count"]) == ([two], "1")
    answer = http.get(path, params={"include_inactive": "true"})
    assert (read(answer), answer.headers["X-Total-Count"]) == ([two, {**one, "status_active": False}], "2")
    restored = read(http.put(f"/usage/{one['usage_id']}", json={"status_active": True, "reason": "by mistake"}))
    assert restored == one
    assert listed(http, path) == [two, one]
    # Again, and with new values at once.
    assert read(http.put(f"/usage/{one['usage_id']}", json={"status_active": True})) == one
    assert read(http.put(f"/usage/{one['usage_id']}", json={"status_active": False}))["status_active"] is False
    changed = read(http.put(f"/usage/{one['usage_id']}", json={"status_active": True, "cost_usd": 2}))
    assert changed == {**one, "cost_usd": 2}


def test_a_restoring_that_is_repeated_is_answered_alike_whatever_came_later(http: httpx.Client) -> None:
    path, key = f"/usage/{log(http)['usage_id']}", {"Idempotency-Key": unique("key")}
    http.delete(path).raise_for_status()
    restored = http.put(path, json={"status_active": True}, headers=key).raise_for_status()
    for changes in ({"cost_usd": 7}, {"units_used": 0, "cost_usd": 0}):
        http.put(path, json=changes).raise_for_status()
        repeated = http.put(path, json={"status_active": True}, headers=key)
        assert (repeated.status_code, repeated.content) == (200, restored.content)
    assert http.put(path, json={"status_active": True}).status_code == 422


def test_what_is_changed_is_in_every_report(http: httpx.Client) -> None:
    user = unique("user")
    record = log(http, user_id=user)
    changed = read(http.put(f"/usage/{record['usage_id']}", json={"units_used": 3, "cost_usd": 0.25}))
    assert changed == {**record, "units_used": 3, "cost_usd": Decimal("0.25")}
    asked = {"start": "2020-01-01T00:00:00Z", "bucket": "all", "user_id": user, "measures": "units,cost_usd,events"}
    (bucket,) = read(http.get("/v1/usage/query", params=asked))["data"]
    assert bucket["results"] == [{"units": 3, "cost_usd": "0.25", "events": 1}]
    assert read(http.put(f"/usage/{record['usage_id']}", json={"units_used": 4}))["cost_usd"] == Decimal("0.25")


def test_repeats_are_answered_with_the_first(http: httpx.Client) -> None:
    key = unique("key")
    first = log(http, key)
    assert log(http, key) == first
    detail(http.post("/usage", json={**CALL, "units_used": 1}, headers={"Idempotency-Key": key}), 409)
    assert log(http)["usage_id"] != log(http)["usage_id"]
    path, named = f"/usage/{first['usage_id']}", {"Idempotency-Key": key}
    changed = http.put(path, json={"cost_usd": 2}, headers=named)
    read(http.put(path, json={"cost_usd": 3}))
    assert http.put(path, json={"cost_usd": 2}, headers=named).content == changed.content
    assert [http.delete(path, headers=named).status_code for _ in range(2)] == [204, 204]
    detail(http.delete(path, headers={"Idempotency-Key": f"{key}-other"}), 404)
    detail(http.put(path, json={"cost_usd": 4}, headers=named), 409)


def test_callers_and_keys_that_join_alike_are_not_each_other(server: ServerProcess, http: httpx.Client) -> None:
    user = unique("user")
    with member(server, http, user_id=user) as one, member(server, http, user_id=f"{user}:b") as other:
        records = [log(one, "b:c"), log(other, "c")]
    assert [record["user_id"] for record in records] == [user, f"{user}:b"]
    assert len({record["usage_id"] for record in records}) == 2


def test_pages_hold_every_record_once(http: httpx.Client) -> None:
    user = unique("user")
    ids = [log(http, user_id=user)["usage_id"] for _ in range(7)]
    path = f"/usage/user/{user}"
    found = [row["usage_id"] for skip in range(0, 9, 3) for row in listed(http, path, skip=skip, limit=3)]
    assert found == ids[::-1]
    assert listed(http, path, skip=7) == listed(http, path, skip=10**30) == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"body.api_name": MISSING, "body.endpoint": MISSING}),
        ({"api_name": "", "endpoint": 5}, {"body.api_name": WRONG, "body.endpoint": WRONG}),
        ({"api_name": "x" * 256, "endpoint": "a\nb"}, {"body.api_name": WRONG, "body.endpoint": WRONG}),
        ({"api_name": "a", "endpoint": "/b"}, {"body.units_used": MISSING, "body.cost_usd": MISSING}),
        ({**CALL, "api_key_used": "pk_live_\n0123456789"}, {"body.api_key_used": WRONG}),
        ({**CALL, "api_key_used": "pk_live_01234567\x1b[2J"}, {"body.api_key_used": WRONG}),
        ({**CALL, "units_used": -1, "cost_usd": -0.1}, BOTH),
        ({**CALL, "units_used": 1e300, "cost_usd": 9000001}, BOTH),
        ({**CALL, "units_used": True, "cost_usd": "much"}, BOTH),
        ({**CALL, "cost_usd": "1e2000000"}, {"body.cost_usd": WRONG}),
        ({**CALL, "input_tokens": 3}, {"body.units_used": WRONG}),
        ({**CALL, "units_used": None, "input_tokens": -3}, {"body.input_tokens": WRONG}),
        ({**CALL, "units_used": 3, "input_tokens": 3, "cache_read_tokens": 4}, {"body.units_used.input_tokens": WRONG}),
        ([], {"body": WRONG}),
    ],
)  # fmt: skip
def test_a_wrong_record_is_refused_by_field(http: httpx.Client, body: Any, named: dict[str, str]) -> None:
    before = http.get("/usage").headers["X-Total-Count"]
    assert faults(http.post("/usage", json=body)) == named
    assert http.get("/usage").headers["X-Total-Count"] == before


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "body"),
        ({"reason": "none"}, "body"),
        ({"units_used": -1}, "body.units_used"),
        ({"cost_usd": 9000001}, "body.cost_usd"),
        ({"status_active": "yes"}, "body.status_active"),
        ({"status_active": False, "cost_usd": 1}, "body.status_active"),
        ({"cost_usd": 1, "reason": ""}, "body.reason"),
    ],
)
def test_a_wrong_change_is_refused_by_field(http: httpx.Client, body: dict[str, Any], named: str) -> None:
    record = log(http)
    assert set(faults(http.put(f"/usage/{record['usage_id']}", json=body))) == {named}
    assert read(http.get(f"/usage/{record['usage_id']}")) == record


def test_tokens_can_only_be_emptied(http: httpx.Client) -> None:
    told = {"api_name": "chat", "endpoint": "/chat", "model": MODEL, "input_tokens": 1200, "output_tokens": 380}
    path = f"/usage/{read(http.post('/usage', json=told))['usage_id']}"
    assert set(faults(http.put(path, json={"units_used": 100}))) == {"body.units_used"}
    assert read(http.put(path, json={"units_used": 1580}))["cost_usd"] == Decimal("0.0068")
    assert read(http.put(path, json={"units_used": 0}))["cost_usd"] == 0


@pytest.mark.parametrize("usage_id", ["nonsense", UNKNOWN, "user", "%00", "💥", "usage_1"])
def test_what_is_not_there_is_404(http: httpx.Client, usage_id: str) -> None:
    path = f"/usage/{usage_id}"
    detail(http.get(path), 404)
    detail(http.put(path, json={"cost_usd": 1}), 404)
    detail(http.delete(path), 404)


@pytest.mark.parametrize("query", ["skip=-1", "skip=x", "limit=0", "limit=501", "limit=", "include_inactive=maybe"])
def test_a_page_out_of_range_is_422(http: httpx.Client, query: str) -> None:
    name = query.partition("=")[0]
    assert set(faults(http.get(f"/usage?{query}"))) == {f"query.{name}"}
    assert set(faults(http.get(f"/usage/user/ana?{query}"))) == {f"query.{name}"}


def test_what_is_no_json_is_400(http: httpx.Client) -> None:
    path = f"/usage/{log(http)['usage_id']}"
    for body in (b"", b"{", b"\xff", b'{"units_used": NaN}', b"[" * 100_000):
        detail(http.post("/usage", content=body), 400)
        detail(http.put(path, content=body), 400)
