"""Events that bring the provider's own answer: counted, priced and refused like any other."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tallybook.sdk import Client, event_from_answer
from tests.serving import ADMIN_KEY, ServerProcess

COUNT = itertools.count()
WINTER = "2026-01-31T12:00:00Z"
CHAT = {
    "model": "gpt-4o-2024-08-06",
    "choices": [{"message": {"role": "assistant", "content": "secret"}}],
    "service_tier": "default",
    "usage": {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("answers") / "data", price_catalogue="true").start()
    yield running
    running.stop()


def event(answer: Any, **fields: Any) -> dict[str, Any]:
    told = {"provider": "openai", "occurred_at": WINTER, "provider_response": answer}
    return {"id": f"answer-{next(COUNT)}", **told, **fields}


def send(client: httpx.Client, *events: Any, **options: Any) -> httpx.Response:
    return client.post("/v1/events", json={"events": list(events)}, **options)


def result(answer: httpx.Response) -> dict[str, Any]:
    (only,) = answer.raise_for_status().json()["results"]
    found: dict[str, Any] = only
    return found


def test_an_answer_is_counted_and_priced(admin: httpx.Client) -> None:
    done = result(send(admin, event(CHAT)))
    # 86 at 2.5, 1920 cached at 1.25, 300 at 10 per million
    assert (done["pricing"], done["cost_usd"]) == ("priced", "0.005615")
    assert "unread" not in done
    stored = admin.get(f"/v1/events/{done['uid']}").json()
    assert (stored["model"], stored["service_tier"]) == ("gpt-4o-2024-08-06", "default")
    assert stored["usage"] == {
        "input_tokens": 2006,
        "output_tokens": 300,
        "cache_read_tokens": 1920,
        "reasoning_tokens": 0,
    }
    assert "secret" not in json.dumps(stored)


def test_the_counters_are_the_content(admin: httpx.Client) -> None:
    by_answer = event(CHAT)
    counted = {"input_tokens": 2006, "output_tokens": 300, "cache_read_tokens": 1920, "reasoning_tokens": 0}
    by_hand = {**by_answer, "usage": counted, "model": CHAT["model"], "service_tier": "default"}
    del by_hand["provider_response"]
    assert [result(send(admin, each))["status"] for each in (by_answer, by_hand, by_answer)] == [
        "inserted",
        "duplicate",
        "duplicate",
    ]
    other = {**by_answer, "provider_response": {**CHAT, "usage": {**CHAT["usage"], "prompt_tokens": 2007}}}  # type: ignore[dict-item]
    assert result(send(admin, other))["status"] == "conflict"


def test_a_stream_without_usage_is_unreported_and_not_free(admin: httpx.Client) -> None:
    stream = [{"model": "gpt-4o", "choices": [{"delta": {"content": "secret"}}], "usage": None}]
    project = "unreported"
    done = result(send(admin, event(stream, stream=True, project_id=project)))
    assert (done["pricing"], done["cost_usd"]) == ("unreported", None)
    stored = admin.get(f"/v1/events/{done['uid']}").json()
    assert (stored["pricing"], stored["cost_usd"], stored["usage"]) == ("unreported", None, {})
    assert stored["model"] == "gpt-4o"
    asked = {"start": "2026-01-31T00:00:00Z", "end": "2026-02-01T00:00:00Z", "bucket": "all", "project_id": project}
    (bucket,) = admin.get("/v1/usage/query", params=asked).raise_for_status().json()["data"]
    assert [(row["requests"], row["unpriced_requests"], row["cost_usd"]) for row in bucket["results"]] == [(1, 1, "0")]


def test_unreported_usage_can_be_told_later(admin: httpx.Client) -> None:
    done = result(send(admin, event({"model": "gpt-4o", "choices": []})))
    wish = {"expected_revision": 1, "set": {"usage": {"input_tokens": 1_000_000}}}
    admin.post(f"/v1/events/{done['uid']}/amend", json=wish).raise_for_status()
    assert admin.get(f"/v1/events/{done['uid']}").json()["pricing"] == "priced"
    named = admin.post(f"/v1/events/{done['uid']}/amend", json={**wish, "set": {"provider_response": {}}})
    assert [fault["loc"] for fault in named.json()["errors"]] == [["set", "provider_response"]]


def test_a_sender_can_say_that_usage_is_unreported(admin: httpx.Client) -> None:
    said = {"id": f"answer-{next(COUNT)}", "model": "gpt-4o", "unreported": True}
    assert result(send(admin, said))["pricing"] == "unreported"
    assert result(send(admin, said))["status"] == "duplicate"
    for told in ({"usage": {"input_tokens": 1}}, {"cost_usd": "1"}):
        refused = send(admin, {**said, "id": f"answer-{next(COUNT)}", **told})
        assert [fault["loc"] for fault in refused.json()["errors"]] == [["events", 0, "unreported"]]


def test_a_given_cost_stands_beside_an_answer(admin: httpx.Client) -> None:
    assert result(send(admin, event(CHAT, cost_usd="0.25")))["cost_usd"] == "0.25"
    assert result(send(admin, event({"choices": []}, cost_usd="0.25")))["pricing"] == "given"


def test_counters_beside_an_answer(admin: httpx.Client) -> None:
    done = result(send(admin, event(CHAT, usage={"web_searches": 2, "input_tokens": 2006})))
    assert done["cost_usd"] == "0.025615"
    speech = result(send(admin, event({"model": "tts-1"}, usage={"characters": 1000})))
    assert (speech["pricing"], speech["cost_usd"]) == ("priced", "0.015")


def test_numbers_that_nothing_reads_are_told(admin: httpx.Client) -> None:
    usage = {**CHAT["usage"], "dream_tokens": 7}  # type: ignore[dict-item]
    assert result(send(admin, event({**CHAT, "usage": usage})))["unread"] == ["usage.dream_tokens"]


@pytest.mark.parametrize("form", ["batch", "bare", "lines", "strict"])
def test_every_form_of_body(admin: httpx.Client, form: str) -> None:
    sent = event(CHAT)
    if form == "lines":
        body = json.dumps(sent) + "\n"
        answer = admin.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
    elif form == "bare":
        answer = admin.post("/v1/events", json=sent)
    else:
        answer = send(admin, sent, params={"strict": "true"} if form == "strict" else {})
    assert result(answer)["cost_usd"] == "0.005615"


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"provider_response": "text"}, ["provider_response"]),
        ({"provider_response": {"choices": [], "usage": {"prompt_tokens": 5}}}, ["provider_response"]),
        ({"provider_response": {"usage": {"prompt_tokens": -5, "completion_tokens": 1}}}, ["provider_response"]),
        (
            {"provider": "anthropic", "provider_response": {"usage": {"input_tokens": 1, "iterations": [{"type": 5}]}}},
            ["provider_response"],
        ),
        ({"provider_response": {**CHAT, "tool_usage": {"web_search": {"num_requests": -1}}}}, ["provider_response"]),
        ({"usage": {"input_tokens": 5}}, ["usage", "input_tokens"]),
        # As published by users of Kimi K3: more reasoning than output.
        (
            {
                "provider_response": {
                    "choices": [],
                    "usage": {
                        "prompt_tokens": 951,
                        "completion_tokens": 6000,
                        "completion_tokens_details": {"reasoning_tokens": 6001},
                    },
                }
            },
            ["usage", "output_tokens"],
        ),
        ({"provider_response": {**CHAT, "model": "x" * 256}}, ["model"]),
    ],
)
def test_what_cannot_be_counted_is_refused_by_index(
    admin: httpx.Client, fields: dict[str, Any], loc: list[str]
) -> None:
    good, bad = event(CHAT), event(CHAT, **fields)
    refused = send(admin, good, bad)
    assert refused.status_code == 422
    assert [fault["loc"] for fault in refused.json()["errors"]] == [["events", 1, *loc]]
    assert result(send(admin, good))["status"] == "inserted"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 2**53, "completion_tokens": 1},
        {"prompt_tokens": 2**63, "completion_tokens": 1},
        {"prompt_tokens": 2**64, "completion_tokens": 1},
        {"type": "duration", "seconds": 9_300_000_000_000},
    ],
)
def test_more_than_a_counter_holds_is_refused_and_harms_nothing(admin: httpx.Client, usage: dict[str, Any]) -> None:
    project = f"beyond-{next(COUNT)}"
    refused = send(admin, event(CHAT, project_id=project), event({"usage": usage}, project_id=project))
    assert refused.status_code == 422
    (fault,) = refused.json()["errors"]
    assert fault["loc"] == ["events", 1, "provider_response"]
    assert "must be at most" in fault["msg"]
    assert admin.get("/v1/events", params={"project_id": project}).raise_for_status().json()["data"] == []
    assert result(send(admin, event(CHAT, project_id=project)))["status"] == "inserted"
    assert len(admin.get("/v1/events", params={"project_id": project}).raise_for_status().json()["data"]) == 1


def test_the_client_sends_what_tells_the_usage(server: ServerProcess) -> None:
    with Client(server.url, ADMIN_KEY) as client:
        sent = event_from_answer(CHAT, provider="openai", occurred_at=WINTER)
        (done,) = client.ingest([sent]).results
    assert (done.pricing, done.cost_usd, done.unread) == ("priced", "0.005615", ())


def test_a_broken_library_is_a_503_and_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "genai_prices").mkdir()
    (tmp_path / "genai_prices" / "__init__.py").write_text("raise RuntimeError('damaged')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = ServerProcess(tmp_path / "data").start()
    try:
        with broken.client() as client:
            answer = send(client, event(CHAT))
            assert (answer.status_code, answer.json()["code"]) == (503, "catalogue_unreadable")
    finally:
        broken.stop()
