"""`tallybook import` against a real server: slices of two real traces, priced, repeated, to the digit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import ADMIN_KEY, ServerProcess

DATA = Path(__file__).parents[1] / "data"
MAP = ("--map", "occurred_at=TIMESTAMP", "input_tokens=ContextTokens", "output_tokens=GeneratedTokens")
SLICES = {"conv": (43_328, 7_301, "0.18133"), "code": (131_532, 1_441, "0.34324")}
"""User -> input tokens, output tokens, and their cost at 2.5 and 10 USD per million."""


def tallybook(server: ServerProcess, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tallybook", *words],
        env={**os.environ, "TALLYBOOK_BASE_URL": server.url, "TALLYBOOK_API_KEY": ADMIN_KEY},
        capture_output=True,
        text=True,
        check=False,
    )


def import_slice(server: ServerProcess, state: Path, user_id: str, **changed: str) -> dict[str, Any]:
    path = DATA / f"azure_llm_inference_2023_{user_id}_60.csv"
    constants = {"model": "gpt-4o", "user_id": user_id, **changed}
    pairs = [f"{name}={value}" for name, value in constants.items()]
    options = ("--batch-size", "25", "--state-dir", str(state), "--json")
    done = tallybook(server, "import", str(path), *MAP, "--set", *pairs, *options)
    summary: dict[str, Any] = {**json.loads(done.stdout), "exit_code": done.returncode}
    return summary


def test_real_traces_are_counted_and_priced_exactly(server: ServerProcess, admin: httpx.Client, tmp_path: Path) -> None:
    assert tallybook(server, "prices", "set", "--model", "gpt-4o", "--input", "2.5", "--output", "10").returncode == 0
    for user_id in SLICES:
        first = import_slice(server, tmp_path, user_id)
        assert (first["inserted"], first["unpriced"], first["exit_code"]) == (60, 0, 0)
        again = import_slice(server, tmp_path, user_id)
        assert (again["inserted"], again["duplicates"], again["exit_code"]) == (0, 60, 0)
        other = import_slice(server, tmp_path, user_id, model="another")
        assert (other["inserted"], other["conflicts"], other["exit_code"]) == (0, 60, 1)
    query = {
        "start": "2023-11-01T00:00:00Z",
        "end": "2023-12-01T00:00:00Z",
        "bucket": "all",
        "group_by": "user_id",
    }
    (bucket,) = admin.get("/v1/usage/query", params=query).raise_for_status().json()["data"]
    found = {row["user_id"]: (row["input_tokens"], row["output_tokens"], row["cost_usd"]) for row in bucket["results"]}
    assert found == SLICES


def test_faults_that_the_server_finds_name_the_line(server: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text("occurred_at,input_tokens\n2026-01-31T12:00:00Z,1\n1999-01-31T12:00:00Z,1\n")
    done = tallybook(server, "import", str(path))
    assert done.returncode == 1
    assert "line 3, column occurred_at" in done.stderr


@pytest.mark.parametrize("words", [("import", "--help"), ("keys", "create", "--help"), ("--version",)])
def test_help_needs_no_server(own_server: ServerProcess, words: tuple[str, ...]) -> None:
    assert tallybook(own_server, *words).returncode == 0
