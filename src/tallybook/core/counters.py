"""The quantities an event can carry: every counter, its unit, how it adds up, and whether it can be billed.

A usage is a mapping of counter name to integer. Whole counters hold their count; decimal ones (seconds, characters,
MiB) hold micro-units. A counter that was not sent is absent: absent and 0 are different facts, though they add up
alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tallybook.core.money import MICRO_PER_UNIT

Usage = Mapping[str, int]


class Aggregate(Enum):
    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True)
class Counter:
    """`name` is part of the content hash and never changes; `scale` is stored units per real unit."""

    name: str
    scale: int = 1
    billable: bool = False
    aggregate: Aggregate = Aggregate.SUM

    @property
    def is_decimal(self) -> bool:
        return self.scale != 1


def _counters() -> tuple[Counter, ...]:
    billable = [
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_30m_tokens",
        "cache_write_1h_tokens",
        "cache_write_12h_tokens",
        "reasoning_tokens",
        "input_audio_tokens",
        "output_audio_tokens",
        "cache_read_audio_tokens",
        "input_image_tokens",
        "output_image_tokens",
        "cache_read_image_tokens",
        "images",
        "web_searches",
    ]
    return (
        *(Counter(name, billable=True) for name in billable),
        Counter("audio_seconds", MICRO_PER_UNIT, billable=True),
        Counter("characters", MICRO_PER_UNIT, billable=True),
        Counter("units", MICRO_PER_UNIT, billable=True),
        # Measures: a price may have a rate for them, but their lack of one never makes an event unpriced.
        Counter("requests"),
        Counter("bytes"),
        Counter("conversations_created"),
        Counter("items_added"),
        Counter("operations"),
        Counter("files_created"),
        Counter("request_count"),
        Counter("duration_ms"),
        Counter("workspace_bytes_in"),
        Counter("workspace_bytes_out"),
        Counter("files_changed"),
        Counter("oom_killed"),
        Counter("peak_memory_mib", MICRO_PER_UNIT, aggregate=Aggregate.MAX),
        Counter("reserved_memory_mib", aggregate=Aggregate.MAX),
    )


COUNTERS: Mapping[str, Counter] = {counter.name: counter for counter in _counters()}

PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # A total includes its parts: each group of disjoint parts may add up to the total, never beyond it.
    "input_tokens": (
        ("cache_read_tokens", "cache_write_tokens"),
        ("input_audio_tokens", "input_image_tokens"),
    ),
    "output_tokens": (("reasoning_tokens",), ("output_audio_tokens", "output_image_tokens")),
    "cache_read_tokens": (("cache_read_audio_tokens", "cache_read_image_tokens"),),
    "cache_write_tokens": (
        (
            "cache_write_5m_tokens",
            "cache_write_30m_tokens",
            "cache_write_1h_tokens",
            "cache_write_12h_tokens",
        ),
    ),
    "input_audio_tokens": (("cache_read_audio_tokens",),),
    "input_image_tokens": (("cache_read_image_tokens",),),
}
