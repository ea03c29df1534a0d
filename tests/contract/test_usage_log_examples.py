"""Every example of the usage log's published page, run as it stands but for address, tokens and ids, by curl and node.

The page is the source of `usage-log.md`: API Usage Tracking.
"""

import json
import os
import subprocess
from typing import Any

import httpx
import pytest

from tests.docs.pages import COMMANDS
from tests.serving import ADMIN_KEY, ServerProcess

LOGGED = {
    "api_name": "llm_query",
    "endpoint": "/chat",
    "units_used": 346,
    "cost_usd": 0.0043,
}

POST = r"""
curl -X POST https://api.yourdomain.com/usage \
  -H "Authorization: Bearer <token>" \
  -H "Content-Type: application/json" \
  -d '{
    "api_name": "llm_query",
    "endpoint": "/chat",
    "units_used": 346,
    "cost_usd": 0.0043,
    "api_key_used": "pk_live_abc123"
  }'
"""
FETCH = """
await fetch("https://api.yourdomain.com/usage", {
  method: "POST",
  headers: {
    Authorization: "Bearer " + token,
    "Content-Type": "application/json"
  },
  body: JSON.stringify({
    api_name: "llm_query",
    endpoint: "/chat",
    units_used: 346,
    cost_usd: 0.0043,
    api_key_used: "pk_live_abc123"
  })
});
"""
LIST = r"""
curl "https://api.yourdomain.com/usage?skip=0&limit=50" \
  -H "Authorization: Bearer <token>"
"""
OF_USER = r"""
curl https://api.yourdomain.com/usage/user/uuid123 \
  -H "Authorization: Bearer <admin_or_user_token>"
"""
ONE = r"""
curl https://api.yourdomain.com/usage/usage-uuid \
  -H "Authorization: Bearer <token>"
"""
UPDATE = r"""
curl -X PUT https://api.yourdomain.com/usage/usage-uuid \
  -H "Authorization: Bearer <admin_token>" \
  -H "Content-Type: application/json" \
  -d '{
    "units_used": 0,
    "cost_usd": 0.00
  }'
"""
DELETE = r"""
curl -X DELETE https://api.yourdomain.com/usage/usage-uuid \
  -H "Authorization: Bearer <admin_token>"
"""


class Reader:
    """Runs examples with a user's key, or an admin's where the example says so."""

    def __init__(self, server: ServerProcess, user_id: str) -> None:
        self._url, self._user_id = server.url, user_id
        with server.client() as admin:
            wanted = {"name": "app", "role": "member", "user_id": user_id}
            self.token = str(admin.post("/v1/keys", json=wanted).raise_for_status().json()["key"])

    def run(self, example: str, usage_id: str = "") -> tuple[int, Any]:
        """The status and the body that came back."""
        shown = 'curl -s -w "\n%{http_code}" '
        output = self._output(["sh", "-c", self._filled(example, usage_id).strip().replace("curl ", shown, 1)])
        body, _, status = output.rpartition("\n")
        return int(status), json.loads(body) if body else None

    def run_script(self, example: str) -> tuple[int, Any]:
        """As `run`, for what a browser or node would run."""
        call = self._filled(example).strip().removeprefix("await ").removesuffix(";")
        script = f"const token = {json.dumps(self.token)};\nconst answer = await {call};\n"
        script += "console.log(JSON.stringify([answer.status, await answer.json()]));"
        status, body = json.loads(self._output(["node", "--input-type=module", "-e", script]))
        return status, body

    def _filled(self, example: str, usage_id: str = "") -> str:
        filled = {
            "https://api.yourdomain.com": self._url,
            "<token>": self.token,
            "<admin_token>": ADMIN_KEY,
            "<admin_or_user_token>": self.token,
            "uuid123": self._user_id,
            "usage-uuid": usage_id,
        }
        for placeholder, value in filled.items():
            example = example.replace(placeholder, value)
        return example

    def _output(self, command: list[str]) -> str:
        environment = {**os.environ, "PATH": COMMANDS}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(scope="module")
def reader(server: ServerProcess) -> Reader:
    return Reader(server, "5f0c1f9e-6f2f-4b41-8f6d-2f2e9cf1a001")


def check(record: dict[str, Any]) -> None:
    """The nine fields, as the page names them."""
    assert list(record) == [
        "usage_id",
        "user_id",
        *LOGGED,
        "api_key_used",
        "status_active",
        "created_at",
    ]
    assert {name: record[name] for name in LOGGED} == LOGGED
    assert record["user_id"] == "5f0c1f9e-6f2f-4b41-8f6d-2f2e9cf1a001"
    assert record["api_key_used"] == "pk_live_…c123"
    assert record["status_active"] is True
    assert record["created_at"].endswith("Z")


def test_every_example_in_order(reader: Reader, admin: httpx.Client) -> None:
    status, logged = reader.run(POST)
    assert status == 201
    check(logged)
    status, fetched = reader.run_script(FETCH)
    assert status == 201
    check(fetched)
    assert reader.run(LIST) == (200, [fetched, logged])
    assert reader.run(OF_USER) == (200, [fetched, logged])
    assert reader.run(ONE, logged["usage_id"]) == (200, logged)
    refunded = {**logged, "units_used": 0, "cost_usd": 0, "status_active": False}
    assert reader.run(UPDATE, logged["usage_id"]) == (200, refunded)
    assert reader.run(ONE, logged["usage_id"]) == (200, refunded)
    assert reader.run(DELETE, fetched["usage_id"]) == (204, None)
    assert reader.run(ONE, fetched["usage_id"])[0] == 404
    assert reader.run(LIST) == (200, [refunded])
    # A record is an ordinary event.
    (event,) = admin.get("/v1/events", params={"user_id": logged["user_id"]}).json()["data"]
    assert (event["uid"], event["kind"], event["operation"]) == (logged["usage_id"], "api_call", "llm_query")
    assert (event["usage"], event["cost_usd"], event["refunded"]) == ({"units": 0}, "0", True)
