"""What the catalogue costs a starting server: run as `python -m bench.catalogue FILE`, in a process of its own.

Prints as JSON how long it takes until the first event is rated, and the resident memory it takes: at once, and with
every price of every model made ready and kept.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path

from bench.server import rss_mib
from tallybook.core.clock import SystemClock
from tallybook.pricing.book import PriceBook
from tallybook.pricing.price import Mode
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.prices import SqlitePriceStore


def weigh(path: Path) -> dict[str, float]:
    clock = SystemClock()
    store = SqlitePriceStore(SqliteEngine(path, clock))
    book = PriceBook(store.list_in_force, store.list_names)
    before_mib = _resident_mib()
    started = time.perf_counter()
    _rate(book, clock, "openai", "gpt-4o", Mode.STANDARD)
    seconds = time.perf_counter() - started
    loaded_mib = _resident_mib()
    models = [(provider.id, model.id) for provider in store.list_names() for model in provider.models]
    for provider, model in models:
        for mode in Mode:
            _rate(book, clock, provider, model, mode)
    return {
        "models": len(models),
        "load_seconds": round(seconds, 3),
        "loaded_mib": round(loaded_mib - before_mib, 1),
        "all_ready_mib": round(_resident_mib() - before_mib, 1),
    }


def _rate(book: PriceBook, clock: SystemClock, provider: str, model: str, mode: Mode) -> None:
    book.rating(
        "default",
        provider=provider,
        model=model,
        service_tier=mode.value,
        batch=False,
        at_us=clock.now_us(),
        usage={"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 100},
    )


def _resident_mib() -> float:
    gc.collect()
    return rss_mib(os.getpid())


if __name__ == "__main__":
    print(json.dumps(weigh(Path(sys.argv[1]))))
