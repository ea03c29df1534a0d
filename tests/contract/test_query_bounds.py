"""A question that takes too long: every dialect says so, and usage goes on coming in."""

from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.serving import ServerProcess

NUMBERS = count()
RANGE = "start_time=1767225600&end_time=1767312000"

QUESTIONS = {
    "/v1/usage/query?start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z": (413, "code"),
    "/v1/events": (413, "code"),
    f"/v1/organization/usage/completions?{RANGE}": (413, "error"),
    f"/api/v1/llm/usage/completions?{RANGE}": (413, "message"),
    "/api/v1/llm/usage/users/ana/completions": (413, "message"),
    f"/api/v1/sandbox/usage?{RANGE}": (413, "detail"),
    "/v1/usage": (400, "code"),
    "/usage": (413, "detail"),
}
"""What each dialect answers to a question over its bounds, and which field tells of it."""


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server whose reads may take next to no time."""
    server = ServerProcess(tmp_path_factory.mktemp("hasty") / "data", query_timeout_ms=1).start()
    with server.client() as client:
        yield client
    server.stop()


def test_every_dialect_says_that_a_question_took_too_long(hasty: httpx.Client) -> None:
    _send(hasty, 1_000)
    for path, (status, field) in QUESTIONS.items():
        answer = hasty.get(path)
        assert answer.status_code == status, f"{path}: {answer.text}"
        assert field in answer.json(), f"{path}: {answer.text}"
        assert "after 0.001 seconds" in answer.text, f"{path}: {answer.text}"
        assert "Retry-After" not in answer.headers


def test_native_clients_can_tell_it_by_its_code(hasty: httpx.Client) -> None:
    assert hasty.get("/v1/events").json()["code"] == "query_timeout"


def test_what_is_not_a_question_about_usage_has_no_such_bound(hasty: httpx.Client) -> None:
    _send(hasty, 1_000)
    assert hasty.get("/v1/keys").status_code == 200
    assert hasty.get("/v1/verify").status_code == 200


def _send(client: httpx.Client, number: int) -> None:
    events = [{"id": f"event-{next(NUMBERS)}", "occurred_at": "2026-01-01T12:00:00Z"} for _ in range(number)]
    assert client.post("/v1/events", json={"events": events}).json()["inserted"] == number
