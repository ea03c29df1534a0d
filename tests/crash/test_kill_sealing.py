"""`kill -9` while runs are added, volumes closed and the file opened anew: nothing acknowledged is lost or doubled."""

import random
import subprocess
import sys
import time
from pathlib import Path

from tallybook.storage.duckdb import arrivals, key_generations
from tallybook.storage.duckdb.engine import DuckEngine
from tests.conftest import LONG

ROUNDS = 30 if LONG else 4
FLUSH = 300

WRITER = f"""
import sys, threading, time
from pathlib import Path
from tallybook.storage.duckdb import events, sealing
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.sealing import Sealer
from tallybook.metering.event import Status
from tests.admin_rooms import StillClock
from tests.storage.suites.event_store import told
from tests.submissions import Submitter

events._RENEWED_FROM = 1_000
sealing._MOVED_PART = 1  # a volume is closed however many facts arrive meanwhile
engine = DuckEngine(Path(sys.argv[1]), memory="500MB", threads=2, query_memory="128MB")
store = DuckEventStore(engine, StillClock(), wal_bytes_max=2**20, disk_reserve_bytes=0)
submit = Submitter(StillClock())

def seal():
    sealer = Sealer(engine, rows=1_000, volume_runs=2)
    while True:
        sealer.seal()
        time.sleep(0.03)

threading.Thread(target=seal, daemon=True).start()
number = int(sys.argv[2])
while True:
    again = range(0, number, 97 + number // 20)
    assert all(each.status is Status.DUPLICATE for each in store.append([submit(told(each)) for each in again]))
    store.append([submit(told(each)) for each in range(number, number + {FLUSH})])
    number += {FLUSH}
    print(number, flush=True)
    if number % (7 * {FLUSH}) == 0:
        store.maintain()
"""


def test_runs_survive_kill_9(tmp_path: Path) -> None:
    rng = random.Random(20261127)
    path = tmp_path / "events.duckdb"
    stored = runs = 0
    for _ in range(ROUNDS):
        acknowledged = _written_until_killed(path, stored, rng)
        stored, runs = _checked(path, acknowledged, runs)
    assert runs > ROUNDS  # more than one each


def _written_until_killed(path: Path, first: int, rng: random.Random) -> int:
    """Kills the writer at a random moment after some commits; how many events it said to be stored."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(rng.randint(5, 20))]
        time.sleep(rng.uniform(0, 0.2))
        writer.kill()
        said += writer.stdout.readlines()
    return int([line for line in said if line.endswith("\n")][-1])


def _checked(path: Path, acknowledged: int, runs_before: int) -> tuple[int, int]:
    """How many events are stored, at least those acknowledged and each once as it was sent, and in how many runs."""
    engine = DuckEngine(path, memory="500MB", threads=2, query_memory="128MB")
    with arrivals.reading(engine) as reader:
        facts = reader.execute(
            "SELECT count(*), count(DISTINCT event_id), min(event_id[7:]::INTEGER), max(event_id[7:]::INTEGER),"
            " count(*) FILTER (WHERE input_tokens <> event_id[7:]::INTEGER) FROM facts"
        ).fetchone()
        others = reader.execute(
            "SELECT (SELECT count(DISTINCT key) FROM all_keys), (SELECT max(number) FROM runs),"
            " (SELECT coalesce(max(number), 0) FROM key_generations), (SELECT count(*) FROM volumes)"
        ).fetchone()
        assert others is not None
        assert key_generations.count(reader) == others[0]
    engine.close()
    assert facts is not None
    count = facts[0]
    assert count in (acknowledged, acknowledged + FLUSH)  # the last commit may have been killed before its answer
    assert facts == (count, count, 0, count - 1, 0)
    assert others[0] == count
    runs = others[1] or 0
    assert runs >= runs_before
    assert others[2] >= runs // 8  # a generation for every four runs, but those that were killed on the way
    assert others[3] >= runs // 8
    return count, runs
