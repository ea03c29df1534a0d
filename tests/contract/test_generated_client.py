"""A client that a public generator makes from `/openapi.json` talks to a running server, in every dialect."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ADMIN_KEY, ServerProcess

START, END = 1_767_225_600, 1_767_484_800  # three days of 2026
DAYS: dict[str, Any] = {"start_time": START, "end_time": END}
EVENT = {
    "id": "1",
    "occurred_at": START,
    "user_id": "ana",
    "model": "gpt-4o",
    "cost_usd": "0.25",
    "usage": {"input_tokens": 10, "output_tokens": 2},
}

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Calls an operation by the tag and name it has in the generated package; the parsed answer."""
    folder = tmp_path_factory.mktemp("generated")
    generated(server, folder)
    sys.path.insert(0, str(folder))
    client = importlib.import_module("tallybook_client").AuthenticatedClient(base_url=server.url, token=ADMIN_KEY)

    def called(tag: str, name: str, **arguments: Any) -> Any:
        operation = importlib.import_module(f"tallybook_client.api.{tag}.{name}")
        answer = operation.sync_detailed(client=client, **arguments)
        assert answer.status_code < 300, answer.content
        assert answer.parsed is not None
        return answer.parsed

    with client, server.client() as http:
        http.post("/v1/events", json=EVENT).raise_for_status()
        yield called
    sys.path.remove(str(folder))


def generated(server: ServerProcess, folder: Path) -> None:
    with server.client() as client:
        (folder / "openapi.json").write_bytes(client.get("/openapi.json").raise_for_status().content)
    (folder / "settings.yml").write_text("post_hooks: []\n")
    command = ["openapi-python-client", "generate", "--path", "openapi.json", "--config", "settings.yml"]
    where = ["--meta", "none", "--output-path", "tallybook_client"]
    binary = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(binary), *command[1:], *where], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    # The one thing the generator knows nothing of is a body of lines.
    warnings = [line for line in told.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert warnings == ["WARNING parsing POST /v1/events within events."]
    assert "Unsupported content type application/x-ndjson" in told


def test_native(call: Call) -> None:
    models = importlib.import_module("tallybook_client.models")
    page = call("usage", "query_usage", start=str(START), end=str(END), bucket=models.Bucket("1d"))
    assert [len(bucket.results) for bucket in page.data] == [1, 0, 0]
    assert (page.data[0].results[0].input_tokens, page.data[0].results[0].cost_usd) == (10, "0.25")
    (event,) = call("events", "list_events", limit=5).data
    assert (event.id, event.usage.output_tokens, event.cost_usd) == ("1", 2, "0.25")
    assert call("events", "get_event", uid=event.uid) == event
    body = models.OrgWanted(id="generated", name="by a generated client")
    assert call("orgs", "create_org", body=body).name == "by a generated client"


def test_openai(call: Call) -> None:
    page = call("openai", "organization_usage_completions", **DAYS)
    assert page.data[0].results[0].input_tokens == 10
    costs = call("openai", "organization_costs", **DAYS)
    assert costs.data[0].results[0].amount.value == 0.25
    assert call("openai", "organization_usage_embeddings", **DAYS).data[0].results == []


def test_mka1(call: Call) -> None:
    page = call("mka1", "llm_usage_completions", **DAYS)
    assert page.data[0].results[0].output_tokens == 2
    assert call("mka1", "llm_usage_costs", **DAYS).total_cost == 0.25
    assert call("mka1", "llm_usage_users_stats", user_id="ana").total_tokens == 12


def test_credits(call: Call) -> None:
    models = importlib.import_module("tallybook_client.models")
    account = call("credits_", "create_account", body=models.AccountWanted.from_dict({"name": "acme"})).account
    added = models.AddWanted.from_dict({"accountId": account.id, "amount": 12.5})
    call("credits_", "add_credits", body=added)
    balance = call("credits_", "get_balance", account_id=account.id)
    assert (balance.balance, balance.available) == (12.5, 12.5)
    assert [shown.id for shown in call("credits_", "list_accounts").accounts] == [account.id]


def test_usage_log(call: Call) -> None:
    models = importlib.import_module("tallybook_client.models")
    sent = {"api_name": "llm_query", "endpoint": "/chat", "units_used": 7, "cost_usd": 0.5}
    record = call("usage_log", "log_usage", body=models.LogUsageRecordWanted.from_dict(sent))
    assert (record.api_name, record.cost_usd) == ("llm_query", 0.5)
    assert call("usage_log", "get_usage_log", usage_id=str(record.usage_id)).to_dict() == record.to_dict()
    assert record.to_dict() in [shown.to_dict() for shown in call("usage_log", "list_usage_logs")]
