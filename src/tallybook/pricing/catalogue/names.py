"""Whom the names in events mean: the catalogue's own rules for providers and models. Pure; case never matters.

The rules and their order are those of `genai-prices`: a provider by its id or its rule, else, where none is
named, the first one that claims the model; then its first model whose rule fits, then those of the providers it
resells.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, NamedTuple

Test = Callable[[str], bool]


@dataclass(frozen=True)
class Rule:
    """What a name must be like: `text` for the simple kinds, `rules` for `any` and `all`."""

    kind: Literal["equals", "prefix", "suffix", "contains", "regex", "any", "all"]
    text: str = ""
    rules: tuple["Rule", ...] = ()

    def __str__(self) -> str:
        if self.rules:
            return f"{self.kind} of ({', '.join(map(str, self.rules))})"
        return f"{self.kind} {self.text!r}"


@dataclass(frozen=True)
class ModelNames:
    """`title` is for people; `context_window` is the most input tokens it takes. Either may be unknown."""

    id: str
    rule: Rule
    title: str | None = None
    context_window: int | None = None


@dataclass(frozen=True)
class ProviderNames:
    """`rule` fits other names of the provider, `claims` the models it made; `resells` are ids of providers."""

    id: str
    rule: Rule | None
    claims: Rule | None
    resells: tuple[str, ...]
    models: tuple[ModelNames, ...]


class Named(NamedTuple):
    """A model of the catalogue. `resold` tells that the provider named sells the model of another one."""

    provider: str
    model: str
    rule: Rule
    resold: bool


class Names:
    """All names of a catalogue, ready to be looked up. Names are given in lower case."""

    def __init__(self, providers: Sequence[ProviderNames]) -> None:
        self._providers = {provider.id: _Provider(provider) for provider in providers}
        self.models = {(provider.id, model.id): model for provider in providers for model in provider.models}
        """By the ids of provider and model."""

    @property
    def provider_ids(self) -> frozenset[str]:
        return frozenset(self._providers)

    def provider(self, name: str) -> str | None:
        """The id of the provider that is called so."""
        name = name.strip()
        if name in self._providers:
            return name
        return next((id for id, known in self._providers.items() if known.is_called(name)), None)

    def claimant(self, model: str) -> str | None:
        """The first-party provider of a model."""
        return next((id for id, known in self._providers.items() if known.claims(model)), None)

    def model(self, provider_id: str, name: str) -> Named | None:
        """The model that a provider sells under the name, also where it writes `-20251231` for `-2025-12-31`."""
        return self._model(provider_id, name) or self._model(provider_id, _COMPACT_DATE.sub(_dashed, name))

    def _model(self, provider_id: str, name: str) -> Named | None:
        provider = self._providers[provider_id]
        if found := provider.model(name):
            return Named(provider_id, found.id, found.rule, resold=False)
        for maker in provider.names.resells:
            if maker in self._providers and (found := self._providers[maker].model(name)):
                return Named(maker, found.id, found.rule, resold=True)
        return None


class _Provider:
    def __init__(self, names: ProviderNames) -> None:
        self.names = names
        self.is_called = _never if names.rule is None else test_of(names.rule)
        self.claims = _never if names.claims is None else test_of(names.claims)
        self._models = [(test_of(model.rule), model) for model in names.models]

    def model(self, name: str) -> ModelNames | None:
        return next((model for test, model in self._models if test(name)), None)


def with_former(newer: Sequence[ProviderNames], former: Sequence[ProviderNames]) -> list[ProviderNames]:
    """A newer list of names and, behind its own, those it no longer has: past usage still goes by them."""
    known = {provider.id: provider for provider in former}
    ids = {provider.id for provider in newer}
    return [
        *(_with_former_models(provider, known.get(provider.id, provider)) for provider in newer),
        *(provider for provider in former if provider.id not in ids),
    ]


def _with_former_models(newer: ProviderNames, former: ProviderNames) -> ProviderNames:
    ids = {model.id for model in newer.models}
    return replace(newer, models=(*newer.models, *(model for model in former.models if model.id not in ids)))


def texts_of(rule: Rule) -> Iterator[str]:
    """The plain texts of a rule, some of which may themselves be names it fits."""
    if rule.text and rule.kind != "regex":
        yield rule.text
    for part in rule.rules:
        yield from texts_of(part)


def fitting_part(rule: Rule, name: str) -> Rule:
    """The part of a rule that a name was found by; the whole rule if the name fits none alone."""
    if rule.kind != "any":
        return rule
    return next((fitting_part(part, name) for part in rule.rules if test_of(part)(name)), rule)


def test_of(rule: Rule) -> Test:
    """Whether a lower-case name is as the rule says."""
    if rule.kind == "any":
        return _any_of(rule.rules)
    if rule.kind == "all":
        tests = [test_of(part) for part in rule.rules]
        return lambda name: all(test(name) for test in tests)
    if rule.kind == "regex":
        # The catalogue's own patterns, with look-ahead, which the engine for callers' patterns has not.
        pattern = re.compile(rule.text)
        return lambda name: pattern.search(name) is not None
    text = rule.text.lower()
    return {
        "equals": lambda name: name == text,
        "prefix": lambda name: name.startswith(text),
        "suffix": lambda name: name.endswith(text),
        "contains": lambda name: text in name,
    }[rule.kind]


def _any_of(rules: Sequence[Rule]) -> Test:
    # Most rules are long lists of plain names.
    plain = frozenset(rule.text.lower() for rule in rules if rule.kind == "equals")
    tests = [test_of(rule) for rule in rules if rule.kind != "equals"]
    return lambda name: name in plain or any(test(name) for test in tests)


def _never(_: str) -> bool:
    return False


_COMPACT_DATE = re.compile(r"(?<=-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)", re.ASCII)


def _dashed(match: re.Match[str]) -> str:
    try:
        return date(*map(int, match.groups())).isoformat()
    except ValueError:  # no such day
        return match[0]
