"""The tours of README and guides, run as written against a server: their commands work and print what they show."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs import pages
from tests.serving import ServerProcess

TOUR = list(pages.blocks(pages.section(pages.read("README.md"), "## A two-minute tour")))
CREDITS = list(pages.blocks(pages.read("docs/guides/credits.md")))
PRICES = list(pages.blocks(pages.read("docs/guides/prices.md")))
URL = "http://127.0.0.1:8080"
NEXT = "--- next step ---"

# What differs from run to run: keys, ids, instants, rates.
VOLATILE = [
    (r"tb_[\w-]{49}", "KEY"),
    (r"(key|price)_[0-9a-f]{24}", r"\1_ID"),
    (r"(acc|txn|res)_[0-9a-f]{36,}", r"\1_ID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "NOW"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "UID"),
    (r"(?m)^seconds +[\d.]+$", "SECONDS"),
    (r"(?m)^rate +[\d,]+ rows/s$", "RATE"),
]


class FreshServer(ServerProcess):
    """As `make run` starts it: without settings from the environment."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        for name in ("TALLYBOOK_ADMIN_KEY", "TALLYBOOK_PRICE_CATALOGUE"):
            del self._environment[name]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What of a fresh checkout the tour needs, after `make setup`. The slice is copied: imports write beside it."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copytree(pages.ROOT / "tests" / "data", tmp_path / "tests" / "data")
    return tmp_path


@pytest.fixture
def fresh(checkout: Path) -> Iterator[FreshServer]:
    server = FreshServer(checkout / "data")
    server.start()
    yield server
    server.stop()


def test_the_first_two_commands_are_run_and_test() -> None:
    first = next(pages.blocks(pages.read("README.md")))
    assert [line.split("  ")[0] for line in first.text.splitlines()] == ["make run", "make test"]


@pytest.mark.parametrize(("tour", "steps"), [(TOUR, 9), (CREDITS, 7), (PRICES, 6)], ids=["readme", "credits", "prices"])
def test_a_tour_prints_what_it_shows(fresh: FreshServer, checkout: Path, tour: list[pages.Block], steps: int) -> None:
    shown = [block.text for before, block in pairwise(tour) if before.language == "sh" and block.language == "text"]
    commands = [block.text for block in tour if block.language == "sh"]
    assert len(shown) == len(commands) == steps
    printed = run(commands, fresh.url, checkout)
    for command, expected, found in zip(commands, shown, printed, strict=True):
        assert settled(found) == settled(expected), f"printed by {command}"


def test_the_start_prints_what_the_tour_shows(checkout: Path) -> None:
    """On both streams, and nothing besides while it reads and answers."""
    server = FreshServer(checkout / "data").start_command()
    with server.client((server.data_dir / "admin.key").read_text().strip()) as client:
        client.post("/v1/orgs", json={"id": "acme", "name": "Acme"}).raise_for_status()
        client.get("/openapi.json").raise_for_status()
    printed = server.log_path.read_text()
    server.stop()
    assert settled(printed).replace(str(server.data_dir), "data").replace(server.url, URL) == settled(TOUR[0].text)


def test_what_the_docs_say_of_the_files_of_a_server(fresh: FreshServer) -> None:
    operate = pages.section(pages.read("docs/guides/operate.md"), "## Files")
    named = {name for row in pages.rows(operate)[1:] for name in pages.codes(row[0])}
    named -= {name for name in named if name.endswith("/")}  # folders that are made when they are needed
    with fresh.client((fresh.data_dir / "admin.key").read_text().strip()) as client:
        client.post("/v1/events", json={"id": "one"}).raise_for_status()
    assert {path.name for path in fresh.data_dir.iterdir()} == named
    for private in ("secret", "admin.key", "server.json"):
        assert (fresh.data_dir / private).stat().st_mode & 0o777 == 0o600
    fresh.stop()
    # A clean stop folds the logs in.
    databases = {"events.duckdb", "ledger.sqlite", "messages.sqlite"}
    assert {path.name for path in fresh.data_dir.iterdir()} == {*databases, "secret", "admin.key"}


def run(commands: list[str], url: str, folder: Path) -> list[str]:
    """What each step prints, all of them in one shell, as a reader would."""
    steps = f"\necho '{NEXT}'\n".join(commands).replace(URL, url)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYBOOK_")}
    environment["PATH"] = pages.COMMANDS
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{steps}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{NEXT}\n")


def settled(text: str) -> str:
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text)
    return text.replace("\r\n", "\n").strip()
