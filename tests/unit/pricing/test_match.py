"""Which names a price means, and which of several prices is meant most closely."""

import time

import pytest

from tallybook.pricing.match import BadPattern, Match, closeness, name_test, provider_fits, split_provider


@pytest.mark.parametrize(
    ("match", "model", "name", "meant"),
    [
        (Match.EQUALS, "gpt-4o", "gpt-4o", True),
        (Match.EQUALS, "GPT-4o", "gpt-4o", True),
        (Match.EQUALS, "gpt-4o", "gpt-4o-mini", False),
        (Match.PREFIX, "GPT-4o", "gpt-4o-2024-08-06", True),
        (Match.PREFIX, "gpt-4o", "my-gpt-4o", False),
        (Match.REGEX, "GPT-4o(-2024.*)?", "gpt-4o-2024-08-06", True),
        (Match.REGEX, "gpt-4o", "gpt-4o-mini", False),
        (Match.REGEX, "gpt-4o", "my-gpt-4o", False),
        (Match.REGEX, ".*", "", True),
        (Match.EQUALS, "gpt-4o", "", False),
    ],
)
def test_names(match: Match, model: str, name: str, meant: bool) -> None:
    assert name_test(match, model)(name) is meant


@pytest.mark.parametrize("pattern", ["a(", "(?=a)b", r"(a)\1", "a{1001}", "((a{100}){100}){100}", "*"])
def test_patterns_that_cannot_be_used(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadPattern, match="is no regular expression"):
        name_test(Match.REGEX, pattern)
    assert capfd.readouterr() == ("", "")


def test_a_pattern_that_explodes_elsewhere_takes_linear_time() -> None:
    test = name_test(Match.REGEX, "(a+)+$")
    started = time.perf_counter()
    assert not test("a" * 255 + "b")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("priced", "named", "fits"),
    [
        (None, None, True),
        (None, "openai", True),
        ("openai", None, True),
        ("openai", "openai", True),
        ("openai", "azure", False),
    ],
)
def test_providers(priced: str | None, named: str | None, fits: bool) -> None:
    assert provider_fits(priced, named) is fits


@pytest.mark.parametrize(
    ("model", "mark", "split"),
    [
        ("openai:gpt-4o", ":", ("openai", "gpt-4o")),
        ("openai:ft:gpt-4o", ":", ("openai", "ft:gpt-4o")),
        ("ft:gpt-4o", ":", (None, "ft:gpt-4o")),
        ("openai", ":", (None, "openai")),
        (":gpt-4o", ":", (None, ":gpt-4o")),
        ("openai/gpt-4o", ":", (None, "openai/gpt-4o")),
        ("openai/gpt-4o", "/", ("openai", "gpt-4o")),
    ],
)
def test_a_known_provider_is_split_off(model: str, mark: str, split: tuple[str | None, str]) -> None:
    assert split_provider(model, mark, {"openai"}.__contains__) == split


def test_from_closest_to_farthest() -> None:
    ranks = [
        closeness(Match.EQUALS, "gpt-4o", same_provider=True),
        closeness(Match.EQUALS, "gpt-4o", same_provider=False),
        closeness(Match.PREFIX, "gpt-4", same_provider=False),
        closeness(Match.PREFIX, "gpt", same_provider=True),
        closeness(Match.REGEX, "gpt-4.*", same_provider=True),
        closeness(Match.REGEX, ".*", same_provider=True),
    ]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)
