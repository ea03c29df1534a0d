"""`tallybook models` against a real server."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallybook.cli.main import main
from tallybook.sdk import exact_json
from tests.serving import ADMIN_KEY, ServerProcess

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(server: ServerProcess) -> Run:
    def command(*words: str) -> Result:
        return CliRunner().invoke(main, ["--url", server.url, "--key", ADMIN_KEY, *words])

    assert command("models", "list").stdout == "no models\n"
    for words in (
        ("--model", "gpt-4o", "--provider", "openai", "--input", "2.5", "--output", "10"),
        ("--model", "whisper-1", "--provider", "openai", "--rate", "audio_seconds=0.36/3600"),
        ("--model", "house", "--input", "0"),
    ):
        assert command("prices", "set", *words).exit_code == 0
    return command


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return exact_json.loads(result.stdout)


def shown(result: Result) -> dict[str, str]:
    """The `name  value` lines of one record."""
    assert result.exit_code == 0, result.output
    return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())


def test_the_list_and_its_filters(run: Run) -> None:
    assert [line.split() for line in run("models", "list").stdout.splitlines()] == [
        ["modelId", "displayName", "modelType", "tier", "inputPerMillion", "outputPerMillion", "perMinute"],
        ["house", "house", "embedding", "free", "0", "-", "-"],
        ["gpt-4o", "gpt-4o", "text", "flagship", "2.5", "10", "-"],
        ["whisper-1", "whisper-1", "audio", "standard", "-", "-", "0.006"],
    ]
    found = answer(run("models", "list", "--provider", "openai", "--tier", "flagship", "--json"))
    assert [model["modelId"] for model in found] == ["gpt-4o"]


def test_one_model(run: Run) -> None:
    assert answer(run("models", "show", "gpt-4o", "--json"))["pricing"]["text"]["inputPerMillion"] == Decimal("2.5")
    assert shown(run("models", "show", "whisper-1"))["perMinute"] == "0.006"
    refused = run("models", "show", "nobody")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no price is in force for a model 'nobody'" in refused.stderr


def test_what_a_call_would_cost(run: Run) -> None:
    words = ("--input", "1000", "--output", "500")
    assert shown(run("models", "calculate", "gpt-4o", *words)) == {
        "modelId": "gpt-4o",
        "modelName": "gpt-4o",
        "estimatedCostUsd": "0.0075",
        "inputPerMillion": "2.5",
        "outputPerMillion": "10",
    }
    assert answer(run("models", "calculate", "whisper-1", "--seconds", "12.5", "--json"))["estimatedCostUsd"] == (
        Decimal("0.00125")
    )
    assert run("models", "calculate", "gpt-4o", "--input", "1", "--cached", "2").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("list", "--tier", "golden"),
        ("calculate", "gpt-4o", "--input", "-1"),
        ("calculate", "gpt-4o", "--input", "1.5"),
        ("calculate", "whisper-1", "--seconds", "1.0000001"),
        ("calculate", "whisper-1", "--seconds", "long"),
    ],
)
def test_nonsense_is_refused_before_it_is_sent(run: Run, words: tuple[str, ...]) -> None:
    assert run("models", *words).exit_code == 2
