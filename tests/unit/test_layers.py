"""Imports point one way: the contracts of `.importlinter`, and that only the start knows the engines."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tallybook"
KNOW_ENGINES = {"data_folder.py", "wiring/__init__.py", "wiring/stores.py", "server.py"}
ENGINES = ("tallybook.storage", "duckdb", "sqlite3", "nanoarrow")


def test_the_layers_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    checked = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 broken" in checked.stdout


def modules() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if "storage" not in path.relative_to(SOURCE).parts]


def imported(path: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions and under TYPE_CHECKING."""
    package = ["tallybook", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def engines_in(names: Iterator[str]) -> set[str]:
    return {name for name in names if any(name == engine or name.startswith(f"{engine}.") for engine in ENGINES)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_start_knows_the_engines(path: Path) -> None:
    known = engines_in(imported(path))
    assert not known or str(path.relative_to(SOURCE)) in KNOW_ENGINES


def test_the_search_itself_finds_engines_and_nothing_else() -> None:
    assert engines_in(imported(SOURCE / "wiring" / "stores.py"))
    assert engines_in(iter(["duckdb", "tallybook.storage.sqlite.keys"])) == {"duckdb", "tallybook.storage.sqlite.keys"}
    assert engines_in(iter(["tallybook.storage_of_words", "sqlite3x", "tallybook.core"])) == set()
