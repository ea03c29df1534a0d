"""What putting a run in order costs the commits that are made meanwhile."""

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any

from bench import ingest, server
from tallybook.core.clock import SystemClock
from tallybook.core.time_window import parse_instant
from tallybook.metering.event import Sender, UsageEvent
from tallybook.metering.service import MeteringService
from tallybook.pricing.book import PriceBook
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.sealing import Sealer

FLUSH = 5_000
SENDER = Sender("default", "key", may_name_others=True, reads_org=True)
_Span = tuple[float, float]


def commits(events: int) -> dict[str, Any]:
    """Commits of 5 000 events into an empty store, without pause, while runs are put in order beside them."""
    with tempfile.TemporaryDirectory() as folder:
        settings = server.settings_of(Path(folder))
        engine = DuckEngine(
            Path(folder) / "events.duckdb",
            memory=settings.duckdb_memory,
            threads=settings.duckdb_threads,
            query_memory=settings.query_memory,
        )
        clock = SystemClock()
        metering = MeteringService(
            DuckEventStore(engine, clock, wal_bytes_max=settings.wal_bytes_max, disk_reserve_bytes=0),
            PriceBook(lambda owner: ()),
            clock,
            batch_events_max=FLUSH,
            queue_events_max=FLUSH,
            flush_events_max=FLUSH,
        )
        with _put_in_order(Sealer(engine, rows=settings.run_events)) as runs:
            spans = [_committed(metering, first) for first in range(0, events, FLUSH)]
        metering.close()
    beside = [any(start < ended and begun < end for begun, ended in runs) for start, end in spans]
    took = [(end - start) * 1000 for start, end in spans]
    return {
        "runs": len(runs),
        "beside": _figures(list(compress(took, beside))),
        "otherwise": _figures(list(compress(took, map(not_, beside)))),
    }


def _committed(metering: MeteringService, first: int) -> _Span:
    """From when to when the commit took, without what comes before it."""
    rng = random.Random(first)
    events = [_event(number, rng) for number in range(first, first + FLUSH)]
    submissions = metering.prepare(events, SENDER)
    started = time.perf_counter()
    metering.commit_from_thread([submissions])
    return started, time.perf_counter()


def _event(number: int, rng: random.Random) -> UsageEvent:
    told = ingest.event(number, rng)
    instant = told.pop("occurred_at")
    return UsageEvent(**told, occurred_at_us=parse_instant(instant))


@contextmanager
def _put_in_order(sealer: Sealer) -> Iterator[list[_Span]]:
    """As a server does, all the while; yields from when to when each run took."""
    runs: list[_Span] = []
    done = threading.Event()

    def seal() -> None:
        while not done.wait(0.1):
            started = time.perf_counter()
            if sealer.seal():
                runs.append((started, time.perf_counter()))

    thread = threading.Thread(target=seal)
    thread.start()
    try:
        yield runs
    finally:
        done.set()
        thread.join()


def _figures(took_ms: list[float]) -> dict[str, float]:
    ordered = sorted(took_ms)
    return {
        "commits": len(ordered),
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
    }
