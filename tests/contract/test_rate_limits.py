"""Limits per key on the whole app: before any work, in the words of each dialect, and as a published client is told."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tallybook.data_folder import open_data_folder
from tallybook.settings import Settings
from tallybook.wiring import build
from tests.admin_rooms import ADMIN_KEY, AppClient, StillClock
from tests.clients.published import NEWEST, Client, Refused
from tests.serving import ServerProcess

LIMIT = 5
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/llm/usage/completions": {"error": "Rate limit exceeded"},
    "/api/v1/sandbox/usage": {"error": "Rate limit exceeded"},
    "/api/v1/budgeting/usage/costs": {"error": "Rate limit exceeded"},
    "/v1/accounts": {"success": False, "code": "rate_limited"},
    "/v1/usage/query": {"status": 429, "code": "rate_limited"},
    "/v1/events": {"status": 429, "code": "rate_limited"},
}


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def call(tmp_path: Path, clock: StillClock) -> Iterator[AppClient]:
    settings: dict[str, Any] = {"data_dir": tmp_path, "admin_key": ADMIN_KEY, "price_catalogue": False}
    built = build(open_data_folder(Settings(**settings, key_requests_per_hour=LIMIT), clock))
    with asyncio.Runner() as runner:
        yield AppClient(built.app, runner)
    built.close()


def test_one_request_too_many_is_refused_in_every_dialect(call: AppClient, clock: StillClock) -> None:
    for _ in range(LIMIT):
        assert call("GET", "/v1/orgs").status_code == 200
    for path, body in BODIES.items():
        answer = call("GET", path)
        assert answer.status_code == 429
        assert body.items() <= answer.json().items()
        assert answer.headers["retry-after"] == ("5" if path.startswith("/api/") else "3600")
    assert call("POST", "/v1/events", json={"id": "1"}).status_code == 429
    assert call("GET", "/healthz", key=None).status_code == 200
    assert call("GET", "/v1/orgs", key="unknown").status_code == 401
    clock.now += 3600 * 1_000_000
    assert call("GET", "/v1/events").json()["data"] == []


def test_the_limit_is_that_of_one_key(call: AppClient) -> None:
    other = call("POST", "/v1/keys", json={"name": "other", "role": "member"}).json()["key"]
    while call("GET", "/v1/orgs").status_code == 200:
        pass
    assert call("GET", "/v1/orgs", key=other).status_code == 200


def test_a_published_client_is_told(tmp_path: Path, published: Callable[[str], Client]) -> None:
    server = ServerProcess(tmp_path / "data", key_requests_per_day=1).start()
    asker, key = published(NEWEST), "admin-key-of-the-tests"
    asker.call(server.url, key, "llm.usage.completions", start_time=0)
    with pytest.raises(Refused) as caught:
        asker.call(server.url, key, "usage.sandbox", start_time=0)
    server.stop()
    assert (caught.value.error, caught.value.status) == ("SDKDefaultError", 429)
    assert caught.value.body == '{"error":"Rate limit exceeded"}'
