"""Ingest into a store that is large already, what it does to reading, and how soon a server is ready again."""

import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import Any

import duckdb

from bench import ingest, load, server
from bench.full import questions, served, store
from tallybook.core.time_window import instant_text

BATCH, CONNECTIONS = 1_000, 16
ROUND = 100_000
"""Events whose requests are prepared at a time, before the clock starts."""
_MEANWHILE_SECONDS = 60
"""Long enough for a run to be put in order meanwhile, two at most rates."""
_BLOCK_BYTES = 256 * 1024


def ingested(folder: Path, events: int, first: int = 0) -> dict[str, Any]:
    """`events` more in batches of 1 000 on 16 connections, from the first batch after opening on."""
    with server.running(folder) as (port, pid):
        opening = load.run(port, _requests(first, BATCH), 1)
        rounds = [
            load.run(port, _requests(start, ROUND), CONNECTIONS)
            for start in range(first + BATCH, first + BATCH + events, ROUND)
        ]
        peak_mib = server.rss_mib(pid, "VmHWM")
        commits = _commits(port)
    return {
        "first_batch_ms": round(opening.p50_ms),
        "events_per_second": round(
            sum(each.requests for each in rounds) * BATCH / sum(each.seconds for each in rounds)
        ),
        "batch_p99_ms": round(max(each.p99_ms for each in rounds)),
        "batch_max_ms": round(max(each.max_ms for each in rounds)),
        "peak_rss_mib": round(peak_mib),
        "commits": commits,
    }


def _commits(port: int) -> dict[str, float]:
    """How many the event writer has made, and the seconds within which 99 of 100 and all of them stayed."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {server.KEY}"})
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.findall(r'tallybook_commit_seconds_bucket{le="([^"]+)",writer="event"} (\S+)', text)
    within = [(float(seconds), float(count)) for seconds, count in found]
    total = within[-1][1]
    p99, longest = (next(seconds for seconds, count in within if count >= share * total) for share in (0.99, 1))
    return {"count": total, "p99_within_s": p99, "all_within_s": longest}


def asked_meanwhile(folder: Path, events_per_second: float, first: int) -> dict[str, dict[str, Any]]:
    """The first question over HTTP while events come in at this rate, and the batches of these.

    In turns again, as a dashboard asks, and as nobody has asked it before.
    """
    question = questions.questions()[0]
    bar = "p99 250 ms"
    with (
        server.running(folder) as (port, _),
        _coming_in(port, events_per_second, first) as batch_ms,
    ):
        again, anew = served.in_turns(
            served.Client(port), (map(question.path, repeat(0)), map(question.path, count(1))), _MEANWHILE_SECONDS
        )
    return {
        f"{question.name} again while ingesting": served.described(again, bar),
        f"{question.name} anew while ingesting": served.described(anew, bar),
        "batches meanwhile": served.described(batch_ms, f"{len(batch_ms)} batches, longest {max(batch_ms):.0f} ms"),
    }


def key_bytes(folder: Path) -> float:
    """Of the tables of keys, per event, without the index of the newest."""
    with duckdb.connect(str(folder / "events.duckdb"), read_only=True) as connection:
        row = connection.execute(
            f"SELECT count(DISTINCT block_id) * {_BLOCK_BYTES} / (SELECT count(*) FROM all_keys) FROM"
            " (FROM pragma_storage_info('keys') UNION ALL FROM pragma_storage_info('older_keys')) WHERE persistent"
        ).fetchone()
    return 0.0 if row is None else round(row[0], 1)


def ready_seconds(folder: Path) -> dict[str, float]:
    """From the command to the first green `/readyz`: after a clean stop, and after `kill -9` behind an ingest."""
    after_stop, process, port = _started(folder)
    load.run(port, _requests(90_000_000, ROUND), CONNECTIONS)
    process.kill()
    process.wait()
    after_kill, process, _ = _started(folder)
    process.terminate()
    process.wait()
    return {"after_stop": round(after_stop, 2), "after_kill": round(after_kill, 2)}


def _started(folder: Path) -> tuple[float, "subprocess.Popen[bytes]", int]:
    address = folder / "server.json"
    address.unlink(missing_ok=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "tallybook", "serve", "--port", "0", "--data-dir", str(folder)],
        env={**os.environ, "TALLYBOOK_ADMIN_KEY": server.KEY},
        stdout=subprocess.DEVNULL,
    )
    while not address.exists():
        if process.poll() is not None:
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    port = int(json.loads(address.read_text())["url"].rpartition(":")[2])
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            return time.perf_counter() - started, process, port
        time.sleep(0.005)


def _requests(first: int, count: int) -> list[bytes]:
    return [load.request("/v1/events", server.KEY, body) for body in _bodies(first, count)]


def _bodies(first: int, count: int) -> Iterator[bytes]:
    """Events of the last day of the store, so that questions about it go on finding more."""
    rng = random.Random(first)
    for start in range(first, first + count, BATCH):
        events = [ingest.event(number, rng) for number in range(start, start + BATCH)]
        for event in events:
            event["id"] = f"more-{event['id']}"
            event["occurred_at"] = instant_text(store.END_US - rng.randrange(86_400_000_000))
        yield json.dumps({"events": events}).encode()


@contextmanager
def _coming_in(port: int, events_per_second: float, first: int) -> Iterator[list[float]]:
    """Batches on a few connections, evenly; yields what each took, in milliseconds."""
    times: list[float] = []
    done = threading.Event()
    threads = 4
    each = int(events_per_second * _MEANWHILE_SECONDS / threads / BATCH + 1) * BATCH
    bodies = [list(_bodies(first + number * each, each)) for number in range(threads)]

    def send(bodies: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"Authorization": f"Bearer {server.KEY}", "Content-Type": "application/json"}
        for body in bodies:
            started = time.perf_counter()
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(answer.status)
            took = time.perf_counter() - started
            times.append(took * 1000)
            if done.wait(max(0.0, threads * BATCH / events_per_second - took)):
                return

    senders = [threading.Thread(target=send, args=(some,)) for some in bodies]
    for sender in senders:
        sender.start()
    while not times:
        time.sleep(0.05)
    try:
        yield times
    finally:
        done.set()
        for sender in senders:
            sender.join()
