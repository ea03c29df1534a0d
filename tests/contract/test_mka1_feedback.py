"""Feedback by the published client, unmodified: golden exchanges, who may give it, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from meetkai_mka1 import SDK, errors
from meetkai_mka1.utils import BackoffStrategy, RetryConfig

from tests.contract.credit_calls import unique
from tests.contract.readers import Org, answered, org_on
from tests.serving import ServerProcess

GOLDEN = json.loads((Path(__file__).parents[2] / "contracts" / "mka1" / "feedback.json").read_text())
PATH = "/api/v1/llm/feedback/completions"
LOG = "/api/v1/llm/usage/completions"
NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), False)


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        made.send(GOLDEN["stored"])
        other.send({**GOLDEN["stored"], "id": "chatcmpl-foreign"})
        yield made


def completion(org: Org, user_id: str = "ana", **fields: Any) -> str:
    """The request id of a new one."""
    request_id = unique("chatcmpl")
    org.send({"id": request_id, "user_id": user_id, **fields})
    return request_id


def give(client: httpx.Client, request_id: str, **feedback: Any) -> httpx.Response:
    return client.post(PATH, json={"id": request_id, **feedback})


def test_the_published_client_says_and_is_told_what_the_golden_file_has(server: ServerProcess, org: Org) -> None:
    seen: list[httpx.Response] = []
    with httpx.Client(event_hooks={"response": [seen.append]}) as wire:
        sdk = SDK(bearer_auth=org.keys["ana"], server_url=server.url, retry_config=NO_RETRIES, client=wire)
        for exchange in GOLDEN["exchanges"]:
            call = getattr(sdk.llm.feedback, exchange["call"])
            if exchange["reply"]["status"] < 300:
                told = call(**exchange["arguments"])
                assert told.rating == exchange["reply"]["body"].get("rating")
                assert told.updated_at >= told.created_at
            else:
                with pytest.raises(errors.SDKDefaultError):
                    call(**exchange["arguments"])
            assert _exchange(seen[-1]) == {name: exchange[name] for name in ("request", "reply")}


def _exchange(response: httpx.Response) -> dict[str, Any]:
    request = response.request
    sent, told = request.content, response.json()
    if "updated_at" in told:
        told["updated_at"] = "…"
    path = request.url.raw_path.decode()
    return {
        "request": {"method": request.method, "path": path, "body": json.loads(sent) if sent else None},
        "reply": {"status": response.status_code, "body": told},
    }


def test_feedback_on_responses_is_its_own(org: Org, server: ServerProcess) -> None:
    request_id = completion(org, kind="response")
    sdk = SDK(bearer_auth=org.keys["ana"], server_url=server.url, retry_config=NO_RETRIES)
    with sdk:
        told = sdk.llm.feedback.create_response_feedback(id=request_id, description="fine")
        assert (told.id, told.rating, told.description) == (request_id, None, "fine")
        assert sdk.llm.feedback.update_response_feedback(id=request_id, rating="thumbs_up").description == "fine"
        assert sdk.llm.feedback.get_response_feedback(id=request_id).rating == "thumbs_up"
    assert org.ana.get(f"{PATH}/{request_id}").status_code == 404


def test_members_rate_their_own_and_admins_all(org: Org) -> None:
    of_bob = completion(org, "bob")
    assert give(org.ana, of_bob, rating="thumbs_up").status_code == 404
    assert give(org.device, of_bob, rating="thumbs_up").status_code == 404
    assert give(org.admin, of_bob, rating="thumbs_up").status_code == 201
    assert org.ana.get(f"{PATH}/{of_bob}").status_code == 404
    assert org.ana.put(f"{PATH}/{of_bob}", json={"rating": None}).status_code == 404
    assert org.admin.put(f"{PATH}/{of_bob}", json={"rating": "thumbs_down"}).json()["rating"] == "thumbs_down"
    assert give(org.admin, "chatcmpl-foreign", rating="thumbs_up").status_code == 404
    for_eve = completion(org, external_user_id="eve")
    assert org.admin.post(PATH, json={"id": for_eve}, headers={"X-On-Behalf-Of": "bob"}).status_code == 404
    assert org.admin.post(PATH, json={"id": for_eve}, headers={"X-On-Behalf-Of": "eve"}).status_code == 201
    assert httpx.get(f"{org.admin.base_url}{PATH}/{for_eve}").json() == {"error": "Unauthorized"}


def test_the_record_tells_the_feedback_and_when(org: Org) -> None:
    request_id = completion(org, occurred_at="2026-01-15T10:30:00Z")
    before = answered(org.ana, f"{LOG}/{request_id}")
    assert (before["feedbackRating"], before["feedbackDescription"]) == (None, None)
    assert before["updatedAt"] == before["createdAt"] == "2026-01-15T10:30:00Z"
    given = give(org.ana, request_id, rating="thumbs_down", description="wröng").json()
    after = answered(org.ana, f"{LOG}/{request_id}")
    assert (after["feedbackRating"], after["feedbackDescription"]) == ("thumbs_down", "wröng")
    assert after["updatedAt"] == given["updated_at"] > "2026-01-16"
    org.ana.put(f"{PATH}/{request_id}", json={"rating": None, "description": None}).raise_for_status()
    cleared = answered(org.ana, f"{LOG}/{request_id}")
    assert (cleared["feedbackRating"], cleared["feedbackDescription"]) == (None, None)
    assert cleared["updatedAt"] > after["updatedAt"]
    assert give(org.ana, request_id, rating="thumbs_up").status_code == 409


def test_there_must_be_feedback_to_change_or_show(org: Org) -> None:
    request_id = completion(org)
    for answer in (org.ana.get(f"{PATH}/{request_id}"), org.ana.put(f"{PATH}/{request_id}", json={})):
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_repeat_is_answered_byte_for_byte(org: Org) -> None:
    request_id = completion(org)
    key = {"Idempotency-Key": unique("key")}
    answers = [org.ana.post(PATH, json={"id": request_id, "rating": "thumbs_up"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert org.ana.post(PATH, json={"id": request_id}, headers=key).status_code == 409


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ["id"]),
        ({"id": 5}, ["id"]),
        ({"id": "chatcmpl-golden", "rating": "meh"}, ["rating"]),
        ({"id": "chatcmpl-golden", "description": "x" * 2001}, ["description"]),
        ({"id": "chatcmpl-golden", "description": ["x"]}, ["description"]),
    ],
)
def test_faults_are_named(org: Org, body: dict[str, Any], path: list[str]) -> None:
    answer = org.ana.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert [issue["path"] for issue in answer.json()["data"]["issues"]] == [path]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 2000])
def test_what_is_no_feedback_at_all(org: Org, body: bytes) -> None:
    assert org.ana.post(PATH, content=body).status_code == 400
    assert org.ana.put(f"{PATH}/chatcmpl-golden", content=body).status_code == 400


def test_two_thousand_characters_are_kept(org: Org) -> None:
    request_id = completion(org)
    assert give(org.ana, request_id, description="💬" * 2000).json()["description"] == "💬" * 2000
