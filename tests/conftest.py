"""Fixtures that every kind of test shares."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.serving import ServerProcess

LONG = bool(os.environ.get("TALLYBOOK_TEST_LONG"))
"""Whether the long forms of the bars run (`make test-long`)."""

# Where compiled modules may not be kept, each server and command that a test starts compiles all of them anew:
# half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# `make test` draws the same sample every time, on however slow a machine; the long form draws new and more.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("sample", _PATIENT, derandomize=True, max_examples=50)
settings.register_profile("long", _PATIENT, max_examples=2_000)
settings.load_profile("long" if LONG else "sample")


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
