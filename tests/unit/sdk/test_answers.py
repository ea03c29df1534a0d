"""Events from providers' answers: all that tells the usage, and nothing of what was said."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tallybook.catalogues.extraction import read_answer
from tallybook.sdk import event_from_answer

PUBLISHED = json.loads((Path(__file__).parents[2] / "data" / "provider_answers.json").read_text())


@pytest.mark.parametrize("published", PUBLISHED, ids=[each["name"] for each in PUBLISHED])
def test_what_is_sent_tells_as_much_as_the_answer(published: Mapping[str, Any]) -> None:
    answer, provider = published["answer"], published["provider"]
    sent = event_from_answer(answer, provider=provider)["provider_response"]
    assert read_answer(sent, provider, None) == read_answer(answer, provider, None)


def test_no_text_of_the_conversation_is_sent() -> None:
    said = {"role": "assistant", "content": "secret"}
    answer = {
        "id": "chatcmpl-1",
        "model": "gpt-4o",
        "choices": [{"message": said, "delta": said, "text": "secret"}],
        "output": [said],
        "candidates": [said],
        "response": {"id": "resp_1", "usage": {"input_tokens": 1, "output_tokens": 1}, "output": [said]},
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    assert "secret" not in json.dumps(event_from_answer([answer, answer], provider="openai"))


def test_fields_and_models_of_clients() -> None:
    model = SimpleNamespace(model_dump=lambda: {"usage_metadata": {"prompt_token_count": 3}, "candidates": ["secret"]})
    assert event_from_answer(model, provider="google", user_id="ana") == {
        "provider": "google",
        "provider_response": {"usage_metadata": {"prompt_token_count": 3}},
        "user_id": "ana",
    }


@pytest.mark.parametrize("answer", ["text", b"bytes", 5, None, ["text"]])
def test_what_is_no_answer(answer: Any) -> None:
    with pytest.raises(TypeError, match="an answer must be a mapping"):
        event_from_answer(answer, provider="openai")
