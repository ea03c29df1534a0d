"""The same questions to a running server, and look-ups in its request log, as users meet them."""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from itertools import count, cycle, repeat
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
            **{each.name: timed(client, map(each.path, count()), repeats, f"{each.bar_ms} ms") for each in questions()},
            **{
                f"{each.name}, again": timed(client, map(each.path, repeat(0)), repeats, f"{each.bar_ms} ms")
                for each in questions()
            },
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
    times = [_ms(client, next(paths)) for _ in range(repeats + 1)]
    return described(times[1:], bar)


def in_turns(client: Client, questions: Sequence[Iterator[str]], seconds: float) -> list[list[float]]:
    """What each took each time, in milliseconds, for so long. The first turn warms."""
    until = time.perf_counter() + seconds
    turns = []
    while time.perf_counter() < until:
        turns.append([_ms(client, next(paths)) for paths in questions])
    return [list(times) for times in zip(*turns[1:], strict=True)]


def described(times: Sequence[float], bar: str) -> dict[str, Any]:
    ordered = sorted(times)
    return {
        "ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
        "bar": bar,
    }


def _ms(client: Client, path: str) -> float:
    started = time.perf_counter()
    client.get(path)
    return (time.perf_counter() - started) * 1000
