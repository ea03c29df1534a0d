"""Messages: kept only where the org wants it, redacted, cut visibly, and gone from every file after their days."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import unique
from tests.contract.readers import Org, answered, org_on
from tests.serving import ServerProcess

LOG = "/api/v1/llm/usage/completions"
SAID = [{"role": "user", "content": "What is the capital of Frânce? 1.50"}]
DAY_US = 86_400 * 10**6


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made:
        keep(made.admin, "acme")
        yield made


def keep(client: httpx.Client, org_id: str, **settings: Any) -> None:
    client.patch(f"/v1/orgs/{org_id}/settings", json={"store_messages": True, **settings}).raise_for_status()


def sent(org: Org, messages: Any, **fields: Any) -> str:
    """The request id of a new event with these messages."""
    request_id = unique("chatcmpl")
    org.send({"id": request_id, "user_id": "ana", "messages": messages, **fields})
    return request_id


def kept(org: Org, request_id: str, by: httpx.Client | None = None) -> Any:
    return answered(by or org.admin, f"{LOG}/{request_id}").get("messages")


@pytest.mark.parametrize("messages", [SAID, {"any": ["json", None, True]}, "text", 5, [], "💬" * 500])
def test_messages_are_kept_as_they_were_sent(org: Org, messages: Any) -> None:
    request_id = sent(org, messages)
    assert kept(org, request_id) == kept(org, request_id, by=org.ana) == messages
    (newest, *_) = answered(org.admin, "/api/v1/llm/usage/users/ana/completions")["completions"]
    assert (newest["requestId"], newest["messages"]) == (request_id, messages)


def test_what_was_sent_together_is_found_together_and_each_by_itself(org: Org) -> None:
    said = {unique("chatcmpl"): [{"role": "user", "content": f"{number}" * 500}] for number in range(7)}
    org.send(*[{"id": name, "user_id": "bob", "messages": messages} for name, messages in said.items()])
    page = answered(org.admin, "/api/v1/llm/usage/users/bob/completions")["completions"]
    assert {each["requestId"]: each["messages"] for each in page if each["requestId"] in said} == said
    assert {name: kept(org, name) for name in said} == said


def test_numbers_keep_their_digits(org: Org) -> None:
    request_id = unique("chatcmpl")
    body = b'{"id": "%b", "messages": [1.50, 12345678901234567890123]}' % request_id.encode()
    org.admin.post("/v1/events", content=body).raise_for_status()
    assert b'"messages":[1.50, 12345678901234567890123]' in org.admin.get(f"{LOG}/{request_id}").content
    slow = unique("chatcmpl")
    org.admin.post("/v1/events?strict=true", content=body.replace(request_id.encode(), slow.encode()))
    assert b'"messages":[1.50,12345678901234567890123]' in org.admin.get(f"{LOG}/{slow}").content


def test_no_messages_are_no_field(org: Org) -> None:
    assert "messages" not in answered(org.admin, f"{LOG}/{sent(org, None)}")


def test_secrets_are_replaced(org: Org) -> None:
    request_id = sent(org, [{"content": "I am ana@example.org, card 4111 1111 1111 1111, key sk-abcdefghijklmnop1234"}])
    told = "I am [redacted: email], card [redacted: card_number], key [redacted: api_key]"
    assert kept(org, request_id) == [{"content": told}]


def test_what_is_too_long_is_cut_visibly(org: Org) -> None:
    long = [{"content": "é" * 40_000}]
    cut = kept(org, sent(org, long))
    whole = json.dumps(long, separators=(",", ":"), ensure_ascii=False)
    assert (cut["truncated"], cut["bytes"]) == (True, len(whole.encode()))
    assert whole.startswith(cut["beginning"])
    assert 64 * 1024 - 2 < len(cut["beginning"].encode()) <= 64 * 1024


def test_a_batch_and_its_repeat(org: Org) -> None:
    events: list[dict[str, Any]] = [
        {"id": unique("chatcmpl"), "messages": [f"{number} " * 500]} for number in range(300)
    ]
    org.send(*events)
    for event in events[::50]:
        assert kept(org, event["id"]) == event["messages"]
    again = org.cluster.post("/v1/events", json={"events": [*events[:2], {"id": unique("new"), "messages": "new"}]})
    assert (again.json()["duplicates"], again.json()["inserted"]) == (2, 1)
    other = org.cluster.post("/v1/events", json={**events[0], "messages": "other words"})
    assert other.json()["results"][0]["status"] == "duplicate"  # messages are no part of the content
    assert kept(org, events[0]["id"]) == events[0]["messages"]


@pytest.mark.parametrize(
    "messages",
    [b"nonsense", b'"half', b"[" * 100_000, b'{"a":' * 100_000, b'"\xff"', b"NaN"],
)
def test_what_is_no_json(org: Org, messages: bytes) -> None:
    answer = org.admin.post("/v1/events", content=b'{"id": "x", "messages": %b}' % messages)
    assert answer.status_code == 400


@pytest.mark.parametrize("depth", [500, 1_000])
def test_deep_nesting_is_kept_or_refused(org: Org, depth: int) -> None:
    request_id = unique("chatcmpl")
    nested = b"[" * depth + b'"ana@example.org"' + b"]" * depth
    answer = org.admin.post("/v1/events", content=b'{"id": "%b", "messages": %b}' % (request_id.encode(), nested))
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert b"[redacted: email]" in org.admin.get(f"{LOG}/{request_id}").content


def test_a_hundred_megabytes_are_refused(org: Org) -> None:
    answer = org.admin.post("/v1/events", content=b'{"messages": "%b"}' % (b"x" * 100_000_000))
    assert answer.status_code == 413


def files_with(folder: Path, *needles: bytes) -> set[str]:
    """The files below the folder, and its log, that hold one of these."""
    files = [path for path in folder.rglob("*") if path.is_file()] + [folder.with_name(f"{folder.name}.log")]
    return {path.name for path in files for text in [path.read_bytes()] if any(needle in text for needle in needles)}


def test_by_default_no_byte_is_kept_anywhere(own_server: ServerProcess) -> None:
    own_server.start()
    secret = "xyzzy-never-to-be-seen"
    with own_server.client() as client:
        for strict in ("false", "true"):
            event = {"id": strict, "messages": [{"content": secret}]}
            client.post(f"/v1/events?strict={strict}", json=event).raise_for_status()
        client.post("/v1/events", json={"messages": secret, "usage": secret})
        client.post("/v1/events", content=b'{"messages": "%b' % secret.encode())
        assert "messages" not in client.get(f"{LOG}/true").json()
    assert files_with(own_server.data_dir, secret.encode()) == set()
    with sqlite3.connect(own_server.data_dir / "messages.sqlite") as file:
        assert file.execute("SELECT count(*) FROM chunks").fetchone() == (0,)
    own_server.stop()
    assert files_with(own_server.data_dir, secret.encode()) == set()


def test_after_their_days_no_byte_is_left(own_server: ServerProcess) -> None:
    """One org keeps messages for a day, another for ten: two days later only those of the second are there."""
    own_server.start()
    with own_server.client() as client:
        client.post("/v1/orgs", json={"id": "other", "name": "other"}).raise_for_status()
        for org_id, days in (("default", 1), ("other", 10)):
            keep(client, org_id, message_retention_days=days)
            for number in range(3):
                text = [token_hex(8) for _ in range(2000)]
                event = {"id": f"{number}", "messages": text}
                client.post("/v1/events", json=event, headers={"X-Org-Id": org_id}).raise_for_status()
        assert client.get(f"{LOG}/1").json()["messages"]
    own_server.stop()
    gone, stays = packed_bytes(own_server, "default"), packed_bytes(own_server, "other")
    assert files_with(own_server.data_dir, *gone) == {"messages.sqlite"}
    with sqlite3.connect(own_server.data_dir / "messages.sqlite") as file:
        file.execute("PRAGMA secure_delete=ON")  # what the update moves must not be left behind by the test
        file.execute("UPDATE chunks SET kept_at = kept_at - ?", (2 * DAY_US,))
    own_server.start()
    with own_server.client() as client:
        deadline = time.monotonic() + 30
        while "messages" in client.get(f"{LOG}/1").json() or files_with(own_server.data_dir, *gone):
            assert time.monotonic() < deadline, files_with(own_server.data_dir, *gone)
            time.sleep(0.1)
        assert client.get(f"{LOG}/1", headers={"X-Org-Id": "other"}).json()["messages"]
    assert files_with(own_server.data_dir, *stays) == {"messages.sqlite"}
    own_server.stop()
    assert files_with(own_server.data_dir, *gone) == set()


def packed_bytes(server: ServerProcess, org_id: str) -> list[bytes]:
    """The stored forms of its messages, in short pieces."""
    with sqlite3.connect(server.data_dir / "messages.sqlite") as file:
        chunks = file.execute("SELECT data FROM chunks WHERE org_id = ?", (org_id,)).fetchall()
    assert chunks
    pieces = [data[start : start + 24] for (data,) in chunks for start in range(24, len(data) - 24, 24)]
    return [piece for piece in pieces if len(set(piece)) > 12]  # others may be anywhere


def test_what_is_kept_outlives_a_kill(own_server: ServerProcess) -> None:
    own_server.start()
    with own_server.client() as client:
        keep(client, "default")
        for number in range(20):
            client.post("/v1/events", json={"id": f"{number}", "messages": [number]}).raise_for_status()
    own_server.kill()
    own_server.start()
    with own_server.client() as client:
        assert [client.get(f"{LOG}/{number}").json()["messages"] for number in range(20)] == [[n] for n in range(20)]
