"""Columns that no fact uses are not read; the first value in one is read at once, wherever it stands."""

import sys
import threading
from pathlib import Path

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.query import Reach
from tallybook.core.ids import uid_text
from tallybook.metering.event import Submission, UsageEvent
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.used_columns import UsedColumns
from tests.admin_rooms import StillClock
from tests.submissions import Submitter

CLOCK = StillClock()
SUBMIT = Submitter(CLOCK)
REACH = Reach("key", ("org",))


def opened(folder: Path) -> tuple[DuckEngine, DuckEventStore]:
    engine = DuckEngine(folder / "events.duckdb", memory="200MB", threads=1, query_memory="128MB")
    return engine, DuckEventStore(engine, CLOCK, wal_bytes_max=10**9, disk_reserve_bytes=0)


def read(engine: DuckEngine, row: Submission) -> EventRecord:
    found = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30)).find_event(REACH, uid_text(row.uid), None)
    assert found is not None
    return found


def test_a_column_is_read_from_its_first_value_on(tmp_path: Path) -> None:
    engine, store = opened(tmp_path)
    plain, told = SUBMIT(UsageEvent(id="plain")), SUBMIT(UsageEvent(id="told", context_level="deep", ttft_ms=5))
    store.append([plain])
    assert "context_level" not in read(engine, plain).fields
    store.append([told])  # waits, as small commits do
    assert read(engine, told).fields["context_level"] == "deep"
    store.maintain()
    assert read(engine, told).fields["ttft_ms"] == 5
    store.close()
    engine, store = opened(tmp_path)
    assert read(engine, told).fields["context_level"] == "deep"
    assert "context_level" not in read(engine, plain).fields
    store.close()


def test_only_columns_with_values_are_read(tmp_path: Path) -> None:
    engine, store = opened(tmp_path)
    store.append([SUBMIT(UsageEvent(id=f"event-{n}", usage={"input_tokens": 5})) for n in range(1_000)])
    used = engine.used_columns.of(["uid", "input_tokens", "output_tokens", "cost_bytes", "ttft_ms"])
    store.close()
    engine, store = opened(tmp_path)
    assert used == engine.used_columns.of(["uid", "input_tokens", "output_tokens", "cost_bytes", "ttft_ms"])
    assert used == ["uid", "input_tokens"]
    store.close()


def test_what_several_tell_at_once_is_all_kept() -> None:
    used = UsedColumns()
    names = [[f"column_{teller}_{number}" for number in range(2_000)] for teller in range(4)]

    def tell(own: list[str]) -> None:
        for name in own:
            used.tell([name])

    tellers = [threading.Thread(target=tell, args=(own,)) for own in names]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    sys.setswitchinterval(before)
    assert all(used.of(own) == own for own in names)
