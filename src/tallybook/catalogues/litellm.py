"""LiteLLM's price list, `model_prices_and_context_window.json`, read exactly: what it claims, unit by unit."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from tallybook.core.errors import MalformedInput, invalid
from tallybook.core.money import COST_USD_MAX
from tallybook.pricing.comparison import Claim, Opinions, Said
from tallybook.pricing.price import Mode

UNIT_OF: Mapping[str, str] = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "cache_read_input_token_cost": "cache_read_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "output_cost_per_reasoning_token": "reasoning_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "cache_read_input_audio_token_cost": "cache_read_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "cache_read_input_image_token_cost": "cache_read_image_tokens",
    "input_cost_per_audio_per_second": "audio_seconds",
    "input_cost_per_character": "characters",
    "input_cost_per_query": "requests",
    "input_cost_per_request": "requests",
    "ocr_cost_per_page": "units",
}
"""What its fields are for, in words of ours; without a mode and a threshold, which stand behind."""

UNIT_IN_MODE: Mapping[tuple[str, str], str] = {
    ("input_cost_per_second", "audio_transcription"): "audio_seconds",
    ("output_cost_per_image", "image_generation"): "images",
    ("input_cost_per_image", "image_generation"): "images",
}
"""Fields that mean something else elsewhere: a second of a server, an image that is read."""

PROVIDER_OF: Mapping[str, str] = {
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock_converse": "aws",
    "bedrock": "aws",
    "bedrock_mantle": "aws",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "voyage": "voyageai",
    "xai": "x-ai",
}
"""Its words for providers, where ours differ."""

_MODES = {"batches": Mode.BATCH, "priority": Mode.PRIORITY, "flex": Mode.FLEX}
_FIELD = re.compile(r"(?P<base>.+?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<mode>batches|priority|flex))?")
_EXPONENT_MIN = -40  # a rate per second that went through a binary float has twenty decimals and more
_COST = re.compile(r"cost|price")
_QUALITY_AND_SIZE = re.compile(r"(?:([a-z]+)/)?(\d+)-x-(\d+)/(.+)")
_SEARCHES = "search_context_cost_per_query"
_SIZE = "search_context_size_"


class _Entry(NamedTuple):
    name: str
    provider: str
    model: str
    kind: str
    said: Said


def read_litellm(body: bytes) -> Opinions:
    """Raises `MalformedInput` and `InvalidInput`."""
    try:
        entries = msgspec.json.Decoder(float_hook=Decimal).decode(body)
    except (msgspec.DecodeError, ArithmeticError, RecursionError) as error:
        raise MalformedInput(f"the list is not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise invalid("body", msg="must be an object of models by name")
    claims: list[Claim] = []
    unsaid: Counter[str] = Counter()
    for name, fields in entries.items():
        if not isinstance(fields, dict):
            raise invalid("body", name, msg="must be an object")
        if name == "sample_spec":  # explains the fields
            continue
        entry = _entry(name, fields)
        for field, value in fields.items():
            if _COST.search(field):
                found = list(_claims(entry, field, value))
                claims += found
                unsaid[field] += not found and bool(value)
    return Opinions(claims, dict(sorted((field, count) for field, count in unsaid.items() if count)))


def _entry(name: str, fields: Mapping[str, Any]) -> _Entry:
    word = str(fields.get("litellm_provider", ""))
    provider = "google" if word.startswith("vertex_ai") else PROVIDER_OF.get(word, word)
    first, slash, rest = name.partition("/")
    model = rest if slash and first in (word, word.partition("-")[0], provider, "bedrock", "fireworks_ai") else name
    said = Said()
    if image := _QUALITY_AND_SIZE.fullmatch(model):
        quality, width, height, model = image.groups()
        said = Said(image_quality=quality, image_size=f"{width}x{height}")
    return _Entry(name, provider, model, str(fields.get("mode", "")), said)


def _claims(entry: _Entry, field: str, value: Any) -> Iterator[Claim]:
    if field == _SEARCHES and isinstance(value, dict):
        yield from _search_claims(entry, value)
        return
    parts = _FIELD.fullmatch(field)
    if parts is None:
        return
    unit = UNIT_OF.get(parts["base"]) or UNIT_IN_MODE.get((parts["base"], entry.kind))
    if unit is not None and value is not None:
        mode = _MODES.get(parts["mode"], Mode.STANDARD)
        above = int(parts["above"] or 0) * 1000
        yield _claim(entry, field, mode, unit, value, above, entry.said)


def _search_claims(entry: _Entry, levels: Mapping[str, Any]) -> Iterator[Claim]:
    # Perplexity's fee is for the request, whatever it searches; the others' is for each search.
    unit = "requests" if entry.provider == "perplexity" else "web_searches"
    for level, value in levels.items():
        said = Said(context_level=level.removeprefix(_SIZE))
        yield _claim(entry, f"{_SEARCHES}.{level}", Mode.STANDARD, unit, value, 0, said)


def _claim(entry: _Entry, field: str, mode: Mode, unit: str, value: Any, above: int, said: Said) -> Claim:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise invalid("body", entry.name, field, msg="must be a number")
    usd = Decimal(value)
    if not 0 <= usd <= COST_USD_MAX or int(usd.as_tuple().exponent) < _EXPONENT_MIN:
        raise invalid("body", entry.name, field, msg=f"must be between 0 and {COST_USD_MAX}, with at most 40 decimals")
    return Claim(entry.name, field, entry.provider, entry.model, mode, unit, usd, above, said)
