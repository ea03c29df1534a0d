"""The examples of the OpenAPI document: one call of every operation, recorded from a server with a still clock.

`python -m tests.docs.write` records those that are missing; delete an entry of the file to have it recorded anew.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tallybook.data_folder import open_data_folder
from tallybook.settings import Settings
from tallybook.wiring import build
from tests.admin_rooms import ADMIN_KEY, AppClient, StillClock

FILE = Path(__file__).parents[2] / "src" / "tallybook" / "http" / "examples.json"
SHOWN_KEY = "tb_" + "x" * 49
DAY = 86_400
SECONDS = "start_time={start}&end_time={end}"
INSTANTS = "start={start}&end={end}"

Example = dict[str, Any]


class Recorder:
    def __init__(self, call: AppClient) -> None:
        self._call = call
        self.document: Mapping[str, Any] = call("GET", "/openapi.json").json()
        self.recorded: dict[str, Example] = {}

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._call(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code < 300, (method, path, answer.text)
        told = answer.json() if answer.content and "json" in answer.headers["content-type"] else None
        said = {"request": body, "response": told}
        example = {name: value for name, value in said.items() if value is not None}
        self.recorded.setdefault(self._operation_id(method, path), example)
        return told

    def _operation_id(self, method: str, path: str) -> str:
        plain = path.partition("?")[0]
        fitting = [
            template
            for template, operations in self.document["paths"].items()
            if method.lower() in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain)
        ]
        closest = min(fitting, key=lambda template: template.count("{"))
        name: str = self.document["paths"][closest][method.lower()]["operationId"]
        return name


def recorded() -> dict[str, Example]:
    """An example of every operation, by operation id."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        settings: dict[str, Any] = {"data_dir": folder, "admin_key": ADMIN_KEY, "price_catalogue": False}
        built = build(open_data_folder(Settings(**settings), StillClock()))
        try:
            recorder = Recorder(AppClient(built.app, runner))
            _tell(recorder)
        finally:
            built.close()
    return recorder.recorded


def with_missing(known: Mapping[str, Example]) -> dict[str, Example]:
    return dict(sorted({**recorded(), **known}.items()))


def written(examples: Mapping[str, Example]) -> str:
    return json.dumps(examples, indent=1, ensure_ascii=False) + "\n"


def _tell(recorder: Recorder) -> None:
    now = StillClock().now_us() // 1_000_000
    start = now // DAY * DAY
    _tell_admin(recorder)
    _tell_events(recorder, now)
    _tell_credits(recorder)
    _ask(recorder, SECONDS.format(start=start, end=start + DAY), INSTANTS.format(start=start, end=start + DAY))


def _tell_admin(recorder: Recorder) -> None:
    send, get = recorder.send, recorder.get
    rates = {"input_tokens": {"per": 1_000_000, "usd": "2.5"}, "output_tokens": {"per": 1_000_000, "usd": "10"}}
    price = {"provider": "openai", "model": "gpt-4o", "effective_from": "2024-05-13T00:00:00Z", "rates": rates}
    send("PUT", "/v1/prices", {**price, "source": "https://openai.com/api/pricing"})
    get("/v1/prices?limit=1")
    get("/v1/prices/resolve?provider=openai&model=gpt-4o")
    send("POST", "/v1/orgs", {"id": "acme", "name": "Acme"})
    get("/v1/orgs")
    get("/v1/orgs/default/settings")
    send("PATCH", "/v1/orgs/default/settings", {"markup_percent": "0"})
    key = send("POST", "/v1/keys", {"name": "ana's laptop", "role": "member", "user_id": "ana"})
    key["key"] = SHOWN_KEY
    get("/v1/keys?limit=1")
    send("DELETE", f"/v1/keys/{key['id']}")
    backup = send("POST", "/v1/backup", {"name": "nightly"})
    backup["path"] = "/var/lib/tallybook/backups/nightly"


def _tell_events(recorder: Recorder, now: int) -> None:
    send, get = recorder.send, recorder.get
    usage = {"input_tokens": 1200, "output_tokens": 380}
    named = {"user_id": "ana", "project_id": "chat", "provider": "openai", "model": "gpt-4o"}
    first = {"id": "call-1", "kind": "completion", "occurred_at": now, **named, "usage": usage}
    kinds = "response conversation embedding extract classify vector_store file sandbox decision moderation image"
    kinds += " audio_speech audio_transcription code_interpreter file_search web_search"
    others = [
        {"id": f"call-{kind}", "kind": kind, "occurred_at": now, **named, "cost_usd": "0.01"} for kind in kinds.split()
    ]
    (result,) = send("POST", "/v1/events", {"events": [first]})["results"]
    send("POST", "/v1/events", {"events": others})
    place = f"/v1/events/{result['uid']}"
    get(place)
    get("/v1/events?limit=1")
    get("/v1/events/export?format=csv")
    send("POST", f"{place}/amend", {"expected_revision": 1, "set": {"project_id": "search"}, "reason": "wrong project"})
    send("POST", f"{place}/void", {"expected_revision": 2, "reason": "a test call"})
    send("POST", f"{place}/restore", {"expected_revision": 2})
    get(f"{place}/explain")
    unpriced = {"id": "call-2", "occurred_at": now, "model": "new-model", "usage": usage}
    send("POST", "/v1/events", unpriced)
    rates = {"input_tokens": {"per": 1_000_000, "usd": "1"}, "output_tokens": {"per": 1_000_000, "usd": "4"}}
    send("PUT", "/v1/prices", {"model": "new-model", "effective_from": "2024-01-01T00:00:00Z", "rates": rates})
    send("POST", "/v1/events/reprice", {"filter": {"model": ["new-model"]}, "reason": "its price came late"})
    (late,) = get("/v1/events?model=new-model")["data"]
    amended = send("POST", f"/v1/events/{late['uid']}/amend", {"expected_revision": 2, "set": {"team_id": "red"}})
    send("POST", f"/v1/corrections/{amended['correction']['id']}/undo", {"reason": "not theirs"})
    record = send(
        "POST", "/usage", {"api_name": "llm_query", "endpoint": "/chat", "units_used": 346, "cost_usd": 0.0043}
    )
    get("/usage?limit=1")
    get("/usage/user/ana?limit=1")
    get(f"/usage/{record['usage_id']}")
    send("PUT", f"/usage/{record['usage_id']}", {"units_used": 0, "cost_usd": 0})
    send("DELETE", f"/usage/{record['usage_id']}")


def _tell_credits(recorder: Recorder) -> None:
    send, get = recorder.send, recorder.get
    account = send("POST", "/v1/accounts/create", {"name": "Acme", "externalId": "customer-7"})["account"]["id"]
    owner = {"accountId": account}
    send("POST", "/v1/accounts/credits/add", {**owner, "amount": 100, "description": "Top-up"})
    paid = send("POST", "/v1/accounts/credits/deduct", {**owner, "amount": 1.25})["transactionId"]
    send("POST", "/v1/transactions/create", {**owner, "type": "debit", "amount": 0.5})
    holds = [send("POST", "/v1/reservations/create", {**owner, "amount": 5})["reservation"]["id"] for _ in range(2)]
    send("POST", "/v1/reservations/extend", {"reservationId": holds[0], "expiresInSeconds": 600})
    send("POST", "/v1/reservations/confirm", {"reservationId": holds[0], "actualAmount": 3.4})
    send("POST", "/v1/reservations/cancel", {"reservationId": holds[1]})
    usage = {"modelId": "gpt-4o", "usageType": "text", "inputTokens": 1200, "outputTokens": 380}
    send("POST", "/v1/usage/record", {**owner, "context": "customer", "transactionId": paid, **usage})
    send("POST", "/v1/models/calculate", {"modelId": "gpt-4o", "inputTokens": 1000, "outputTokens": 500})
    send("POST", "/v1/plans/create", {"name": "Monthly", "amount": 10, "interval": "month"})
    plan = get("/v1/plans")["plans"][0]["id"]
    send("POST", "/v1/accounts/plans/assign", {**owner, "planId": plan})
    for path in ("accounts/plans", "accounts/get", "accounts/balance", "transactions", "reservations", "usage"):
        get(f"/v1/{path}?accountId={account}")
    send("POST", "/v1/accounts/plans/unassign", {**owner, "planId": plan})
    send("POST", "/v1/plans/archive", {"planId": plan})
    get("/v1/accounts")
    get("/v1/models")
    get("/v1/verify")
    theirs = {"gpt-4o": {"litellm_provider": "openai", "mode": "chat", "output_cost_per_token": 1.1e-05}}
    send("POST", "/v1/prices/compare", theirs)
    send("POST", "/v1/prices/sync")
    get("/v1/prices/diff")


def _ask(recorder: Recorder, seconds: str, instants: str) -> None:
    for path, operations in recorder.document["paths"].items():
        if path.startswith(("/v1/organization/", "/api/v1/")) and "{" not in path and "get" in operations:
            recorder.get(f"{path}?{seconds}")
    recorder.get("/api/v1/llm/usage/users/ana/stats")
    _rate(recorder)
    recorder.get(f"/v1/usage/query?{instants}&group_by=model")
    recorder.get("/v1/audit?limit=1")
    recorder.get("/healthz")
    recorder.get("/readyz")
    recorder.get("/metrics")


def main() -> None:
    FILE.write_text(written(with_missing(json.loads(FILE.read_text()))))


if __name__ == "__main__":
    main()


def _rate(recorder: Recorder) -> None:
    for service, request_id in (("completions", "call-1"), ("responses", "call-response")):
        path = f"/api/v1/llm/feedback/{service}"
        recorder.send("POST", path, {"id": request_id, "rating": "thumbs_up", "description": "Right, and short."})
        recorder.get(f"{path}/{request_id}")
        recorder.send("PUT", f"{path}/{request_id}", {"rating": "thumbs_down", "description": None})
    recorder.get("/api/v1/llm/usage/users/ana/completions?limit=1")
    recorder.get("/api/v1/llm/usage/completions/call-1")
