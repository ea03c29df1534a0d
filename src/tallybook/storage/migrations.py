"""Numbered SQL files that take a database forward, and why one cannot be opened."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path


class CannotOpen(RuntimeError):
    """Nothing is wrong with the file, but this process cannot use it."""


class NewerDatabase(CannotOpen):
    """The file was written by a newer release."""


class HeldDatabase(CannotOpen):
    """Another process holds the file."""


def pending(package: str, folder: str, version: int, path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each file behind that version of the database at `path`. Raises `NewerDatabase`."""
    entries = resources.files(package).joinpath(folder).iterdir()
    scripts = {int(entry.name[:4]): entry for entry in entries if entry.name.endswith(".sql")}
    if version > len(scripts):
        raise NewerDatabase(f"{path} is at version {version}; this release knows {len(scripts)}")
    for number in range(version + 1, len(scripts) + 1):
        yield number, scripts[number].read_text()
