"""Usages and instants to compare at: random ones, and every place where another rate may begin."""

from collections.abc import Iterator
from random import Random

from genai_prices import types

from tallybook.catalogues.genai_prices import COUNTER_OF
from tallybook.core.counters import Usage
from tallybook.core.time_window import DAY_US, parse_instant
from tests.differential import oracle
from tests.usages import random_count, random_usage

_FIRST_US = parse_instant("2020-01-01T00:00:00Z")
_LAST_US = parse_instant("2028-01-01T00:00:00Z")
Sample = tuple[int, Usage]


def samples(random: Random, model: types.ModelInfo, count: int) -> Iterator[Sample]:
    """At least so many; each edge in time and each threshold of context, and what lies next to them, at least once."""
    instants = _edges(random, model)
    contexts = [threshold + step for threshold in oracle.thresholds(model) for step in (-1, 0, 1)]
    likely = {COUNTER_OF[unit] for unit in oracle.all_rated_units(model) if unit in COUNTER_OF}
    wanted = max(count, len(instants), len(contexts))
    instants += [random.randrange(_FIRST_US, _LAST_US) for _ in range(wanted - len(instants))]
    contexts += [random_count(random) for _ in range(wanted - len(contexts))]
    random.shuffle(contexts)
    for at_us, context in zip(instants, contexts, strict=True):
        yield at_us, random_usage(random, context, likely)


def _edges(random: Random, model: types.ModelInfo) -> list[int]:
    starts = oracle.start_dates(model)
    days = [random.randrange(_FIRST_US, _LAST_US), *starts, *(start_us - 1 for start_us in starts)]
    times = [at_us // DAY_US * DAY_US + time_us for at_us in days for time_us in oracle.times_of_day(model)]
    return [edge_us + step for edge_us in (*starts, *times) for step in (-1, 0, 1)]
