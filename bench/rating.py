"""Ratings in one process beside the library that the catalogue comes from, and what the catalogue weighs."""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price

from tallybook.catalogues.genai_prices import CONTEXT_OF, COUNTER_OF
from tallybook.catalogues.installed import read_lists
from tallybook.core.clock import SystemClock
from tallybook.core.time_window import DAY_US, SECOND_US, parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.cost import Pricing
from tallybook.pricing.price import Mode, mode_of
from tallybook.pricing.service import PricingService
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.journal import SqliteJournal
from tallybook.storage.sqlite.prices import SqlitePriceStore

MODELS = [
    # provider, model, tiers, whether it has a batch mode
    ("openai", "gpt-4o", ("default", "priority"), True),
    ("openai", "gpt-5-mini", ("default", "flex"), True),
    ("openai", "gpt-6-sol", ("default", "priority", "fast"), True),
    ("anthropic", "claude-opus-4-8", (None, "standard"), True),
    ("anthropic", "claude-sonnet-4-5", (None, "standard"), True),
    ("google", "gemini-2.5-flash", (None,), True),
    ("google", "gemini-2.5-pro", (None,), True),
    ("deepseek", "deepseek-v4-pro", (None,), False),
    ("azure", "gpt-4o", ("default",), False),
    (None, "claude-haiku-4-5", (None,), True),
]
UNKNOWN = "not-a-model"
FIRST_US = parse_instant("2026-10-20T00:00:00Z")


class Call(NamedTuple):
    provider: str | None
    model: str
    service_tier: str | None
    batch: bool
    at_us: int
    usage: dict[str, int]


def ratings(calls_count: int, repeats: int) -> dict[str, Any]:
    """A realistic mix of calls, rated in turns by the price book and, a hundredth of them, by the library.

    Both by the second of processor time: they do nothing else, and neighbours on the machine count less.
    """
    calls = list(_calls(calls_count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        store = asyncio.run(_synced(path))
        book = PriceBook(store.list_in_force, store.list_names)
        ours, library = [], []
        for _ in range(repeats):
            ours.append(_rates_per_second(book, calls))
            library.append(_library_rates_per_second(calls[: calls_count // 100]))
        priced = sum(_is_priced(book, call) for call in calls)
        weight = subprocess.check_output([sys.executable, "-m", "bench.catalogue", str(path)])
    return {
        "ratings_per_second": round(statistics.median(ours)),
        "all_rates": [round(rate) for rate in ours],
        "library_per_second": round(statistics.median(library)),
        "ratio": round(statistics.median(ours) / statistics.median(library)),
        "priced": f"{priced / calls_count:.0%}",
        **json.loads(weight),
    }


def _calls(count: int) -> Iterator[Call]:
    """Chat calls of a month: 3 to 5 counters, contexts up to beyond the first tiers, one model in fifty unknown."""
    rng = random.Random(count)
    for _ in range(count):
        provider, model, tiers, has_batch = rng.choice(MODELS)
        if rng.random() < 0.02:
            model = UNKNOWN
        context, answer = int(rng.lognormvariate(9, 1.5)) + 10, rng.randrange(1, 2_000)
        usage = {"input_tokens": context, "output_tokens": answer, "cache_read_tokens": rng.randrange(context)}
        if rng.random() < 0.5:
            usage["reasoning_tokens"] = rng.randrange(answer)
        if rng.random() < 0.3:
            usage["cache_write_tokens"] = rng.randrange(context - usage["cache_read_tokens"])
        batch = has_batch and rng.random() < 0.1
        yield Call(provider, model, rng.choice(tiers), batch, FIRST_US + rng.randrange(30 * DAY_US), usage)


async def _synced(path: Path) -> SqlitePriceStore:
    clock = SystemClock()
    engine = SqliteEngine(path, clock)
    store = SqlitePriceStore(engine)
    await PricingService(store, engine, SqliteJournal(), clock, read_lists).sync(actor="bench")
    return store


def _rates_per_second(book: PriceBook, calls: Sequence[Call]) -> float:
    started = time.process_time()
    for provider, model, tier, batch, at_us, usage in calls:
        book.rating("default", provider=provider, model=model, service_tier=tier, batch=batch, at_us=at_us, usage=usage)
    return len(calls) / (time.process_time() - started)


def _is_priced(book: PriceBook, call: Call) -> bool:
    return book.rating("default", **call._asdict()).pricing is Pricing.PRICED


def _library_rates_per_second(calls: Sequence[Call]) -> float:
    """Of the calls that it knows the model of, with what it is asked prepared before the clock starts."""
    units = {counter: unit for unit, counter in COUNTER_OF.items()}
    prepared = [
        (
            LibraryUsage(**{units[counter]: value for counter, value in call.usage.items()}),
            call.model,
            call.provider,
            datetime.fromtimestamp(call.at_us // SECOND_US, UTC),
            CONTEXT_OF[mode_of(call.service_tier, call.batch) or Mode.STANDARD],
        )
        for call in calls
        if call.model != UNKNOWN
    ]
    started = time.process_time()
    for usage, model, provider, at, context in prepared:
        calc_price(usage, model, provider_id=provider, genai_request_timestamp=at, price_context=context)
    return len(prepared) / (time.process_time() - started)
