"""Usage out of published answers of many providers: totals inclusive, nothing counted twice, nothing silently 0."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.catalogues.extraction import read_answer
from tallybook.core.counters import PARTS
from tallybook.metering.answers import UnreadableAnswer
from tests.golden.test_costs import CASES, Case, usage_of

DATA = Path(__file__).parents[2] / "data"
PUBLISHED = json.loads((DATA / "provider_answers.json").read_text(), parse_float=Decimal)
REPORTED = [case for case in CASES if case.reported_as is not None and not case.name.startswith("credits vector")]

TOLD_ELSEWHERE = {
    "gpt-4.1 response with one web search": {"web_searches"},  # an output item
    # For how long the cache was written stands in the request, where an answer does not split it.
    "Claude Sonnet 4.5, a book written to the cache, just below 200k": {"cache_write_5m_tokens"},
    "Claude Sonnet 4.5, a book written to the cache for an hour": {"cache_write_1h_tokens"},
}


def answer_of(case: Case) -> Mapping[str, Any]:
    """The usage as published inside an answer of its kind."""
    told = case.reported_as
    assert told is not None
    if case.provider == "google":
        return {"usage_metadata" if "prompt_token_count" in told else "usageMetadata": told}
    if case.provider == "cohere" and "embed" in case.model:
        return {"meta": told}
    if "input_token_details" in told and "type" not in told:
        return {"type": "response.done", "response": {"usage": told}}
    return {"usage": told, "choices": []} if "completion_tokens" in told else {"usage": told}


def above_zero(usage: Mapping[str, int] | None) -> dict[str, int]:
    return {name: amount for name, amount in (usage or {}).items() if amount}


@pytest.mark.parametrize("case", REPORTED, ids=[case.name for case in REPORTED])
def test_the_answers_of_the_golden_costs(case: Case) -> None:
    told = read_answer(answer_of(case), case.provider, case.model)
    elsewhere = TOLD_ELSEWHERE.get(case.name, set())
    expected = {name: amount for name, amount in above_zero(usage_of(case)).items() if name not in elsewhere}
    assert above_zero(told.usage) == expected


@pytest.mark.parametrize("published", PUBLISHED, ids=[each["name"] for each in PUBLISHED])
def test_published_answers(published: Mapping[str, Any]) -> None:
    told = read_answer(published["answer"], published["provider"], None)
    assert (told.usage is None) == (published["usage"] is None)
    assert above_zero(told.usage) == (published["usage"] or {})
    assert (told.model, told.service_tier) == (published.get("model"), published.get("service_tier"))


def test_the_answers_are_of_many_providers() -> None:
    assert len({case.provider for case in REPORTED} | {each["provider"] for each in PUBLISHED}) >= 14
    assert all(each["source"].startswith("https://") for each in PUBLISHED)


@pytest.mark.parametrize("case", REPORTED, ids=[case.name for case in REPORTED])
def test_totals_include_their_parts(case: Case) -> None:
    usage = read_answer(answer_of(case), case.provider, case.model).usage or {}
    for total, groups in PARTS.items():
        for parts in groups:
            assert sum(usage.get(part, 0) for part in parts) <= usage.get(total, 0)


GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 5}
CLAUDE = {"input_tokens": 10, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 200, "output_tokens": 25}
COMPACTION = {"type": "compaction", "input_tokens": 100, "output_tokens": 50}
CHAT = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"model": "gpt-4o", "choices": []}, id="no usage"),
        pytest.param({"choices": [], "usage": None}, id="usage that is null"),
        pytest.param({"choices": [], "usage": {}}, id="an empty usage"),
        pytest.param({"usage": {"prompt_tokens": None, "details": {"cached": None}}}, id="nothing but nulls"),
        pytest.param([], id="a stream without chunks"),
        pytest.param([{"choices": [{"delta": {"content": "a"}}], "usage": None}], id="a stream without usage"),
        pytest.param([{"type": "response.created", "response": {"usage": None}}], id="a response broken off"),
    ],
)
def test_an_answer_without_usage_tells_none(answer: Any) -> None:
    assert read_answer(answer, "openai", None).usage is None


@pytest.mark.parametrize(
    ("provider", "answer", "words"),
    [
        ("openai", "text", "must be an answer's object"),
        ("openai", 5, "must be an answer's object"),
        ("openai", ["text"], "must be a list of objects"),
        ("openai", {"choices": [], "usage": {"prompt_tokens": 5}}, "usage.completion_tokens"),
        ("openai", {"usage": {"tokens": 5}}, "Missing value at `usage."),
        ("openai", {"usage": {**CHAT, "prompt_tokens": -1}}, "usage.prompt_tokens must not be negative"),
        ("openai", {"usage": {**CHAT, "unheard_of": {"x": -1}}}, "usage.unheard_of.x must not be negative"),
        ("openai", {"usage": {**CHAT, "prompt_tokens": "10"}}, "usage.prompt_tokens"),
        ("openai", {"usage": {**CHAT, "prompt_tokens": True}}, "input_tokens"),
        ("openai", {"usage": {**CHAT, "prompt_tokens": Decimal("1.5")}}, "input_tokens must be a whole number"),
        (
            "openai",
            {"usage": {**CHAT, "prompt_tokens_details": {"cached_tokens": "4"}}},
            "must be a number",
        ),
        ("openai", {"usage": {**CHAT, "prompt_tokens": 2**53}}, "input_tokens must be at most 9007199254740991"),
        ("openai", {"usage": {**CHAT, "prompt_tokens": 2**64}}, "input_tokens must be at most 9007199254740991"),
        (
            "openai",
            {"usage": {"type": "duration", "seconds": Decimal("9007199254.740992")}},
            "audio_seconds must be at most 9007199254",
        ),
        ("openai", {"usage": CHAT, "tool_usage": {"web_search": {"num_requests": -1}}}, "web_searches"),
        (
            "openai",
            {"usage": CHAT, "tool_usage": {"web_search": {"num_requests": Decimal("Infinity")}}},
            "web_searches",
        ),
        (
            "google",
            {"usageMetadata": {**GEMINI, "promptTokensDetails": [{"modality": 5, "tokenCount": []}]}},
            "usageMetadata.promptTokensDetails.0.modality must be a text",
        ),
        (
            "google",
            {"usageMetadata": {**GEMINI, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": []}]}},
            "usageMetadata.promptTokensDetails.AUDIO.tokenCount must be a number",
        ),
        (
            "anthropic",
            {"usage": {**CLAUDE, "iterations": [{**COMPACTION, "input_tokens": Decimal("9e999999")}] * 2}},
            "usage.iterations.0.input_tokens must have at most 38 digits",
        ),
        (
            "anthropic",
            {"usage": {**CLAUDE, "iterations": [{"type": "message"}, {"type": 5}]}},
            "usage.iterations.1.type must be a text",
        ),
        (
            "anthropic",
            {"usage": {**CLAUDE, "iterations": [COMPACTION, {**COMPACTION, "input_tokens": "5"}]}},
            "usage.iterations.compaction.input_tokens must be a number",
        ),
        (
            "openai",
            {"model": "gpt-4o", "usage": {"prompt_tokens": 10, "completion_tokens": "5"}},
            "usage.completion_tokens",
        ),
        ("anthropic", {"usage": {"input_tokens": 1}}, "usage.output_tokens"),
        (
            "openai",
            [
                {"type": "response.done", "response": {"id": one, "usage": {"input_tokens": 1, "output_tokens": 1}}}
                for one in ("resp_1", "resp_2")
            ],
            "holds several answers",
        ),
    ],
)
def test_what_is_not_as_documented_is_told(provider: str, answer: Any, words: str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        read_answer(answer, provider, None)
    assert words in str(caught.value)


def test_numbers_that_nothing_reads_are_named() -> None:
    usage = {
        **CHAT,
        "video_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 4, "video_tokens": 3},
        "prompt_time": 1,
    }
    told = read_answer(
        {"choices": [], "usage": usage, "tool_usage": {"web_search": {"num_requests": 2}}}, "openai", None
    )
    assert told.usage == {"input_tokens": 10, "cache_read_tokens": 4, "output_tokens": 5, "web_searches": 2}
    assert told.unread == ["usage.video_tokens", "usage.prompt_tokens_details.video_tokens"]


@pytest.mark.parametrize(
    ("provider", "usage", "unread"),
    [
        (
            "google",
            {"usageMetadata": {**GEMINI, "promptTokensDetails": [{"modality": "SCENT", "tokenCount": 7}]}},
            ["usageMetadata.promptTokensDetails.SCENT.tokenCount"],
        ),
        (
            "anthropic",
            {"usage": {**CLAUDE, "iterations": [{"type": "advice", "input_tokens": 7}, {"input_tokens": 8}]}},
            ["usage.iterations.advice.input_tokens", "usage.iterations.1.input_tokens"],
        ),
        # What is told of each message is told of all above.
        (
            "anthropic",
            {
                "usage": {
                    **CLAUDE,
                    "iterations": [
                        {"type": "message", "input_tokens": 4, "output_tokens": 20, "cache_read_input_tokens": 300},
                        {"type": "message", "input_tokens": 6, "output_tokens": 5, "cache_creation_input_tokens": 200},
                    ],
                }
            },
            [],
        ),
        (
            "openai",
            {"usage": {**CHAT, "by_step": [{"dream_tokens": 7}, 8]}},
            ["usage.by_step.0.dream_tokens", "usage.by_step.1"],
        ),
    ],
)
def test_numbers_in_lists_are_named_too(provider: str, usage: Mapping[str, Any], unread: list[str]) -> None:
    assert read_answer(usage, provider, None).unread == unread


def test_every_compaction_of_an_answer_is_counted() -> None:
    more = {"type": "compaction", "input_tokens": 1000, "output_tokens": 500, "cache_read_input_tokens": 7}
    told = read_answer({"usage": {**CLAUDE, "iterations": [COMPACTION, more, {"type": "message"}]}}, "anthropic", None)
    assert told.usage == {
        "input_tokens": 1617,
        "cache_read_tokens": 307,
        "cache_write_tokens": 200,
        "output_tokens": 575,
    }
    assert told.unread == []


@pytest.mark.parametrize("provider", ["house", None, "together", "novita"])
def test_a_provider_that_the_library_cannot_read_is_read_as_openais(provider: str | None) -> None:
    told = read_answer({"choices": [], "usage": CHAT}, provider, "llama")
    assert told.usage == {"input_tokens": 10, "output_tokens": 5}


def test_the_provider_may_stand_before_the_model() -> None:
    usage = {"input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 1}
    told = read_answer({"usage": usage}, None, "anthropic:claude-sonnet-5")
    assert told.usage == {"input_tokens": 7, "cache_read_tokens": 5, "output_tokens": 1}


def test_seconds_of_a_transcription() -> None:
    told = read_answer({"text": "hi", "usage": {"type": "duration", "seconds": Decimal("12.5")}}, "openai", "whisper-1")
    assert told.usage == {"audio_seconds": 12_500_000}


def test_the_size_of_the_search_context_is_told() -> None:
    assert read_answer({"usage": {**CHAT, "search_context_size": "low"}}, "perplexity", None).context_level == "low"
