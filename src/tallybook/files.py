"""The files of a data folder by name, and how names become durable. Imports no room: every command begins with it."""

import os
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
