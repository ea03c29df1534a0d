"""The operations of the openai dialect: one row each (contract sections 2, 3.4 and 5)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.analytics.query import Dimension
from tallybook.http.openai import wire

PREFIX = "/v1/organization"

Difference = tuple[str, ...]
"""Measures: the first less all others."""

_KEYED: Mapping[str, Dimension] = {
    "project_id": Dimension.PROJECT_ID,
    "user_id": Dimension.USER_ID,
    "api_key_id": Dimension.API_KEY_ID,
}
_MODELLED = {**_KEYED, "model": Dimension.MODEL}
_CALLED = {**_MODELLED, "batch": Dimension.BATCH, "service_tier": Dimension.SERVICE_TIER}
_SOURCE = {"api_source": Dimension.API_SOURCE}

_REQUESTS: Mapping[str, Difference] = {"num_model_requests": ("requests",)}
_INPUT: Mapping[str, Difference] = {"input_tokens": ("input_tokens",), **_REQUESTS}
_TOKENS: Mapping[str, Difference] = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    **_REQUESTS,
    "input_cached_tokens": ("cache_read_tokens",),
    "input_cache_write_tokens": ("cache_write_tokens",),
    "input_cache_write_30m_tokens": ("cache_write_30m_tokens",),
    "input_cache_write_12h_tokens": ("cache_write_12h_tokens",),
    "input_uncached_tokens": ("input_tokens", "cache_read_tokens", "cache_write_tokens"),
    "input_text_tokens": (
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "uncached_audio_tokens",
        "uncached_image_tokens",
    ),
    "input_audio_tokens": ("uncached_audio_tokens",),
    "input_image_tokens": ("uncached_image_tokens",),
    "input_cached_text_tokens": ("cache_read_tokens", "cache_read_audio_tokens", "cache_read_image_tokens"),
    "input_cached_audio_tokens": ("cache_read_audio_tokens",),
    "input_cached_image_tokens": ("cache_read_image_tokens",),
    "output_text_tokens": ("output_tokens", "output_audio_tokens", "output_image_tokens"),
    "output_audio_tokens": ("output_audio_tokens",),
    "output_image_tokens": ("output_image_tokens",),
}


@dataclass(frozen=True)
class Operation:
    """`numbers` are the counts of a result, each rounded once to a whole one; `groups` its keys to group by."""

    name: str
    summary: str
    kinds: tuple[str, ...]
    params: type[wire.UsageParams]
    numbers: Mapping[str, Difference]
    groups: Mapping[str, Dimension]
    result: str = ""

    @property
    def path(self) -> str:
        return f"{PREFIX}/usage/{self.name}"

    @property
    def object(self) -> str:
        return f"organization.usage.{self.result or self.name}.result"

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(measure for parts in self.numbers.values() for measure in parts))


OPERATIONS = (
    Operation(
        "completions",
        "Completions usage",
        ("completion", "response"),
        wire.CallParams,
        _TOKENS,
        {**_CALLED, **_SOURCE},
    ),
    Operation("decisions", "Decisions usage", ("decision",), wire.CallParams, _TOKENS, {**_CALLED, **_SOURCE}),
    Operation("embeddings", "Embeddings usage", ("embedding",), wire.ModelParams, _INPUT, _MODELLED),
    Operation("moderations", "Moderations usage", ("moderation",), wire.ModelParams, _INPUT, _MODELLED),
    Operation(
        "images",
        "Images usage",
        ("image",),
        wire.ImageParams,
        {"images": ("images",), **_REQUESTS},
        {**_MODELLED, "size": Dimension.IMAGE_SIZE, "source": Dimension.IMAGE_OPERATION},
    ),
    Operation(
        "audio_speeches",
        "Audio speeches usage",
        ("audio_speech",),
        wire.ModelParams,
        {"characters": ("characters",), **_REQUESTS},
        _MODELLED,
    ),
    Operation(
        "audio_transcriptions",
        "Audio transcriptions usage",
        ("audio_transcription",),
        wire.ModelParams,
        {"seconds": ("audio_seconds",), **_REQUESTS},
        _MODELLED,
    ),
    Operation(
        "vector_stores",
        "Vector stores usage",
        ("vector_store",),
        wire.UsageParams,
        {"usage_bytes": ("bytes",)},
        {"project_id": Dimension.PROJECT_ID},
    ),
    Operation(
        "code_interpreter_sessions",
        "Code interpreter sessions usage",
        ("code_interpreter",),
        wire.UsageParams,
        {"num_sessions": ("sessions",)},
        {"project_id": Dimension.PROJECT_ID},
    ),
    Operation(
        "file_search_calls",
        "File search calls usage",
        ("file_search",),
        wire.FileSearchParams,
        {"num_requests": ("requests",)},
        {**_KEYED, "vector_store_id": Dimension.VECTOR_STORE_ID},
        result="file_searches",
    ),
    Operation(
        "web_search_calls",
        "Web search calls usage",
        ("web_search",),
        wire.WebSearchParams,
        {"num_requests": ("web_search_calls",), **_REQUESTS},
        {**_MODELLED, "context_level": Dimension.CONTEXT_LEVEL, **_SOURCE},
        result="web_searches",
    ),
)

COSTS_PATH = f"{PREFIX}/costs"
COSTS_OBJECT = "organization.costs.result"
LINE_ITEM = "line_item"
COST_GROUPS: Mapping[str, Dimension] = {**_KEYED, **_SOURCE}
"""The keys of costs to group by, besides `LINE_ITEM`."""
