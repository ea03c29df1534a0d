"""How each provider's answers tell their usage: the definitions of the `genai-prices` library, and a few of our own.

Run as a process of its own, which writes them without the prices: the library's whole data takes a second to load and
a hundred megabytes, of which these are the hundredth part.
"""

import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ArrayMatch, ClauseEquals, Provider, UsageExtractor, UsageExtractorMapping

TOOLS = "tools"
"""The flavour of what answers tell of their tools, which is read on top of their usage."""


def _read(path: str, dest: str, *, required: bool = True) -> UsageExtractorMapping:
    return UsageExtractorMapping(path=path.split("."), dest=dest, required=required)


ADDED: Mapping[str, Sequence[UsageExtractor]] = {
    "openai": [
        # https://platform.openai.com/docs/api-reference/audio/json-object: details in the singular
        UsageExtractor(
            api_flavor="transcription",
            root="usage",
            mappings=[
                _read("input_tokens", "input_tokens"),
                _read("input_token_details.audio_tokens", "input_audio_tokens"),
                _read("input_token_details.text_tokens", "input_text_tokens", required=False),
                _read("output_tokens", "output_tokens"),
            ],
        ),
        # https://platform.openai.com/docs/api-reference/responses/object: `tool_usage` beside `usage`
        UsageExtractor(
            api_flavor=TOOLS,
            root="tool_usage",
            mappings=[_read("web_search.num_requests", "web_searches", required=False)],
        ),
    ],
    "mistral": [
        # https://docs.mistral.ai/capabilities/audio_transcription: billed by the second; the tokens are no extra
        UsageExtractor(
            api_flavor="transcription",
            root="usage",
            mappings=[
                _read("prompt_audio_seconds", "audio_seconds"),
                _read("prompt_tokens", "input_text_tokens"),
                _read("completion_tokens", "output_text_tokens"),
            ],
        )
    ],
    "voyageai": [
        # https://docs.voyageai.com/reference/embeddings-api
        UsageExtractor(api_flavor="embeddings", root="usage", mappings=[_read("total_tokens", "input_tokens")])
    ],
}
"""By provider, answers that the library knows nothing of."""


def _of_compaction(field: str, dest: str) -> UsageExtractorMapping:
    iteration = ArrayMatch("array-match", "type", ClauseEquals("compaction"))
    return UsageExtractorMapping(path=["iterations", iteration, field], dest=dest, required=False)


ADDED_FIELDS: Mapping[tuple[str, str], Sequence[UsageExtractorMapping]] = {
    # https://platform.claude.com/docs/en/build-with-claude/compaction: billed, and not in the top-level counts
    ("anthropic", "default"): [
        _of_compaction("input_tokens", "input_tokens"),
        _of_compaction("cache_creation_input_tokens", "input_tokens"),
        _of_compaction("cache_read_input_tokens", "input_tokens"),
        _of_compaction("cache_creation_input_tokens", "cache_write_tokens"),
        _of_compaction("cache_read_input_tokens", "cache_read_tokens"),
        _of_compaction("output_tokens", "output_tokens"),
    ],
    # https://docs.x.ai/developers/tools/overview: searches are billed by the call
    ("x-ai", "responses"): [
        _read("server_side_tool_usage_details.web_search_calls", "web_searches", required=False),
        _read("server_side_tool_usage_details.x_search_calls", "web_searches", required=False),
    ],
}
"""By provider and answer, what the library does not read of it. Fields of one destination are added up."""


def providers_with_extractors() -> list[Provider]:
    """Every provider, without its models."""
    return [replace(provider, models=[], extractors=_extractors_of(provider)) for provider in get_snapshot().providers]


def _extractors_of(provider: Provider) -> list[UsageExtractor]:
    known = [
        replace(each, mappings=[*each.mappings, *ADDED_FIELDS.get((provider.id, each.api_flavor), ())])
        for each in provider.extractors or ()
    ]
    return [*known, *ADDED.get(provider.id, ())]


if __name__ == "__main__":
    pickle.dump(providers_with_extractors(), sys.stdout.buffer)
