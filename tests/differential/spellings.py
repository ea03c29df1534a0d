"""Names that a catalogue's rules are for: every plain text, and generated ones for prefixes, patterns and the like."""

import re
from collections.abc import Iterator
from functools import cache

from tallybook.pricing.catalogue.names import ModelNames, Names, ProviderNames, Rule
from tests.catalogue import snapshot

NAMES = Names(snapshot().providers)

_SYNTAX = [
    (r"\d{8}", "20260401"),
    (r"\d{4}-\d{2}-\d{2}", "2026-04-01"),
    (r"\d", "7"),
    (r"(-20260401)?", "-20260401"),
    ("(typesafe/)?", "typesafe/"),
    ("[-@]", "@"),
]


def spellings(rule: Rule) -> list[str]:
    """Names like those the rule is for. Most, not all, fit: a rule of several parts may exclude some."""
    match rule.kind:
        case "any" | "all":
            return [name for part in rule.rules for name in spellings(part)]
        case "equals":
            return [rule.text]
        case "prefix":
            return [rule.text, f"{rule.text}-x", f"{rule.text}-tts"]
        case "suffix":
            return [rule.text, f"x-{rule.text}"]
        case "contains":
            return [rule.text, f"x-{rule.text}-y"]
        case "regex":
            return [_like(rule.text)]


def model_spellings(model: ModelNames) -> Iterator[str]:
    """Names like those of a model and its own id: also in capitals, with a date, and with dates written together."""
    names = [model.id, *spellings(model.rule)]
    yield from dict.fromkeys([*names, *(_DASHED_DATE.sub(r"-\1\2\3", name) for name in names)])
    yield model.id.upper()
    yield f"{model.id}-20251231"


@cache
def names_by_model() -> dict[tuple[str, str], str]:
    """A name by which each model is found. Not all are found by their own id."""
    return {
        (provider.id, model.id): next(name for name in model_spellings(model) if _is_named(provider.id, model.id, name))
        for provider in snapshot().providers
        for model in provider.models
    }


def provider_spellings(provider: ProviderNames) -> list[str]:
    """Names like those of a provider; the last is none's."""
    names = [] if provider.rule is None else spellings(provider.rule)
    return [provider.id, provider.id.upper(), f" {provider.id} ", *names, f"{provider.id}-x"]


def _is_named(provider_id: str, model_id: str, name: str) -> bool:
    named = NAMES.model(provider_id, name.lower())
    return named is not None and named.model == model_id


def _like(pattern: str) -> str:
    for syntax, text in _SYNTAX:
        pattern = pattern.replace(syntax, text)
    return re.sub(r"\\(.)", r"\1", pattern.strip("^$"))


_DASHED_DATE = re.compile(r"-(\d{4})-(\d{2})-(\d{2})")
