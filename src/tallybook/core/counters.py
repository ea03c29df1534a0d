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
    """`number` is the counter's place in the content hash and never changes; `scale` is stored units per real unit."""

    number: int
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
        *(Counter(number, name, billable=True) for number, name in enumerate(billable, start=1)),
        Counter(18, "audio_seconds", MICRO_PER_UNIT, billable=True),
        Counter(19, "characters", MICRO_PER_UNIT, billable=True),
        Counter(20, "units", MICRO_PER_UNIT, billable=True),
        # Measures: a price may have a rate for them, but their lack of one never makes an event unpriced.
        Counter(21, "requests"),
        Counter(22, "bytes"),
        Counter(23, "conversations_created"),
        Counter(24, "items_added"),
        Counter(25, "operations"),
        Counter(26, "files_created"),
        Counter(27, "request_count"),
        Counter(28, "duration_ms"),
        Counter(29, "workspace_bytes_in"),
        Counter(30, "workspace_bytes_out"),
        Counter(31, "files_changed"),
        Counter(32, "oom_killed"),
        Counter(33, "peak_memory_mib", MICRO_PER_UNIT, aggregate=Aggregate.MAX),
        Counter(34, "reserved_memory_mib", aggregate=Aggregate.MAX),
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
