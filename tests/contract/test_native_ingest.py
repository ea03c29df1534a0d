"""`POST /v1/events` over HTTP: what it takes, what it answers, what it refuses."""

import gzip
import itertools
import json
import time
from decimal import Decimal
from typing import Any

import httpx
import pytest
import zstandard

from tests.serving import ServerProcess

COUNT = itertools.count()


def event(**fields: Any) -> dict[str, Any]:
    return {
        "id": f"event-{next(COUNT)}",
        "model": "gpt-4o",
        "occurred_at": "2026-01-31T12:00:00Z",
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **fields,
    }


def send(client: httpx.Client, *events: Any, **options: Any) -> httpx.Response:
    return client.post("/v1/events", json={"events": list(events)}, **options)


def stored(client: httpx.Client, uid: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/v1/events/{uid}").raise_for_status().json()
    return answer


def test_a_new_event_is_inserted_and_found_again(admin: httpx.Client) -> None:
    sent = event(user_id="ana", metadata={"b": 1, "a": [2.50]}, usage={"input_tokens": 3, "audio_seconds": 1.25})
    answer = send(admin, sent)
    assert answer.status_code == 200
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert (body["inserted"], body["duplicates"], body["conflicts"]) == (1, 0, 0)
    (result,) = body["results"]
    assert result["index"] == 0
    assert result["id"] == sent["id"]
    assert result["status"] == "inserted"
    assert result["pricing"] == "unpriced"
    assert result["cost_usd"] is None
    found = stored(admin, result["uid"])
    assert found["id"] == sent["id"]
    assert found["user_id"] == "ana"
    assert found["usage"]["input_tokens"] == 3
    assert Decimal(str(found["usage"]["audio_seconds"])) == Decimal("1.25")
    assert found["metadata"] == {"a": [2.5], "b": 1}


def test_the_same_event_again_is_a_duplicate_with_the_first_answer(admin: httpx.Client) -> None:
    sent = event(cost_usd="0.25")
    first = send(admin, sent).json()["results"][0]
    again = send(admin, dict(reversed(sent.items()))).json()
    assert again["duplicates"] == 1
    assert again["results"][0] == {**first, "status": "duplicate"}
    assert first["cost_usd"] == "0.25"
    assert first["pricing"] == "given"


@pytest.mark.parametrize(
    "other",
    [
        {"usage": {"input_tokens": 11, "output_tokens": 5}},
        {"model": "gpt-4o-mini"},
        {"occurred_at": "2026-01-31T12:00:01Z"},
        {"metadata": {"a": 1}},
        {"stream": True},
        {"cost_usd": "0"},
    ],
)
def test_another_content_under_the_same_id_is_a_conflict(admin: httpx.Client, other: dict[str, Any]) -> None:
    sent = event()
    send(admin, sent)
    answer = send(admin, {**sent, **other}, event())
    body = answer.json()
    assert (body["inserted"], body["conflicts"]) == (1, 1)
    assert body["results"][0] == {"index": 0, "id": sent["id"], "status": "conflict"}
    assert send(admin, sent).json()["duplicates"] == 1


@pytest.mark.parametrize(
    "same",
    [
        {"occurred_at": 1769860800},
        {"occurred_at": "2026-01-31T13:00:00.000000+01:00"},
        {"occurred_at": "2026-01-31T12:00:00.0000009Z"},
        {"kind": "completion"},
        {"source": ""},
        {"user_id": None},
        {"batch": False},
        {"unheard_of": 1},
        {"usage": {"input_tokens": 10, "output_tokens": 5, "requests": 1}},
        {"usage": {"output_tokens": 5, "input_tokens": 10, "unheard_of": "x"}},
        {"messages": [{"role": "user", "content": "hello"}]},
    ],
)
def test_another_spelling_of_the_same_content_is_a_duplicate(admin: httpx.Client, same: dict[str, Any]) -> None:
    sent = event()
    send(admin, sent)
    assert send(admin, {**sent, **same}).json()["duplicates"] == 1


def test_the_source_is_part_of_the_identity(admin: httpx.Client) -> None:
    sent = event()
    assert send(admin, sent, {**sent, "source": "import-a"}).json()["inserted"] == 2


def test_within_a_batch_the_first_occurrence_wins(admin: httpx.Client) -> None:
    sent = event()
    body = send(admin, sent, sent, {**sent, "model": "other"}).json()
    assert [result["status"] for result in body["results"]] == ["inserted", "duplicate", "conflict"]
    assert body["results"][1]["uid"] == body["results"][0]["uid"]


def test_a_bare_event_is_taken_and_its_conflict_is_409(admin: httpx.Client) -> None:
    sent = event()
    assert admin.post("/v1/events", json=sent).json()["inserted"] == 1
    assert admin.post("/v1/events", json=sent).json()["duplicates"] == 1
    answer = admin.post("/v1/events", json={**sent, "model": "other"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "event_conflict"


def test_ndjson_and_compressed_bodies_are_taken(admin: httpx.Client) -> None:
    lines = "\n".join(json.dumps(event()) for _ in range(3)).encode()
    kind = {"Content-Type": "application/x-ndjson"}
    assert admin.post("/v1/events", content=lines, headers=kind).json()["inserted"] == 3
    gzipped = admin.post("/v1/events", content=gzip.compress(lines), headers={**kind, "Content-Encoding": "gzip"})
    assert gzipped.json()["duplicates"] == 3
    packed = zstandard.ZstdCompressor().compress(lines)
    assert (
        admin.post("/v1/events", content=packed, headers={**kind, "Content-Encoding": "zstd"}).json()["duplicates"] == 3
    )


def test_an_empty_batch_is_no_fault(admin: httpx.Client) -> None:
    assert send(admin).json() == {"inserted": 0, "duplicates": 0, "conflicts": 0, "results": []}


def test_an_idempotency_key_gives_events_without_id_the_same_id_again(admin: httpx.Client) -> None:
    sent = [{**event(), "id": None}, {**event(), "id": None}]
    headers = {"Idempotency-Key": f"call-{next(COUNT)}"}
    first = send(admin, *sent, headers=headers).json()
    again = send(admin, *sent, headers=headers).json()
    assert (first["inserted"], again["duplicates"]) == (2, 2)
    assert [result["uid"] for result in again["results"]] == [result["uid"] for result in first["results"]]
    assert send(admin, *sent).json()["inserted"] == 2


def test_unknown_kinds_are_kept(admin: httpx.Client) -> None:
    uid = send(admin, event(kind="teleportation")).json()["results"][0]["uid"]
    assert stored(admin, uid)["kind"] == "teleportation"


def test_all_faults_are_listed_by_index_and_nothing_is_stored(admin: httpx.Client) -> None:
    good = event()
    answer = send(
        admin,
        good,
        event(usage={"input_tokens": -1, "output_tokens": "many"}),
        event(occurred_at="1999-12-31T23:59:59Z", context="other"),
        "no event",
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["faults_total"] == 5
    assert [fault["loc"] for fault in body["errors"]] == [
        ["events", 1, "usage", "input_tokens"],
        ["events", 1, "usage", "output_tokens"],
        ["events", 2, "context"],
        ["events", 2, "occurred_at"],
        ["events", 3],
    ]
    assert send(admin, good).json()["inserted"] == 1


BAD_FIELDS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"id": ""}, ["id"]),
    ({"id": "x" * 256}, ["id"]),
    ({"id": "tab\there"}, ["id"]),
    ({"id": "nul\x00"}, ["id"]),
    ({"id": 7}, ["id"]),
    ({"source": "tallybook:usage_log"}, ["source"]),
    ({"source": "x" * 256}, ["source"]),
    ({"user_id": "bell\x07"}, ["user_id"]),
    ({"model": ["gpt-4o"]}, ["model"]),
    ({"model": "x" * 100_000}, ["model"]),
    ({"kind": ""}, ["kind"]),
    ({"context": "nobody"}, ["context"]),
    ({"batch": "yes"}, ["batch"]),
    ({"usage": [1]}, ["usage"]),
    ({"usage": {"input_tokens": 1.5}}, ["usage", "input_tokens"]),
    ({"usage": {"input_tokens": "12"}}, ["usage", "input_tokens"]),
    ({"usage": {"input_tokens": True}}, ["usage", "input_tokens"]),
    ({"usage": {"input_tokens": 2**53}}, ["usage", "input_tokens"]),
    ({"usage": {"input_tokens": 2**63}}, ["usage", "input_tokens"]),
    ({"usage": {"input_tokens": 10**30}}, ["usage", "input_tokens"]),
    ({"usage": {"audio_seconds": -0.5}}, ["usage", "audio_seconds"]),
    ({"usage": {"input_tokens": 5, "cache_read_tokens": 6}}, ["usage", "input_tokens"]),
    ({"usage": {"cache_read_tokens": 6}}, ["usage", "input_tokens"]),
    ({"usage": {"output_tokens": 5, "reasoning_tokens": 6}}, ["usage", "output_tokens"]),
    ({"cost_usd": "-1"}, ["cost_usd"]),
    ({"cost_usd": "9000000.000000000001"}, ["cost_usd"]),
    ({"cost_usd": "NaN"}, ["cost_usd"]),
    ({"cost_usd": "Infinity"}, ["cost_usd"]),
    ({"cost_usd": "1_000"}, ["cost_usd"]),
    ({"cost_usd": "a lot"}, ["cost_usd"]),
    ({"latency_ms": -1}, ["latency_ms"]),
    ({"metadata": [1]}, ["metadata"]),
    ({"metadata": {"a": "x" * 20_000}}, ["metadata"]),
    ({"description": "x" * 5_000}, ["description"]),
    ({"occurred_at": "yesterday"}, ["occurred_at"]),
    ({"occurred_at": "2026-01-31T12:00:00"}, ["occurred_at"]),
    ({"occurred_at": "2026-02-30T12:00:00Z"}, ["occurred_at"]),
    ({"occurred_at": "1999-12-31T23:59:59Z"}, ["occurred_at"]),
    ({"occurred_at": "2999-01-01T00:00:00Z"}, ["occurred_at"]),
    ({"occurred_at": True}, ["occurred_at"]),
]


@pytest.mark.parametrize(("fields", "loc"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_bad_field_is_named_with_its_index(admin: httpx.Client, fields: dict[str, Any], loc: list[Any]) -> None:
    good = event()
    answer = send(admin, good, event(**fields))
    assert answer.status_code == 422, answer.text
    assert [fault["loc"] for fault in answer.json()["errors"]] == [["events", 1, *loc]]
    assert send(admin, good).json()["inserted"] == 1


COUNTERS_AND_COST = [
    "input_tokens",
    "audio_seconds",
    "characters",
    "units",
    "peak_memory_mib",
    "requests",
    "cost_usd",
]


@pytest.mark.parametrize("number", ["NaN", "1e400", "1e999999999", "-1e400", "9" * 400])
@pytest.mark.parametrize("name", [*COUNTERS_AND_COST, "occurred_at", "latency_ms"])
def test_monstrous_numbers_are_refused_at_once(admin: httpx.Client, name: str, number: str) -> None:
    field = f'"usage": {{"{name}": {number}}}' if name in COUNTERS_AND_COST[:-1] else f'"{name}": {number}'
    body = f'{{"events": [{{"id": "event-{next(COUNT)}", {field}}}]}}'
    started = time.perf_counter()
    answer = admin.post("/v1/events", content=body)
    assert time.perf_counter() - started < 5
    assert answer.status_code in (400, 422)
    assert answer.status_code == 400 or name in answer.json()["errors"][0]["loc"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1, 2",
        b'{"events": [{"id": "a"}]} x',
        b'{"events": [{"id": "\xff"}]}',
        b'{"events": [{"id": "\\ud800"}]}',
        b'{"events": [{"x": NaN}]}',
        b"[" * 100_000,
        b'{"events": [{"metadata": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}]}",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: str(body[:30]),
)
def test_what_is_not_json_is_400(admin: httpx.Client, body: bytes) -> None:
    answer = admin.post("/v1/events", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "malformed"


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null", '{"events": 1}', '{"events": {"id": "a"}}'])
def test_json_of_another_shape_is_422(admin: httpx.Client, body: str) -> None:
    assert admin.post("/v1/events", content=body).status_code == 422


def test_a_broken_ndjson_line_is_named(admin: httpx.Client) -> None:
    good = json.dumps(event())
    headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
    answer = admin.post("/v1/events", content=f"{good}\n{{broken\n{good}\n", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["events", 1], "msg": "is not valid JSON"}]


def test_strict_refuses_unknown_fields(admin: httpx.Client) -> None:
    sent = event(colour="red", usage={"input_tokens": 1, "output_tokns": 2})
    answer = admin.post("/v1/events?strict=true", json={"events": [sent]})
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["errors"]] == [
        ["events", 0, "colour"],
        ["events", 0, "usage", "output_tokns"],
    ]
    assert admin.post("/v1/events?strict=true", json={"events": [event()]}).json()["inserted"] == 1
    assert admin.post("/v1/events?strict=maybe", json={"events": [event()]}).status_code == 422


@pytest.mark.parametrize("body", [{"evnts": [{"id": "1"}]}, {"events": [{"modle": "m"}]}])
def test_what_holds_no_field_of_an_event_is_none(admin: httpx.Client, body: dict[str, Any]) -> None:
    answer = admin.post("/v1/events", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["events", 0], "msg": "holds no field of an event"}]
    answer = admin.post("/v1/events", json={"events": [{"colour": "red", "model": "m"}, {}]})
    assert answer.json()["inserted"] == 2


def test_at_most_a_hundred_faults_are_listed(admin: httpx.Client) -> None:
    body = send(admin, *[event(latency_ms=-1) for _ in range(150)]).json()
    assert len(body["errors"]) == 100
    assert body["faults_total"] == 150


def test_bodies_and_batches_have_bounds_also_when_inflated(admin: httpx.Client) -> None:
    bomb = b'{"events": [' + b" " * (17 * 2**20) + b"]}"
    assert admin.post("/v1/events", content=bomb).status_code == 413
    for encoding, packed in (
        ("gzip", gzip.compress(bomb)),
        ("zstd", zstandard.ZstdCompressor().compress(bomb)),
    ):
        answer = admin.post("/v1/events", content=packed, headers={"Content-Encoding": encoding})
        assert answer.status_code == 413
        assert answer.json()["code"] == "body_too_large"
    answer = send(admin, *[{} for _ in range(10_001)])
    assert answer.status_code == 413
    assert answer.json()["code"] == "batch_too_large"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"not gzip"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4]),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"more"),
        ("zstd", b"not zstd"),
        ("br", b"x"),
    ],
)
def test_a_damaged_or_unknown_encoding_is_400(admin: httpx.Client, encoding: str, body: bytes) -> None:
    assert admin.post("/v1/events", content=body, headers={"Content-Encoding": encoding}).status_code == 400


def new_key(admin: httpx.Client, **fields: Any) -> dict[str, str]:
    made: dict[str, str] = admin.post("/v1/keys", json={"name": "test", **fields}).raise_for_status().json()
    return made


def test_a_member_writes_and_reads_only_its_own(server: ServerProcess, admin: httpx.Client) -> None:
    key = new_key(admin, role="member", user_id="bob")
    with server.client(key["key"]) as bob:
        uid = send(bob, event()).json()["results"][0]["uid"]
        assert stored(admin, uid)["user_id"] == "bob"
        assert stored(admin, uid)["api_key_id"] == key["id"]
        answer = send(bob, event(user_id="eve"))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["loc"] == ["events", 0, "user_id"]
        assert send(bob, event(api_key_id="key_other")).status_code == 422
        assert send(bob, event(user_id="bob", api_key_id=key["id"])).json()["inserted"] == 1


def test_a_key_without_user_may_record_for_anybody(server: ServerProcess, admin: httpx.Client) -> None:
    key = new_key(admin, role="member", scopes=["ingest"])
    with server.client(key["key"]) as gateway:
        sent = event(user_id="carol")
        assert send(gateway, sent).json()["inserted"] == 1
        # It may not read, so a duplicate tells it nothing but that.
        again = send(gateway, sent).json()["results"][0]
        assert again == {"index": 0, "id": sent["id"], "status": "duplicate"}


def test_the_same_content_from_another_user_is_a_conflict(server: ServerProcess, admin: httpx.Client) -> None:
    sent = event()
    for user, expected in (("dora", "inserted"), ("dora", "duplicate"), ("emil", "conflict")):
        key = new_key(admin, role="member", user_id=user)
        with server.client(key["key"]) as client:
            assert send(client, sent).json()["results"][0]["status"] == expected


def test_on_behalf_of_fills_the_external_user(admin: httpx.Client) -> None:
    headers = {"X-On-Behalf-Of": "end-user-1"}
    uid = send(admin, event(), headers=headers).json()["results"][0]["uid"]
    assert stored(admin, uid)["external_user_id"] == "end-user-1"
    answer = send(admin, event(external_user_id="end-user-2"), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["events", 0, "external_user_id"]


def test_orgs_are_walls(admin: httpx.Client) -> None:
    admin.post("/v1/orgs", json={"id": "acme", "name": "Acme"}).raise_for_status()
    sent = event()
    uid = send(admin, sent, headers={"X-Org-Id": "acme"}).json()["results"][0]["uid"]
    assert admin.get(f"/v1/events/{uid}").status_code == 404
    assert admin.get(f"/v1/events/{uid}", headers={"X-Org-Id": "acme"}).status_code == 200
    assert send(admin, sent).json()["inserted"] == 1
    assert send(admin, sent, headers={"X-Org-Id": "nowhere"}).status_code == 404


def test_keys_are_asked_for(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url) as nobody:
        answer = nobody.post("/v1/events", json={"events": []})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    with server.client("tb_wrong") as stranger:
        assert stranger.post("/v1/events", json={"events": []}).status_code == 401


def test_a_key_that_may_not_ingest_gets_403(server: ServerProcess, admin: httpx.Client) -> None:
    key = new_key(admin, role="member", user_id="bob", scopes=["read"])
    with server.client(key["key"]) as reader:
        assert send(reader, event()).status_code == 403
