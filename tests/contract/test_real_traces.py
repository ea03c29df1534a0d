"""Two real traces, imported twice while others ask: every count, token and cent is exact, in every form of answer."""

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from meetkai_mka1 import SDK

from tests.serving import ADMIN_KEY, ServerProcess

WHOLE = Path(__file__).parents[3] / "shared" / "data"
"""The whole traces lie beside the checkout where they are at hand; their first 60 rows are among the tests."""
SLICES = Path(__file__).parents[1] / "data"

MAP = ("occurred_at=TIMESTAMP", "input_tokens=ContextTokens", "output_tokens=GeneratedTokens")
MONTH = {"start": "2023-11-01T00:00:00Z", "end": "2023-12-01T00:00:00Z"}


@dataclass(frozen=True)
class Trace:
    """A trace and what it adds up to at 2.5 and 10 USD per million tokens."""

    user_id: str
    path: Path
    rows: int
    input_tokens: int
    output_tokens: int
    cost_usd: str


def traces() -> list[Trace]:
    if (WHOLE / "azure_llm_inference_2023_conv.csv").exists():
        return [
            Trace("conv", WHOLE / "azure_llm_inference_2023_conv.csv", 19_366, 22_361_870, 4_088_665, "96.791325"),
            Trace("code", WHOLE / "azure_llm_inference_2023_code.csv", 8_819, 18_059_974, 245_896, "47.608895"),
        ]
    return [
        Trace("conv", SLICES / "azure_llm_inference_2023_conv_60.csv", 60, 43_328, 7_301, "0.18133"),
        Trace("code", SLICES / "azure_llm_inference_2023_code_60.csv", 60, 131_532, 1_441, "0.34324"),
    ]


TRACES = traces()


@pytest.fixture(scope="module")
def book(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> httpx.Client:
    """A client of a server that has taken both traces twice, while others were asking all the time."""
    client = server.client()
    put_price(client)
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with asking_all_the_time(server):
        firsts = [import_trace(server, first, trace) for trace in TRACES]
        # Another state folder: nothing is known of the first time, so every row is sent again.
        seconds = [import_trace(server, second, trace) for trace in TRACES]
    rows = [trace.rows for trace in TRACES]
    assert [(done["inserted"], done["duplicates"], done["conflicts"]) for done in firsts] == [(n, 0, 0) for n in rows]
    assert [(done["inserted"], done["duplicates"], done["conflicts"]) for done in seconds] == [(0, n, 0) for n in rows]
    return client


def put_price(client: httpx.Client) -> None:
    rates = {"input_tokens": {"usd": "2.5", "per": 1_000_000}, "output_tokens": {"usd": "10", "per": 1_000_000}}
    price = {"model": "gpt-4o", "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
    assert client.put("/v1/prices", json=price).status_code == 201


def import_trace(server: ServerProcess, state: Path, trace: Trace) -> dict[str, Any]:
    constants = ("model=gpt-4o", f"user_id={trace.user_id}")
    command = [sys.executable, "-m", "tallybook", "import", str(trace.path)]
    done = subprocess.run(
        [*command, "--map", *MAP, "--set", *constants, "--state-dir", str(state), "--json"],
        env={**os.environ, "TALLYBOOK_BASE_URL": server.url, "TALLYBOOK_API_KEY": ADMIN_KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@contextmanager
def asking_all_the_time(server: ServerProcess) -> Iterator[None]:
    """Other readers beside the import: each answer must hang together, whatever has arrived by then."""
    done = threading.Event()
    faults: list[BaseException] = []
    rounds: list[int] = []

    def ask() -> None:
        try:
            with server.client() as client:
                while not done.is_set():
                    rounds.append(consistent_total(client))
        except BaseException as fault:
            faults.append(fault)

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not faults, faults
    assert len(rounds) > 10


def consistent_total(client: httpx.Client) -> int:
    """Reads in several ways; the groups of one answer always cost what their tokens cost."""
    for row in groups(client):
        assert row["unpriced_requests"] == 0
        assert pico(row["cost_usd"]) == 2_500_000 * row["input_tokens"] + 10_000_000 * row["output_tokens"]
    client.get("/v1/usage/query", params={**MONTH, "bucket": "1h", "group_by": "model"}).raise_for_status()
    client.get("/v1/events", params={"limit": "20"}).raise_for_status()
    return sum(row["requests"] for row in groups(client))


def groups(client: httpx.Client) -> list[dict[str, Any]]:
    query = {**MONTH, "bucket": "all", "group_by": "user_id"}
    (bucket,) = client.get("/v1/usage/query", params=query).raise_for_status().json()["data"]
    rows: list[dict[str, Any]] = bucket["results"]
    return [row for row in rows if row["requests"]]


def pico(usd: str) -> int:
    whole, _, digits = usd.partition(".")
    return int(whole + digits.ljust(12, "0"))


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.user_id)
def test_the_json_answer_is_exact(book: httpx.Client, trace: Trace) -> None:
    (row,) = [row for row in groups(book) if row["user_id"] == trace.user_id]
    assert row["requests"] == trace.rows
    assert (row["input_tokens"], row["output_tokens"]) == (trace.input_tokens, trace.output_tokens)
    assert (row["cost_usd"], row["unpriced_requests"]) == (trace.cost_usd, 0)


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.user_id)
def test_the_csv_answer_is_exact(book: httpx.Client, trace: Trace) -> None:
    query = {**MONTH, "bucket": "all", "group_by": "user_id", "format": "csv"}
    lines = book.get("/v1/usage/query", params=query).raise_for_status().text.splitlines()
    (row,) = [row for row in csv.DictReader(lines) if row["user_id"] == trace.user_id]
    assert row["requests"] == str(trace.rows)
    assert (row["input_tokens"], row["output_tokens"]) == (str(trace.input_tokens), str(trace.output_tokens))
    assert (row["cost_usd"], row["unpriced_requests"]) == (trace.cost_usd, "0")


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.user_id)
def test_buckets_add_up_to_the_range(book: httpx.Client, trace: Trace) -> None:
    query = {**MONTH, "bucket": "1d", "user_id": trace.user_id}
    days = book.get("/v1/usage/query", params=query).raise_for_status().json()["data"]
    rows = [row for day in days for row in day["results"]]
    assert sum(row["requests"] for row in rows) == trace.rows
    assert sum(row["input_tokens"] for row in rows) == trace.input_tokens
    assert sum(row["output_tokens"] for row in rows) == trace.output_tokens
    assert sum(pico(row["cost_usd"] or "0") for row in rows) == pico(trace.cost_usd)


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.user_id)
def test_the_mka1_rows_carry_the_same_tokens(book: httpx.Client, trace: Trace) -> None:
    start_time, end_time = (int(datetime.fromisoformat(MONTH[edge]).timestamp()) for edge in ("start", "end"))
    key = str(book.headers["authorization"]).removeprefix("Bearer ")
    with SDK(bearer_auth=key, server_url=str(book.base_url)) as sdk:
        page = sdk.llm.usage.completions(
            start_time=start_time, end_time=end_time, bucket_width="1d", limit=31, group_by=["user_id"]
        )
    rows = [row for bucket in page.data for row in bucket.results if row["user_id"] == trace.user_id]
    assert sum(row["num_model_requests"] for row in rows) == trace.rows
    assert sum(row["input_tokens"] for row in rows) == trace.input_tokens
    assert sum(row["output_tokens"] for row in rows) == trace.output_tokens
