"""`make bench-full`: prints one table and writes it with its details, as dated JSON, to `bench/results/`."""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from bench.full import questions, served, store

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=[10_000_000, 50_000_000], help="sizes of the stores")
    parser.add_argument("--repeats", type=int, default=15, help="how often each question is asked")
    given = parser.parse_args()
    report: dict[str, Any] = {"machine": machine.described(), "calibration": machine.calibration()}
    for events in given.events:
        folder = store.cached(events)
        report[f"{events}"] = {
            "questions": questions.compared(folder, given.repeats),
            "served": served.asked(store.copied(events, "served"), events, given.repeats),
        }
    report["calibration_after"] = machine.calibration()
    for line in _table(report, given.events):
        print(line)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"full-{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {path}")


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


def _row(what: str, events: int, *cells: str) -> str:
    return f"| {what} | {events // 10**6} M | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
