"""`make bench-full`: prints one table and writes it with its details, as dated JSON, to `bench/results/`."""

import argparse
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from bench.full import questions, sealed, served, store, written

RUNS_OF = 1_100_000
"""Events that are put in order to see what it costs commits."""

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=[10_000_000, 50_000_000], help="sizes of the stores")
    parser.add_argument("--repeats", type=int, default=15, help="how often each question is asked")
    parser.add_argument("--ingest", type=int, default=1_000_000, help="events that are added to each store")
    given = parser.parse_args()
    report: dict[str, Any] = {"machine": machine.described(), "calibration": machine.calibration()}
    for events in given.events:
        report[f"{events}"] = _measured(events, given.repeats, given.ingest)
    report["sealing"] = sealed.commits(RUNS_OF)
    report["calibration_after"] = machine.calibration()
    for line in _table(report, given.events):
        print(line)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"full-{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {path}")


def _measured(events: int, repeats: int, more: int) -> dict[str, Any]:
    cached = store.cached(events)
    found: dict[str, Any] = {
        "questions": questions.compared(cached, repeats),
        "key_bytes_per_event": written.key_bytes(cached),
    }
    folder = store.copied(events, "written")
    # First: what the others add makes the server put a run in order, which would be measured with the questions.
    found["served"] = served.asked(folder, events, repeats)
    found["ready_seconds"] = written.ready_seconds(folder)
    found["ingest"] = written.ingested(folder, more)
    half = found["ingest"]["events_per_second"] / 2
    found["served"] |= written.asked_meanwhile(folder, half, first=more + written.ROUND)
    shutil.rmtree(folder)
    return found


def _table(report: dict[str, Any], sizes: list[int]) -> Iterator[str]:
    yield "| What | Events | Median | Beside | Ratio | Bar |"
    yield "|---|---|---|---|---|---|"
    for events in sizes:
        found = report[f"{events}"]
        for name, each in found["questions"].items():
            yield _row(
                f"{name} ({each['rows']} rows)",
                events,
                f"{each['ms']} ms",
                f"SQL by hand {each['raw_ms']} ms",
                f"{each['ratio']} (processor {each['cpu_ratio']})",
                f"{each['bar_ms']} ms",
            )
        for name, each in found["served"].items():
            yield _row(f"{name}, over HTTP", events, f"{each['ms']} ms", f"p99 {each['p99_ms']} ms", "", each["bar"])
        ingest, ready = found["ingest"], found["ready_seconds"]
        commits = ingest["commits"]
        longest = (
            f"commits: p99 within {commits['p99_within_s']} s, all within {commits['all_within_s']} s;"
            f" batches: p99 {ingest['batch_p99_ms']} ms"
        )
        yield _row("ingest over HTTP", events, f"{ingest['events_per_second']}/s", longest, "", "25 000/s, 500 ms, 1 s")
        yield _row("first batch after opening", events, f"{ingest['first_batch_ms']} ms", "", "", "")
        yield _row("most resident memory of it", events, f"{ingest['peak_rss_mib']} MiB", "", "", "1 536 MiB")
        yield _row("keys on the disk, per event", events, f"{found['key_bytes_per_event']} bytes", "", "", "")
        yield _row("ready after a clean stop", events, f"{ready['after_stop']} s", "", "", "1 s")
        yield _row("ready after kill -9", events, f"{ready['after_kill']} s", "", "", "3 s")
    beside, otherwise = (report["sealing"][name]["p99_ms"] for name in ("beside", "otherwise"))
    ratio = round(beside / otherwise, 2)
    yield _row(
        "commits of 5 000 while a run is put in order", RUNS_OF, f"p99 {beside} ms", f"{otherwise} ms", f"{ratio}", "3"
    )


def _row(what: str, events: int, *cells: str) -> str:
    return f"| {what} | {events // 10**6} M | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
