"""The base install is the light client: what the commands load must be part of it."""

import subprocess
import sys

LOADED = """
import sys
from tallybook.cli import accounts, audit, credits, explain, import_, keys, main, orgs, plans, prices, reprice
from tallybook.cli import reservations, settings, transactions, usage, verify
print(*sys.modules)
"""
SERVER_ONLY = {
    "duckdb",
    "fastapi",
    "genai_prices",
    "msgspec",
    "pydantic",
    "pydantic_settings",
    "starlette",
    "uvicorn",
}


def loaded_by(program: str) -> set[str]:
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_commands_load_nothing_of_the_server() -> None:
    names = loaded_by(LOADED)
    assert not names & SERVER_ONLY
    rooms = {name.split(".")[1] for name in names if name.startswith("tallybook.")}
    assert rooms == {"cli", "files", "sdk"}


def test_help_loads_no_http_client() -> None:
    names = loaded_by("import sys; from tallybook.cli.main import main; print(*sys.modules)")
    assert not names & {"httpx", "rich"}


def test_the_web_framework_is_loaded_beside_the_opening_of_files() -> None:
    names = loaded_by("import sys; from tallybook.server import run; print(*sys.modules)")
    assert "tallybook.data_folder" in names
    assert not names & {"fastapi", "tallybook.wiring"}
