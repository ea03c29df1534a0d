"""The base install is the light client: it works without anything of the server, and says so when asked to serve."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

SERVER_ONLY = (
    "duckdb",
    "fastapi",
    "fastapi_offline",
    "genai_prices",
    "httptools",
    "msgspec",
    "nanoarrow",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "re2",
    "starlette",
    "tzdata",
    "uvicorn",
    "uvloop",
    "yaml",
    "zstandard",
)

WITHOUT_SERVER = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SERVER_ONLY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from tallybook.cli.main import main
main(prog_name="tallybook")
"""


def tallybook(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command as if nothing of the server were installed."""
    command = [sys.executable, "-c", WITHOUT_SERVER, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def names(requirements: list[str]) -> set[str]:
    return {requirement.split(">")[0].split("=")[0].strip() for requirement in requirements}


def test_the_base_has_three_dependencies() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    assert names(project["dependencies"]) == {"click", "httpx", "rich"}


_MODULES = {"google-re2": "re2", "pyyaml": "yaml"}


def test_every_dependency_of_the_server_is_kept_away() -> None:
    """The list above follows the `[server]` extra; some distributions are imported under another name."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    distributions = names(project["optional-dependencies"]["server"])
    imported = {_MODULES.get(name, name.replace("-", "_")) for name in distributions}
    assert imported <= set(SERVER_ONLY)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("--version",),
        ("import", "--help"),
        ("keys", "--help"),
        ("keys", "create", "--help"),
        ("orgs", "--help"),
        ("prices", "--help"),
        ("accounts", "--help"),
        ("plans", "--help"),
        ("verify", "--help"),
        ("settings", "--help"),
        ("serve", "--help"),
    ],
    ids=" ".join,
)
def test_commands_explain_themselves_without_the_server(words: tuple[str, ...], tmp_path: Path) -> None:
    done = tallybook(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "tallybook" in done.stdout


def test_a_command_reaches_for_its_server_and_nothing_else(tmp_path: Path) -> None:
    done = tallybook("--url", "http://127.0.0.1:9", "--key", "any", "keys", "list", folder=tmp_path)
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_says_that_the_server_is_not_installed(tmp_path: Path) -> None:
    done = tallybook("serve", "--port", "0", folder=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the server is not installed" in line
    assert "pip install 'tallybook[server]'" in line
    assert list(tmp_path.iterdir()) == []
