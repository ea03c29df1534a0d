"""Exports hold every event that is in force once, in three formats with the same exact numbers."""

import csv
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from tallybook.http.native.export import FILES_MAX
from tests.contract.credit_calls import Ledger
from tests.contract.settlement_calls import MODEL, USAGE, record_prices
from tests.serving import ADMIN_KEY, ServerProcess

FORMATS = ("csv", "ndjson", "parquet")
BOUND = 40
ODD = 'a "quoted", text\nin two lines, Ω'
ADMIN = {"name": "theirs", "role": "org_admin"}
RANGE = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("export") / "data", export_events_max=BOUND).start()
    with running.client() as admin:
        record_prices(admin)
        admin.post("/v1/orgs", json={"id": "acme", "name": "Acme"}).raise_for_status()
        tell(admin, [{"id": "theirs"}], {"X-Org-Id": "acme"})
        results = tell(admin, [told(number) for number in range(30)])
        place = f"/v1/events/{results[3]['uid']}"
        admin.post(f"{place}/amend", json={"expected_revision": 1, "set": {"cost_usd": "0.7"}}).raise_for_status()
        admin.post(f"/v1/events/{results[4]['uid']}/void", json={"expected_revision": 1}).raise_for_status()
    yield running
    running.stop()


def told(number: int) -> dict[str, Any]:
    return {
        "id": f"event {number}",
        "occurred_at": f"2026-01-{number % 28 + 1:02}T12:00:00{'.000123' if number % 2 else ''}Z",
        "user_id": f"user-{number % 3}",
        "description": ODD,
        "metadata": {"exact": number},
        "usage": {"input_tokens": 2**53 - 1 - number, "audio_seconds": 9007199253.740991 - number, "units": 0.5},
        "cost_usd": ("8999999.999999999999", "0.000000000001", "0", "10")[number % 4],
    }


def tell(admin: httpx.Client, events: list[dict[str, Any]], headers: dict[str, str] | None = None) -> Any:
    answer = admin.post("/v1/events", json={"events": events}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def rows(answer: httpx.Response, file_format: str, folder: Path) -> list[dict[str, Any]]:
    """As text, None for what is not there."""
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    if file_format == "csv":
        found = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
        return [
            {name: value if value != "" or name == "source" else None for name, value in row.items()} for row in found
        ]
    if file_format == "ndjson":
        return [{name: text(value) for name, value in json.loads(line, parse_float=Decimal).items()}
                for line in answer.content.splitlines()]  # fmt: skip
    path = folder / "events.parquet"
    path.write_bytes(answer.content)
    instant = "strftime(make_timestamp(epoch_us({0})), '%Y-%m-%dT%H:%M:%S.%fZ') AS {0}"
    asked = f"SELECT * REPLACE ({', '.join(map(instant.format, ('occurred_at', 'recorded_at')))}) FROM '{path}'"
    with duckdb.connect() as reader:
        result = reader.execute(asked)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, map(text, row), strict=True)) for row in result.fetchall()]


def text(value: Any) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value.normalize():f}"
        case None:
            return None
    return str(value).replace(".000000Z", "Z")


def export(client: httpx.Client, file_format: str, folder: Path, **asked: Any) -> dict[str, dict[str, Any]]:
    found = rows(client.get("/v1/events/export", params={"format": file_format, **RANGE, **asked}), file_format, folder)
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


def shown(admin: httpx.Client, **asked: Any) -> dict[str, dict[str, Any]]:
    answer = admin.get("/v1/events", params={"limit": 1000, **RANGE, **asked}).raise_for_status()
    return {event["id"]: event for event in json.loads(answer.content, parse_float=Decimal)["data"]}


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_event_in_force_once_with_exact_numbers(server: ServerProcess, file_format: str, tmp_path: Path) -> None:
    with server.client() as admin:
        expected, found = shown(admin), export(admin, file_format, tmp_path)
    assert found.keys() == expected.keys()
    assert len(found) == 29
    for name, event in expected.items():
        row = found[name]
        usage = {"requests": 1, **event.pop("usage")}
        lines = {f"{unit}_usd": amount for unit, amount in event.pop("lines").items()}
        assert json.loads(row["metadata"]) == event.pop("metadata")
        event["unpriced_units"] = ",".join(event["unpriced_units"]) or None
        plain = {**event, **usage, **lines, "refunded": False, "metadata": row["metadata"]}
        there = {field: value for field, value in row.items() if value is not None}
        assert there == {field: text(value) for field, value in plain.items() if value is not None}


@pytest.mark.parametrize("file_format", FORMATS)
def test_filters_roles_and_tenants(server: ServerProcess, file_format: str, tmp_path: Path) -> None:
    with server.client() as admin:
        assert export(admin, file_format, tmp_path, user_id="user-1").keys() == shown(admin, user_id="user-1").keys()
        assert export(admin, file_format, tmp_path, id="event 7").keys() == {"event 7"}
        assert export(admin, file_format, tmp_path, model="no such").keys() == set()
        key = admin.post("/v1/keys", json={"name": "member", "role": "member", "user_id": "user-2"}).json()["key"]
        foreign = admin.post("/v1/keys", json=ADMIN, headers={"X-Org-Id": "acme"}).json()["key"]
        expected = shown(admin, user_id="user-2").keys()
    with server.client(key) as member:
        assert export(member, file_format, tmp_path).keys() == expected
        assert member.get("/v1/events/export", params={"user_id": "user-1"}).status_code == 403
        assert member.get("/v1/events/export", params={"all_orgs": "true"}).status_code == 403
    with server.client(foreign) as other:
        theirs = other.get("/v1/events/export", params={"format": file_format})
        assert [row["id"] for row in rows(theirs, file_format, tmp_path)] == ["theirs"]


def test_usage_of_the_ledger_is_in_it_at_once(server: ServerProcess) -> None:
    with server.client() as admin:
        ledger = Ledger(admin)
        held = ledger.hold(ledger.account(100), 10)
        settled = ledger.post("/reservations/confirm", reservationId=held, usage=USAGE).json()
        answer = admin.get("/v1/events/export", params={"model": MODEL})
        assert settled["transactionId"] in [json.loads(line)["transaction_id"] for line in answer.text.splitlines()]


def test_too_many_are_refused_with_a_hint(server: ServerProcess) -> None:
    with server.client() as admin:
        tell(admin, [{"occurred_at": "2025-06-01T00:00:00Z"}] * (BOUND + 1))
        asked = {"start": "2025-01-01T00:00:00Z", "end": "2025-12-01T00:00:00Z"}
        answer = admin.get("/v1/events/export", params=asked)
        assert (answer.status_code, answer.json()["code"]) == (413, "answer_too_large")
        assert "start, end" in answer.json()["detail"]
        assert admin.get("/v1/events/export", params={"format": "xlsx"}).status_code == 422
    assert list((server.data_dir / "exports").iterdir()) == []


def test_the_command_writes_a_file_or_to_its_output(server: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    command = [sys.executable, "-m", "tallybook", "export", "--url", server.url, "--key", ADMIN_KEY]
    command += ["--start", "2026-01-01", "--end", "2026-02-01", "--filter", "user_id=user-1"]
    subprocess.run([*command, "--format", "ndjson", "-o", str(path)], check=True)
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    in_file = {json.loads(line)["id"] for line in path.read_text().splitlines()}
    assert in_file == {row["id"] for row in csv.DictReader(io.StringIO(printed.stdout))}
    assert len(in_file) == 9
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_files_that_nobody_fetches_are_few(own_server: ServerProcess) -> None:
    own_server.start()
    with own_server.client() as admin, ExitStack() as connections:
        for part in range(4):
            tell(admin, [{"id": f"{part} {number}", "description": "x" * 1_000} for number in range(5_000)])
        admin.post("/v1/orgs", json={"id": "acme", "name": "Acme"}).raise_for_status()
        for _ in range(FILES_MAX):
            connections.enter_context(unread(own_server, "/v1/events/export"))
        refused = admin.get("/v1/events/export")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert admin.get("/v1/events/export", headers={"X-Org-Id": "acme"}).status_code == 200
        connections.close()
        deadline = time.monotonic() + 30
        while admin.get("/v1/events/export").status_code != 200:
            assert time.monotonic() < deadline
        for _ in range(FILES_MAX + 1):
            assert admin.get("/v1/events/export").status_code == 200


def unread(server: ServerProcess, path: str) -> socket.socket:
    """A connection whose answer has begun, and is not read on."""
    address = httpx.URL(server.url)
    connection = socket.create_connection((address.host, address.port or 0), timeout=30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    return connection
