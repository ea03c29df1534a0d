"""A write without memory is told as an overload."""

from pathlib import Path

import pytest

from tallybook.core.errors import Overloaded
from tallybook.storage.duckdb.engine import DuckEngine


def test_a_write_without_memory_is_an_overload_and_leaves_nothing(tmp_path: Path) -> None:
    engine = DuckEngine(tmp_path / "events.duckdb", memory="20MiB", threads=1, query_memory="128MB")

    def write() -> None:
        with engine.transaction() as writer:
            writer.execute("INSERT INTO outcomes VALUES (uuid(), uuid(), '{}', 1)")
            writer.execute("SELECT len(list(range)) FROM range(20000000)").fetchall()

    with pytest.raises(Overloaded, match="duckdb_memory"):
        write()
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM outcomes").fetchall() == [(0,)]
    engine.close()
