"""The same questions to a running server, and look-ups in its request log, as users meet them."""

import json
import statistics
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count, cycle
from pathlib import Path
from typing import Any

from bench import server
from bench.full import store
from bench.full.questions import questions

PAGE_ROWS = 50
DEEP_PAGE = 10_000


class Client:
    """One connection, of the standard library: a comfortable one takes milliseconds of its own."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> bytes:
        """The body of the answer: a voided request is not there. Raises `RuntimeError` on any other fault."""
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {server.KEY}"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 404):
            raise RuntimeError(f"{path} was answered with {answer.status}: {body[:200]!r}")
        return body


def asked(folder: Path, events: int, repeats: int) -> dict[str, dict[str, Any]]:
    with server.running(folder) as (port, _):
        client = Client(port)
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


def _total(client: Client) -> int:
    return int(json.loads(client.get(_page(1)))["pagination"]["total"])


def _page(number: int, user: str = store.BUSIEST_USER) -> str:
    return f"/api/v1/llm/usage/users/{user}/completions?limit={PAGE_ROWS}&page={number}"


def _by_id(request_id: str) -> str:
    return f"/api/v1/llm/usage/completions/{request_id}"


def timed(client: Client, paths: Iterator[str], repeats: int, bar: str) -> dict[str, Any]:
    """The first call does not count: it warms."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        body = client.get(next(paths))
        times.append((time.perf_counter() - started) * 1000)
    times = sorted(times[1:])
    return {
        "ms": round(statistics.median(times), 1),
        "p99_ms": round(times[int(len(times) * 0.99)], 1),
        "bytes": len(body),
        "bar": bar,
    }
