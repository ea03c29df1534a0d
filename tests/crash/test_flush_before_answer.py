"""What is acknowledged has reached the disk: between request and answer the log is flushed, as the kernel saw it."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from tests.contract.credit_calls import Ledger, done
from tests.crash import syscalls
from tests.crash.test_kill_ingest import event
from tests.serving import ServerProcess

TRACER = str(Path(syscalls.__file__))
REQUESTS, BATCHES, BATCH = 20, 3, 7_000

EVENTS = ("POST /v1/events HTTP/1.1", "HTTP/1.1 200 OK", "events.duckdb.wal")
PRICES = ("PUT /v1/prices HTTP/1.1", "HTTP/1.1 201 Created", "ledger.sqlite-wal")
HOLDS = ("POST /v1/reservations/create HTTP/1.1", "HTTP/1.1 200 OK", "ledger.sqlite-wal")
CONFIRMATIONS = ("POST /v1/reservations/confirm HTTP/1.1", "HTTP/1.1 200 OK", "ledger.sqlite-wal")
"""Request, answer, and the file that must be flushed between them."""
MANY_EVENTS = ("POST /v1/events?strict=false HTTP/1.1", "HTTP/1.1 200 OK")


def may_trace(tmp_path: Path) -> bool:
    command = [sys.executable, TRACER, str(tmp_path / "probe"), sys.executable, "-c", ""]
    return bool(syscalls.NAMES) and subprocess.run(command, check=False).returncode == 0


def test_the_log_is_flushed_between_request_and_answer(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    if not may_trace(tmp_path):
        warnings.warn("this machine lets no process be traced: flushes are NOT shown here", stacklevel=1)
        return
    server = ServerProcess(tmp_path / "data").start_command(sys.executable, TRACER, str(trace))
    with server.client() as client:
        ledger = Ledger(client)
        account_id = ledger.account(REQUESTS)
        for number in range(REQUESTS):
            assert client.post("/v1/events", json=event("flush", str(number))).json()["inserted"] == 1
            assert client.put("/v1/prices", json=price(number)).status_code == 201
            done(ledger.confirm(ledger.hold(account_id, 1), 1))
        for number in range(BATCHES):
            events = [event("flush", f"{number}-{index}") for index in range(BATCH)]
            stored = client.post("/v1/events?strict=false", json={"events": events})
            assert stored.json()["inserted"] == BATCH
    server.stop()

    lines = trace.read_text().splitlines()
    for request, answer, file in (EVENTS, PRICES, HOLDS, CONFIRMATIONS):
        flushes = [flushed.count(f"flush {server.data_dir / file}") for flushed in between(lines, request, answer)]
        assert len(flushes) == REQUESTS
        assert all(flushes), f"answered without a flush of {file}: {flushes}"
    batches = list(between(lines, *MANY_EVENTS))
    assert len(batches) == BATCHES
    for steps in batches:  # many rows go to the file, and the log says where they are
        last = [line for line in steps if line.startswith("flush ")][-2:]
        assert last == [f"flush {server.data_dir / file}" for file in ("events.duckdb", EVENTS[2])]


def price(number: int) -> dict[str, object]:
    rates = {"input_tokens": {"usd": "2.5", "per": 1_000_000}}
    return {"model": "m", "effective_from": f"2020-01-01T00:00:{number:02}Z", "rates": rates}


def between(lines: list[str], request: str, answer: str) -> Iterator[list[str]]:
    """What was done between each such request and the first answer after it, which must be the expected one."""
    for start, line in enumerate(lines):
        if line == f"request {request}":
            end = next(n for n in range(start, len(lines)) if lines[n].startswith("answer HTTP/"))
            assert lines[end] == f"answer {answer}"
            yield lines[start:end]
