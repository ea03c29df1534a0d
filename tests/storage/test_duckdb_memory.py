"""The index of the keys gets memory of its own, and a write without memory is told as an overload."""

from pathlib import Path

import pytest

from tallybook.core.errors import Overloaded
from tallybook.storage.duckdb.engine import DuckEngine

KEYS = """
    INSERT INTO keys SELECT uuid(), uuid(), uuid(), range, 1 FROM range(200000)
"""


def mebibytes(engine: DuckEngine) -> float:
    with engine.reading() as reader:
        ((text,),) = reader.execute("SELECT current_setting('memory_limit')").fetchall()
    number, unit = text.split()
    assert unit == "MiB"
    return float(number)


def test_memory_grows_with_the_keys_at_checkpoints_and_openings(tmp_path: Path) -> None:
    path = tmp_path / "events.duckdb"
    engine = DuckEngine(path, memory="100MiB", threads=1)
    assert mebibytes(engine) == 100
    with engine.transaction() as writer:
        writer.execute(KEYS)
    engine.checkpoint()
    grown = mebibytes(engine)
    assert grown == pytest.approx(100 + 200_000 * 64 / 2**20, abs=0.1)
    engine.close()
    engine = DuckEngine(path, memory="100MiB", threads=1)
    assert mebibytes(engine) == grown
    engine.close()


def test_a_write_without_memory_is_an_overload_and_leaves_nothing(tmp_path: Path) -> None:
    engine = DuckEngine(tmp_path / "events.duckdb", memory="20MiB", threads=1)

    def write() -> None:
        with engine.transaction() as writer:
            writer.execute("INSERT INTO outcomes VALUES (uuid(), uuid(), '{}', 1)")
            writer.execute("SELECT len(list(range)) FROM range(20000000)").fetchall()

    with pytest.raises(Overloaded, match="duckdb_memory"):
        write()
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM outcomes").fetchall() == [(0,)]
    engine.close()
