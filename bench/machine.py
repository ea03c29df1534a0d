"""What a report says of the machine that it was made on."""

import os
import platform
import sys
import time
from typing import Any

import duckdb

from tallybook import __version__


def described() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "tallybook": __version__,
    }


def calibration() -> dict[str, float]:
    """A fixed loop: compare it between reports before comparing anything else. Milliseconds, best and median of 9."""
    times = []
    for _ in range(9):
        started = time.perf_counter()
        total = 0
        for number in range(1_000_000):
            total += number * number
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return {"best_ms": round(times[0], 1), "median_ms": round(times[4], 1)}


def show(title: str, figures: dict[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:28} {value}")
    sys.stdout.flush()
