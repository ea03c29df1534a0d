"""`make bench`: every figure as a ratio measured in one run, printed and kept as dated JSON in `bench/results/`."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import ingest, ledger, machine, messages, rating, server, settlement


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    quick = parser.parse_args().quick
    scale = 10 if quick else 1
    report: dict[str, Any] = {"machine": machine.described(), "calibration": machine.calibration()}
    machine.show("machine", report["machine"])
    machine.show("calibration", report["calibration"])
    report["batches"] = ingest.batches(200_000 // scale, repeats=3)
    machine.show("batch ingest, 1 000 events each (bars: ratio >= 0.4, >= 40 000/s)", report["batches"])
    for connections, requests, bar in ((64, 10_000, ">= 0.12"), (256, 20_000, ">= 0.25")):
        report[f"singles_{connections}"] = ingest.singles(requests // scale, connections)
        machine.show(f"single events, {connections} connections (bar: ratio {bar})", report[f"singles_{connections}"])
    report["singles_1"] = ingest.singles(500 // scale, 1)
    machine.show("single events, one connection (bar: p50 < 10 ms)", report["singles_1"])
    report["ledger"] = ledger.pairs(60 // scale, repeats=3)
    machine.show(
        "reserve + confirm, 64 callers (bars: >= 2 500/s, ratio >= 0.3, hot ratio >= 0.8, p99 < 50 ms)",
        report["ledger"],
    )
    report["settlement"] = settlement.confirmations(200 // scale, repeats=5)
    machine.show("confirmations, 64 callers (bars: ratio >= 0.7, p99 < 60 ms)", report["settlement"])
    report["rating"] = rating.ratings(100_000 // scale, repeats=9)
    machine.show("rating (bars: >= 400 000/s; catalogue: load < 0.5 s, all ready < 60 MiB)", report["rating"])
    report["messages"] = messages.measured(20_000 // scale)
    machine.show("messages of 2 to 8 KiB (bars: ratio >= 0.4, stored <= 0.35, page < 150 ms)", report["messages"])
    report["weight"] = _weight()
    machine.show("weight (bars: help < 0.4 s, idle < 350 MiB)", report["weight"])
    report["calibration_after"] = machine.calibration()
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {path}")


def _weight() -> dict[str, float]:
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tallybook", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as (_, pid):
        time.sleep(1)
        rss = server.rss_mib(pid)
    return {"help_seconds": round(sorted(seconds)[2], 3), "idle_rss_mib": round(rss)}


if __name__ == "__main__":
    main()
