"""A fake server per test, and an environment that names no other one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli import fake_server
from tests.unit.cli.fake_server import FakeServer


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server.running() as server:
        yield server


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TALLYBOOK_BASE_URL", "TALLYBOOK_API_KEY", "TALLYBOOK_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
