"""Ingest with messages beside ingest without, what they take on disk, and how soon a page with them is there.

`python -m bench.messages --messages 1000000` is the long form.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from bench import ingest, load, server

PROSE = "\n".join(topics.values())
"""Some 700 KiB of English with code in it: Python's language reference."""

SIZES = (2 * 2**10, 8 * 2**10)
BATCH = 500
ROUND = 10_000
"""Events that are prepared at a time."""


def measured(messages: int, connections: int = 16) -> dict[str, Any]:
    """Rounds of as many events with messages as without, in turns, into one growing store."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    cpu_us: dict[bool, list[float]] = {True: [], False: []}
    raw = 0
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as (port, pid):
        _keep(port)
        size = min(messages, ROUND)
        for number in range(max(1, messages // size)):
            for said in (False, True):
                bodies, bytes_said = _bodies(number * size, size, said=said)
                raw += bytes_said
                requests = [load.request("/v1/events", server.KEY, body) for body in bodies]
                before = server.cpu_seconds(pid)
                done = load.run(port, requests, connections)
                cpu_us[said].append((server.cpu_seconds(pid) - before) / size * 1e6)
                assert done.statuses == {200: len(requests)}, done.statuses
                rates[said].append(done.rate * BATCH)
        page_ms = [_page_ms(port, user) for user in range(20)]
        stored = sum(file.stat().st_size for file in Path(folder).glob("messages.sqlite*"))
    with_them, without = statistics.median(rates[True]), statistics.median(rates[False])
    return {
        "messages": messages,
        "raw_mib": round(raw / 2**20, 1),
        "stored_ratio": round(stored / raw, 3),
        "page_of_50_ms": round(statistics.median(page_ms), 1),
        "events_per_second": round(with_them),
        "events_per_second_without": round(without),
        "cpu_us": round(statistics.median(cpu_us[True])),
        "cpu_us_without": round(statistics.median(cpu_us[False])),
        "ratio": round(with_them / without, 3),
    }


def _bodies(first: int, count: int, *, said: bool) -> tuple[list[bytes], int]:
    rng = random.Random(first)
    raw = 0
    bodies = []
    for start in range(first, first + count, BATCH):
        events = [ingest.event(index, rng) for index in range(start, start + BATCH)]
        for event in events:
            event["id"] = f"{event['id']}-{said}"
            if said:
                event["messages"] = _messages(rng)
                raw += len(json.dumps(event["messages"]))
        bodies.append(json.dumps({"events": events}).encode())
    return bodies, raw


def _messages(rng: random.Random) -> list[dict[str, str]]:
    start, size = rng.randrange(len(PROSE)), rng.randrange(*SIZES)
    text = (PROSE + PROSE[: SIZES[1]])[start : start + size]
    return [
        {"role": "user", "content": text[: size // 2]},
        {"role": "assistant", "content": text[size // 2 :]},
    ]


def _keep(port: int) -> None:
    body = json.dumps({"store_messages": True}).encode()
    _ask(port, "/v1/orgs/default/settings", body, "PATCH")


def _page_ms(port: int, user: int) -> float:
    started = time.perf_counter()
    found = json.loads(_ask(port, f"/api/v1/llm/usage/users/user_{user}/completions"))["completions"]
    assert any("messages" in record for record in found)
    return (time.perf_counter() - started) * 1000


def _ask(port: int, path: str, body: bytes | None = None, method: str = "GET") -> bytes:
    headers = {"Authorization": f"Bearer {server.KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=20_000)
    print(json.dumps(measured(parser.parse_args().messages), indent=2))
