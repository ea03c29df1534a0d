"""Migrations are numbered from 1 without gaps: the number is what a file keeps of how far it came."""

from importlib import resources

import pytest


@pytest.mark.parametrize(
    ("engine", "folder"), [("duckdb", "migrations"), ("sqlite", "migrations"), ("sqlite", "message_migrations")]
)
def test_the_numbers_are_those_of_the_versions(engine: str, folder: str) -> None:
    entries = resources.files("tallybook.storage").joinpath(engine, folder).iterdir()
    numbers = sorted(int(entry.name.partition("_")[0]) for entry in entries if entry.name.endswith(".sql"))
    assert numbers == list(range(1, len(numbers) + 1))
