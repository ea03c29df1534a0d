"""Where Tallybook differs from `genai-prices` on purpose: reviewed, each group with its reason, none wider than needed.

The tests of this folder fail on a difference that is not listed here, and on an entry that no longer differs. Reviewed
against genai-prices 0.2.3.
"""

from collections.abc import Mapping, Sequence

from tallybook.core.time_window import parse_instant
from tallybook.pricing.price import Mode

DUST: Mapping[tuple[str, str, str], Mapping[str, str]] = {
    ("huggingface_together", "Qwen/Qwen3-VL-8B-Instruct", "input_tokens"): {"0.18000000000000002": "0.18"},
    ("huggingface_together", "deepseek-ai/DeepSeek-V4-Flash-0731", "input_tokens"): {"0.13999999999999999": "0.14"},
    ("huggingface_together", "deepseek-ai/DeepSeek-V4-Flash-0731", "output_tokens"): {"0.27999999999999997": "0.28"},
    ("huggingface_together", "meta-llama/Llama-3.3-70B-Instruct", "input_tokens"): {"1.0399999999999998": "1.04"},
    ("huggingface_together", "meta-llama/Llama-3.3-70B-Instruct", "output_tokens"): {"1.0399999999999998": "1.04"},
    ("openrouter", "google/gemini-2.5-flash", "cache_write_tokens"): {"0.0833333333333333": "0.0833333333333"},
    ("openrouter", "google/gemini-2.5-flash-image", "cache_write_tokens"): {"0.08333333333333334": "0.0833333333333"},
    ("openrouter", "google/gemini-2.5-flash-lite", "cache_write_tokens"): {"0.08333333333333334": "0.0833333333333"},
    ("openrouter", "google/gemini-2.5-flash-lite:batch", "cache_write_tokens"): {
        "0.04166666666666665": "0.0416666666667"
    },
    ("openrouter", "google/gemini-2.5-flash:batch", "cache_write_tokens"): {"0.04166666666666665": "0.0416666666667"},
    ("openrouter", "google/gemini-3-flash-preview", "cache_write_tokens"): {"0.08333333333333334": "0.0833333333333"},
    ("openrouter", "google/gemini-3-flash-preview:batch", "cache_write_tokens"): {
        "0.04166666666666665": "0.0416666666667"
    },
    ("openrouter", "google/gemini-3.1-flash-lite", "cache_write_tokens"): {"0.08333333333333334": "0.0833333333333"},
    ("openrouter", "google/gemini-3.1-flash-lite:batch", "cache_write_tokens"): {
        "0.04166666666666665": "0.0416666666667"
    },
    ("openrouter", "google/gemini-3.5-flash", "cache_write_tokens"): {"0.08333333333333334": "0.0833333333333"},
    ("openrouter", "google/gemini-3.5-flash-lite", "cache_write_tokens"): {"0.0833333333333333": "0.0833333333333"},
    ("openrouter", "google/gemini-3.5-flash-lite:batch", "cache_write_tokens"): {
        "0.04166666666666665": "0.0416666666667"
    },
    ("openrouter", "google/gemini-3.5-flash:batch", "cache_write_tokens"): {"0.04166666666666665": "0.0416666666667"},
    ("openrouter", "google/gemini-3.6-flash", "cache_write_tokens"): {"0.0416666666666667": "0.0416666666667"},
    ("openrouter", "google/gemini-3.6-flash:batch", "cache_write_tokens"): {"0.0416666666666667": "0.0416666666667"},
    ("openrouter", "google/gemini-3.7-flash", "cache_write_tokens"): {"0.0416666666666667": "0.0416666666667"},
    ("openrouter", "google/gemini-3.7-flash:batch", "cache_write_tokens"): {"0.0416666666666667": "0.0416666666667"},
    ("openrouter", "google/gemini-3.8-flash", "cache_write_tokens"): {"0.041666666666666664": "0.0416666666667"},
    ("openrouter", "google/gemini-3.8-flash:batch", "cache_write_tokens"): {"0.0416666666666667": "0.0416666666667"},
    ("openrouter", "~google/gemini-flash-latest", "cache_write_tokens"): {
        "0.08333333333333334": "0.0833333333333",
        "0.0416666666666667": "0.0416666666667",
    },
}
"""By provider, model and unit: the rate the library has, and the one its source meant.

These rates went through a binary float on their way into the library: 0.18 became 0.18000000000000002, a twelfth
0.08333333333333334.
"""

UNITS_LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "input_video_tokens": {
        "google": "gemini-3.1-flash-live-preview gemini-3.8-live gemini-embedding-2 gemini-live-2.5-flash",
    },
    "output_video_tokens": {
        "google": "gemini-omni-1.1-flash gemini-omni-flash-preview",
    },
    "input_document_pages": {
        "mistral": (
            "mistral-ocr-2503 mistral-ocr-2505 mistral-ocr-2512 mistral-ocr-4-0 mistral-ocr-4-1 mistral-ocr-latest"
        ),
    },
    "input_annotated_document_pages": {
        "mistral": "mistral-ocr-2505 mistral-ocr-2512 mistral-ocr-4-0 mistral-ocr-4-1 mistral-ocr-latest",
    },
    "storage_searches": {
        "openai": (
            "gpt-4.1 gpt-4.1-mini gpt-4o gpt-4o-2024-05-13 gpt-4o-mini gpt-5 gpt-5-mini gpt-5-nano gpt-5-pro "
            "gpt-5.1 gpt-5.2 gpt-5.2-pro gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.4-pro gpt-5.5 gpt-5.5-pro "
            "gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra gpt-6-astra gpt-6-luna gpt-6-sol gpt-6.1-sol gpt-6.1-terra o3 "
            "o3-deep-research o4-mini o4-mini-deep-research"
        ),
    },
    "output_citation_tokens": {
        "perplexity": "sonar-deep-research",
    },
    "input_text_messages": {
        "x-ai": "grok-voice-latest grok-voice-think-fast-1.0 grok-voice-think-fast-2.0",
    },
}
"""By unit and provider, the models with a rate for what no event can report.

Video tokens and citations reach us inside the totals of their direction and cost what those cost. Whatever is not in
tokens (pages, searches of storage, messages) cannot be said, so it cannot be silently free either: a sender would have
to name the cost.
"""

CONTEXTS_LEFT_OUT: Sequence[tuple[str, str, str, str]] = [
    ("openrouter", "mistralai/mistral-large-4-0", "route", "mistral/eu"),
    ("perplexity", "perplexity/sonar", "search_type", "fast"),
]
"""By provider and model, what a request can be besides its mode (a key and its word), of which events say nothing.

They cost what the library charges without such a context.
"""

FIRST_DATES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("anthropic", "batch"): {
        "2026-10-14": (
            "claude-fable-5 claude-fable-5-1 claude-haiku-4-5 claude-haiku-5-5 claude-opus-4-5 claude-opus-4-6 "
            "claude-opus-4-7 claude-opus-4-8 claude-opus-5 claude-opus-5-5 claude-sonnet-4-5 claude-sonnet-4-6 "
            "claude-sonnet-5 claude-sonnet-5-5"
        ),
    },
    ("google", "batch"): {
        "2026-10-14": (
            "gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-flash-tts gemini-2.5-pro gemini-2.5-pro-tts "
            "gemini-3-flash-preview gemini-3-pro-image-preview gemini-3.1-flash-image-preview "
            "gemini-3.1-flash-lite gemini-3.1-flash-lite-image gemini-3.1-pro-preview gemini-3.5-flash-lite "
            "gemini-3.6-flash gemini-3.8-flash gemini-4-argon gemini-embedding-2"
        ),
        "2026-10-15": (
            "gemini-3.1-flash-tts-preview gemini-3.8-flash-lite-tts gemini-3.8-flash-tts gemini-nano-banana-2.1"
        ),
    },
    ("google", "flex"): {
        "2026-10-15": "gemini-3.8-flash-lite-tts gemini-3.8-flash-tts",
    },
    ("google", "priority"): {
        "2026-10-15": "gemini-3.8-flash-lite-tts gemini-3.8-flash-tts",
    },
    ("groq", "batch"): {
        "2026-10-14": "openai/gpt-oss-120b openai/gpt-oss-20b whisper-large-v3 whisper-large-v3-turbo",
    },
    ("mistral", "batch"): {
        "2026-10-14": (
            "codestral codestral-2508 ministral-14b-2512 ministral-3b-2512 ministral-8b-2512 ministral-8b-latest "
            "mistral-embed mistral-large-2512 mistral-large-4 mistral-medium-3-5 mistral-medium-latest "
            "mistral-small-2603 mistral-small-latest voxtral-mini-2602 voxtral-small-24b-2507"
        ),
    },
    ("openai", "batch"): {
        "2026-10-14": (
            "ft:gpt-3.5-turbo- ft:gpt-4o-mini gpt-3.5-turbo gpt-3.5-turbo-1106 gpt-4 gpt-4-turbo gpt-4.1 "
            "gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-2024-05-13 gpt-4o-mini gpt-4o-mini-2024-07-18.ft- gpt-5 "
            "gpt-5-mini gpt-5-nano gpt-5-pro gpt-5.1 gpt-5.2 gpt-5.2-pro gpt-5.4 gpt-5.4-mini gpt-5.4-nano "
            "gpt-5.4-pro gpt-5.5 gpt-5.5-pro gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra gpt-6-astra gpt-6-luna "
            "gpt-6-sol gpt-6.1-sol gpt-image-1 gpt-image-1-mini gpt-image-1.5 gpt-image-2 gpt-image-2.5-flare "
            "gpt-image-2.5-sunburst o1 o1-pro o3 o3-mini o3-pro o4-mini"
        ),
    },
    ("openai", "priority"): {
        "2026-10-12": (
            "gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-2024-05-13 gpt-4o-mini gpt-5 gpt-5-mini gpt-5.1 "
            "gpt-5.2 gpt-5.3-codex gpt-5.4 gpt-5.4-mini gpt-5.5 gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra "
            "gpt-6-astra gpt-6-luna gpt-6-sol gpt-6.1-sol o3 o4-mini"
        ),
    },
    ("openai", "fast"): {
        "2026-10-12": (
            "gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-2024-05-13 gpt-4o-mini gpt-5 gpt-5-mini gpt-5.1 "
            "gpt-5.2 gpt-5.3-codex gpt-5.4 gpt-5.4-mini gpt-5.5 gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra "
            "gpt-6-astra gpt-6-luna gpt-6-sol gpt-6.1-sol o3 o4-mini"
        ),
    },
    ("openai", "flex"): {
        "2026-10-12": (
            "gpt-5 gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.2 gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.4-pro gpt-5.5 "
            "gpt-5.5-pro gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra gpt-6-astra gpt-6-luna gpt-6-sol gpt-6.1-sol o3 "
            "o4-mini"
        ),
    },
    ("x-ai", "batch"): {
        "2026-10-14": "grok-4.20 grok-4.20-multi-agent-0309 grok-4.3",
    },
}
"""By provider and mode, the models whose mode has rates from a first date on.

Before it, the library silently charges the standard rates, up to twice or half of what was due; here such calls are
unpriced.
"""

STARTS: Mapping[tuple[str, str, Mode], int] = {
    (provider_id, model_id, Mode(mode)): parse_instant(f"{day}T00:00:00Z")
    for (provider_id, mode), days in FIRST_DATES.items()
    for day, models in days.items()
    for model_id in models.split()
}
"""The same by provider, model and mode, in microseconds."""

RESELLERS: Sequence[tuple[str, str]] = [
    ("azure", "openai"),
    ("azure", "anthropic"),
    ("azure", "deepseek"),
    ("azure", "x-ai"),
    ("azure", "moonshotai"),
    ("google", "anthropic"),
]
"""Who sells whose models at their prices.

What the makers charge in other modes says nothing of the sellers. The library then silently charges the standard
rates; here such calls are unpriced.
"""

MINIMUM_SECONDS: Mapping[tuple[str, str], int] = {
    ("groq", "whisper-large-v3"): 10,
    ("groq", "whisper-large-v3-turbo"): 10,
}
"""By provider and model, audio is billed as if it were at least so long.

An event may hold many requests, and a rate knows no least quantity. What is missing is at most 0.00031 USD for each
request of less than ten seconds.
"""
