"""The same questions to a running server, and look-ups in its request log, as users meet them."""

import statistics
import time
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

import httpx

from bench import server
from bench.full import store
from bench.full.questions import questions

PAGE_ROWS = 50
DEEP_PAGE = 10_000


def asked(folder: Path, events: int, repeats: int) -> dict[str, dict[str, Any]]:
    with server.running(folder) as (port, _), client_of(port) as client:
        total = _total(client)
        ids = cycle(store.event_id(number) for number in store.lookups(events))
        deep = min(DEEP_PAGE, total // PAGE_ROWS)
        others = (_page(1, f"user_{number}") for number in count(1))
        return {
            **{each.name: timed(client, cycle([each.path]), repeats, f"{each.bar_ms} ms") for each in questions()},
            "request by its id": timed(client, map(_by_id, ids), 10 * repeats, "15 ms"),
            "newest 50 requests of a user, total": timed(client, cycle([_page(1)]), repeats, "60 ms"),
            "newest 50 requests of others, total": timed(client, others, repeats, ""),
            f"page {deep} of {PAGE_ROWS}": timed(client, cycle([_page(deep)]), repeats, "300 ms"),
        }


def client_of(port: int) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {server.KEY}"}, timeout=120
    )


def _total(client: httpx.Client) -> int:
    return int(client.get(_page(1)).raise_for_status().json()["pagination"]["total"])


def _page(number: int, user: str = store.BUSIEST_USER) -> str:
    return f"/api/v1/llm/usage/users/{user}/completions?limit={PAGE_ROWS}&page={number}"


def _by_id(request_id: str) -> str:
    return f"/api/v1/llm/usage/completions/{request_id}"


def timed(client: httpx.Client, paths: Iterator[str], repeats: int, bar: str) -> dict[str, Any]:
    """The first call does not count: it warms."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        answer = client.get(next(paths))
        times.append((time.perf_counter() - started) * 1000)
        if answer.status_code not in (200, 404):
            answer.raise_for_status()
    times = sorted(times[1:])
    return {
        "ms": round(statistics.median(times), 1),
        "p99_ms": round(times[int(len(times) * 0.99)], 1),
        "bytes": len(answer.content),
        "bar": bar,
    }
