"""LiteLLM's price list beside our prices, over HTTP and from the command line."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import ADMIN_KEY, ServerProcess

LIST = gzip.decompress((Path(__file__).parents[1] / "data" / "litellm_prices_1_106_2.json.gz").read_bytes())
SMALL = {
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1.1e-05},
    "no-such-model": {"litellm_provider": "house", "input_cost_per_token": 1e-06, "output_cost_per_video_token": 1},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("comparison") / "data", price_catalogue="true").start()
    yield running
    running.stop()


def compare(client: httpx.Client, body: bytes | dict[str, Any], **query: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/v1/prices/compare", content=content, params=query)


def test_differences_are_told_with_both_amounts(admin: httpx.Client) -> None:
    found = compare(admin, SMALL).raise_for_status().json()
    assert found["verdicts"] == {"same": 1, "other_rate": 1, "no_rate": 0, "no_price": 1}
    assert found["unsaid"] == {"output_cost_per_video_token": 1}
    told = [[each[name] for name in ("verdict", "entry", "unit", "theirs", "ours")] for each in found["differences"]]
    assert told == [
        ["other_rate", "gpt-4o", "output_tokens", "0.000011", "0.00001"],
        ["no_price", "no-such-model", "input_tokens", "0.000001", None],
    ]
    only = compare(admin, SMALL, verdict="other_rate", limit=1).raise_for_status().json()
    assert (only["differences_total"], len(only["differences"])) == (1, 1)


def test_the_whole_list_is_compared_and_nothing_recorded(admin: httpx.Client) -> None:
    before = admin.get("/v1/prices").content
    found = compare(admin, LIST, limit=1).raise_for_status().json()
    assert sum(found["verdicts"].values()) == 15_174
    assert found["verdicts"]["same"] > 5_000
    assert (len(found["differences"]), admin.get("/v1/prices").content) == (1, before)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), ({"m": {"input_cost_per_token": "cheap"}}, 422), ({"m": 1}, 422)],
)
def test_what_is_no_list_is_refused(admin: httpx.Client, body: bytes | dict[str, Any], status: int) -> None:
    assert compare(admin, body).status_code == status


def test_the_command_shows_them(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(SMALL))
    command = [sys.executable, "-m", "tallybook", "prices", "compare", "--litellm", str(file)]
    command += ["--url", server.url, "--key", ADMIN_KEY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "other_rate" in done.stdout
    assert "0.000011" in done.stdout
    file.write_text("{")
    broken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (broken.returncode, "is not JSON" in broken.stderr) == (2, True)
