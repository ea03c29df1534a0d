"""Fixtures that every kind of test shares."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import ServerProcess

LONG = bool(os.environ.get("TALLYBOOK_TEST_LONG"))
"""Whether the long forms of the bars run (`make test-long`)."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server, shared by the tests of a module."""
    running = ServerProcess(tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A real server of one test's own, not started yet."""
    running = ServerProcess(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture
def admin(server: ServerProcess) -> Iterator[httpx.Client]:
    """A client with the bootstrap cluster-admin key."""
    with server.client() as client:
        yield client
