"""The files of a data folder by name, how names become durable, and what is said of a file that is at fault.

Imports no room: every command begins with it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVENTS, LEDGER, MESSAGES = "events.duckdb", "ledger.sqlite", "messages.sqlite"
DATABASES = (EVENTS, LEDGER, MESSAGES)
SECRET, ADMIN_KEY = "secret", "admin.key"
ADDRESS = "server.json"
"""Where the running server listens."""


def sync_names(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Has an `OSError` name the file: reading and writing an open one do not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def file_fault(error: OSError) -> str:
    """The file and what is wrong with it, of two files the one written to."""
    path = error.filename2 or error.filename
    return str(error) if path is None else f"{path}: {error.strerror}"
