"""Fixtures that tests of the dialects share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.clients.published import Client, client


@pytest.fixture(scope="session")
def published() -> Iterator[Callable[[str], Client]]:
    """A published client by its version. Each is started once: loading it takes seconds."""
    with ExitStack() as started:
        yield cache(lambda number: started.enter_context(client(number)))
