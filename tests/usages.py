"""Usages for tests: told as counts of kinds of tokens that do not overlap, or drawn at random."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from random import Random

# Kinds of tokens, each with the units that may pay for it, nearest first; a token counts under all of them.
# (`cache_read` comes before `audio`: what is both and has no rate of its own is charged as cached.)
KINDS: Mapping[str, tuple[str, ...]] = {
    "text": ("input_tokens",),
    "cached": ("cache_read_tokens", "input_tokens"),
    "written": ("cache_write_tokens", "input_tokens"),
    "written for 5 minutes": ("cache_write_5m_tokens", "cache_write_tokens", "input_tokens"),
    "written for half an hour": ("cache_write_30m_tokens", "cache_write_tokens", "input_tokens"),
    "written for an hour": ("cache_write_1h_tokens", "cache_write_tokens", "input_tokens"),
    "written for half a day": ("cache_write_12h_tokens", "cache_write_tokens", "input_tokens"),
    "audio": ("input_audio_tokens", "input_tokens"),
    "image": ("input_image_tokens", "input_tokens"),
    "cached audio": ("cache_read_audio_tokens", "cache_read_tokens", "input_audio_tokens", "input_tokens"),
    "cached image": ("cache_read_image_tokens", "cache_read_tokens", "input_image_tokens", "input_tokens"),
    "answer": ("output_tokens",),
    "thought": ("reasoning_tokens", "output_tokens"),
    "spoken": ("output_audio_tokens", "output_tokens"),
    "painted": ("output_image_tokens", "output_tokens"),
}
HIDDEN: Mapping[str, tuple[str, ...]] = {
    "written audio": ("cache_write_tokens", "input_audio_tokens", "input_tokens"),
    "spoken thought": ("reasoning_tokens", "output_audio_tokens", "output_tokens"),
}
"""Natures that overlap though no counter says how far."""

ALL_KINDS: Mapping[str, tuple[str, ...]] = {**KINDS, **HIDDEN}


OTHERS = ("audio_seconds", "characters", "web_searches", "images", "units")
"""What is billed and no token."""


def usage_of(telling: Mapping[str, int]) -> dict[str, int]:
    """The totals, with their parts in them, that so many tokens of each kind add up to."""
    usage: Counter[str] = Counter()
    for kind, tokens in telling.items():
        for unit in ALL_KINDS[kind]:
            usage[unit] += tokens
    return dict(usage)


def random_usage(random: Random, context: int, likely: Container[str] = ()) -> dict[str, int]:
    """A usage of so many input tokens, of any kinds; of the counters that are no tokens rather the `likely` ones."""
    telling = dict(_parts(random, context))
    telling |= {kind: random_count(random) for kind in random.sample(_OUTPUT_KINDS, random.randrange(4))}
    others = {name: random_count(random) for name in OTHERS if random.random() < (0.5 if name in likely else 0.05)}
    requests = {"requests": 1} if random.random() < 0.5 else {}
    return usage_of(telling) | others | requests


def random_count(random: Random) -> int:
    """Of any order of magnitude, up to beyond what one call can use."""
    return random.randrange(1 << random.randrange(1, 45))


def _parts(random: Random, context: int) -> Iterator[tuple[str, int]]:
    *kinds, last = random.sample(_INPUT_KINDS, random.randrange(1, 5))
    for kind in kinds:
        part = random.randint(0, context)
        context -= part
        yield kind, part
    yield last, context


_INPUT_KINDS = [kind for kind, counters in ALL_KINDS.items() if counters[-1] == "input_tokens"]
_OUTPUT_KINDS = [kind for kind in ALL_KINDS if kind not in _INPUT_KINDS]
