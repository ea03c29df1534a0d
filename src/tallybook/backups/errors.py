"""Refusals of the backups room.

BackupExists   there is something of that name already
NotRestorable  a backup, or the place for it, is not as it has to be; met by commands, never over HTTP
"""

from pathlib import Path

from tallybook.core.errors import Conflict


class BackupExists(Conflict):
    code = "backup_exists"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} {why}")


class NotRestorable(Exception):
    """Why, in one line."""
