"""Whom names mean: the same providers and models as in the library, for every rule of its snapshot."""

import pytest
from genai_prices.data_snapshot import get_snapshot

from tallybook.catalogues.genai_prices import CLAIMED
from tallybook.pricing.catalogue import names as catalogue_names
from tallybook.pricing.catalogue.names import ProviderNames, Rule
from tallybook.pricing.price import Mode
from tests.catalogue import price_book, snapshot
from tests.differential.oracle import PROVIDERS
from tests.differential.spellings import NAMES, model_spellings, provider_spellings, spellings

BOOK = price_book()
MAKERS = {id(model): provider.id for provider in PROVIDERS for model in provider.models}
BY_ID = pytest.mark.parametrize("provider", snapshot().providers, ids=[known.id for known in snapshot().providers])

Meant = tuple[str, str, str] | None
"""Who sells it, and who makes which model."""


def meant_by_the_library(provider: str | None, name: str) -> Meant:
    try:
        seller, model = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    return seller.id, MAKERS[id(model)], model.id


def meant(provider: str | None, name: str) -> Meant:
    """By an event."""
    found = BOOK.resolve("acme", provider=provider, model=name, mode=Mode.STANDARD, at_us=0)
    if found.named is None or found.provider is None:
        return None
    seller = NAMES.provider(found.provider) or ""
    assert found.named.resold == (seller != found.named.provider)
    return seller, found.named.provider, found.named.model


@BY_ID
def test_models_of_a_provider(provider: ProviderNames) -> None:
    for model in provider.models:
        for name in model_spellings(model):
            assert meant(provider.id, name) == meant_by_the_library(provider.id, name), name


@BY_ID
def test_models_without_a_provider(provider: ProviderNames) -> None:
    for model in provider.models:
        for name in model_spellings(model):
            before, colon, after = name.lower().partition(":")
            # The library knows no such names: where it finds anything, the word before the colon is part of the model.
            split = (before, after) if colon and before in NAMES.provider_ids else (claimant(name), name)
            assert meant(None, name) == meant_by_the_library(*split), name


def claimant(name: str) -> str | None:
    """The maker that names are known by here, and not in the library."""
    return next((maker for maker, texts in CLAIMED.items() if name.lower().startswith(texts)), None)


def test_the_library_lets_nobody_claim_these() -> None:
    for texts in CLAIMED.values():
        for text in texts:
            assert meant_by_the_library(None, f"{text}x") is None


def test_an_embedding_needs_no_provider() -> None:
    assert meant(None, "text-embedding-3-small") == ("openai", "openai", "text-embedding-3-small")


@BY_ID
def test_other_words_for_a_provider(provider: ProviderNames) -> None:
    for word in provider_spellings(provider):
        for model in (provider.models[0], provider.models[-1]):
            assert meant(word, model.id) == meant_by_the_library(word, model.id), word
            assert meant("LiteLLM", f"{word}/{model.id}") == meant_by_the_library("LiteLLM", f"{word}/{model.id}"), word
            unclaimed = claimant(model.id) or "litellm"
            assert meant("litellm", model.id) == meant_by_the_library(unclaimed, model.id), model.id


def test_there_is_a_name_for_every_rule() -> None:
    rules = [rule for provider in snapshot().providers for model in provider.models for rule in parts(model.rule)]
    for rule in rules:
        assert any(catalogue_names.test_of(rule)(name.lower()) for name in spellings(rule)), rule


def parts(rule: Rule) -> list[Rule]:
    return [rule, *(each for part in rule.rules for each in parts(part))]
