"""Ingest over HTTP against the cheapest thing the same machine could do with the same rows."""

import json
import random
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from bench import load, server
from tallybook.storage.duckdb import engine as duck

BATCH = 1_000
MODELS = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "gemini-2.5-pro", "mistral-large"]
START = 1_767_225_600  # 2026-01-01


def event(index: int, rng: random.Random) -> dict[str, Any]:
    """A realistic chat completion: who, which model, four token counts, a latency."""
    return {
        "id": f"req_{index:012d}",
        "occurred_at": f"{datetime.fromtimestamp(START + index / 20, UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        "user_id": f"user_{rng.randrange(500)}",
        "project_id": f"project_{rng.randrange(20)}",
        "provider": "openai",
        "model": MODELS[index % len(MODELS)],
        "usage": {
            "input_tokens": 1000 + rng.randrange(4000),
            "cache_read_tokens": rng.randrange(1000),
            "output_tokens": 200 + rng.randrange(800),
            "reasoning_tokens": rng.randrange(200),
        },
        "latency_ms": rng.randrange(5000),
        "stream": index % 3 == 0,
    }


def bodies(count: int, first: int, size: int) -> list[bytes]:
    rng = random.Random(first)
    return [
        json.dumps({"events": [event(first + batch * size + index, rng) for index in range(size)]}).encode()
        for batch in range(count)
    ]


def batches(events: int, repeats: int, connections: int = 16) -> dict[str, Any]:
    """`repeats` loads of `events` in 1 000-event batches over HTTP, each beside the reference on the same rows."""
    rates, references, free, latencies = [], [], [], []
    stored = 0
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        with server.running(data) as (port, pid):
            _set_prices(port)
            for repeat in range(repeats):
                requests = [
                    load.request("/v1/events", server.KEY, body)
                    for body in bodies(events // BATCH, repeat * events, BATCH)
                ]
                measured = load.run(port, requests, connections)
                assert measured.statuses == {200: len(requests)}, measured.statuses
                rates.append(measured.rate * BATCH)
                latencies.append(measured.p99_ms)
                stored += events
            peak = server.rss_mib(pid)
        rows = Path(folder) / "rows"
        rows.mkdir()
        finished = _export(data / "events.duckdb", rows, events)
        for _ in range(repeats):
            references.append(_reference(rows, finished, Path(folder), with_keys=True))
            free.append(_reference(rows, finished, Path(folder), with_keys=False))
    rate, reference = statistics.median(rates), statistics.median(references)
    return {
        "events": stored,
        "events_per_second": round(rate),
        "all_rates": [round(each) for each in rates],
        "reference_rows_per_second": round(reference),
        "reference_without_keys": round(statistics.median(free)),
        "ratio": round(rate / reference, 3),
        "batch_p99_ms": round(max(latencies), 1),
        "rss_mib_after": round(peak),
    }


def singles(requests_total: int, connections: int, repeats: int = 3) -> dict[str, Any]:
    """Single durable events against the no-op, in turns on one server."""
    rates, noops, p50s, p99s = [], [], [], []
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as (port, _):
        _set_prices(port)
        rng = random.Random(1)
        for repeat in range(repeats):
            events = [json.dumps(event(repeat * requests_total + n, rng)).encode() for n in range(requests_total)]
            real = load.run(port, [load.request("/v1/events", server.KEY, body) for body in events], connections)
            assert real.statuses == {200: requests_total}, real.statuses
            idle = [load.request(server.NOOP, server.KEY, events[0])] * max(requests_total, 20_000)
            noop = load.run(port, idle, connections)
            rates.append(real.rate)
            noops.append(noop.rate)
            p50s.append(real.p50_ms)
            p99s.append(real.p99_ms)
    rate, noop_rate = statistics.median(rates), statistics.median(noops)
    return {
        "connections": connections,
        "events_per_second": round(rate),
        "noop_per_second": round(noop_rate),
        "ratio": round(rate / noop_rate, 3),
        "p50_ms": round(statistics.median(p50s), 2),
        "p99_ms": round(statistics.median(p99s), 2),
    }


def _set_prices(port: int) -> None:
    import httpx

    for model in MODELS:
        httpx.put(
            f"http://127.0.0.1:{port}/v1/prices",
            headers={"Authorization": f"Bearer {server.KEY}"},
            json={
                "model": model,
                "match": "equals",
                "effective_from": "2020-01-01T00:00:00Z",
                "rates": {
                    "input_tokens": {"per": 1_000_000, "usd": "2.5"},
                    "cache_read_tokens": {"per": 1_000_000, "usd": "1.25"},
                    "output_tokens": {"per": 1_000_000, "usd": "10"},
                },
            },
        ).raise_for_status()


def _export(store: Path, folder: Path, count: int) -> dict[str, dict[str, str]]:
    """Writes the last `count` finished rows as NDJSON; returns the column types of each file."""
    types = {}
    with duckdb.connect(str(store), read_only=True) as connection:
        for table in ("keys", "facts"):
            described = connection.execute(f"DESCRIBE {table}").fetchall()
            used = [
                name
                for name, *_ in described
                if connection.execute(f"SELECT count({name}) FROM {table}").fetchone() != (0,)
            ]
            types[table] = {name: kind for name, kind, *_ in described if name in used}
            connection.execute(
                f"COPY (SELECT {', '.join(used)} FROM {table} ORDER BY seq DESC LIMIT {count})"
                f" TO '{folder / table}.ndjson' (FORMAT json)"
            )
    return types


def _reference(rows: Path, types: dict[str, dict[str, str]], folder: Path, *, with_keys: bool) -> float:
    """Rows per second of `INSERT … SELECT FROM read_ndjson(file)` into empty tables of the same schema and settings."""
    path = folder / "reference" / "events.duckdb"
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    store = duck.DuckEngine(path, memory="1GB", threads=2, query_memory="128MB")
    started = time.perf_counter()
    with store.transaction() as writer:
        for table in ("keys", "facts") if with_keys else ("facts",):
            names = ", ".join(types[table])
            writer.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM read_ndjson(?, columns = {types[table]!r})",
                [str(rows / f"{table}.ndjson")],
            )
    seconds = time.perf_counter() - started
    with store.reading() as reader:
        row = reader.execute("SELECT count(*) FROM facts").fetchone()
    store.close()
    assert row is not None
    return float(row[0] / seconds)
