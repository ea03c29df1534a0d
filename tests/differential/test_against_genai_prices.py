"""Every model of the catalogue, in every mode and at any time, costs exactly what `genai-prices` says it does.

Where it does not, on purpose, stands in `stated_differences.py`.
"""

from random import Random

import pytest
from genai_prices.data_snapshot import get_snapshot

from tallybook.core.time_window import parse_instant
from tallybook.pricing.price import Mode
from tests.conftest import LONG
from tests.differential import oracle
from tests.differential.comparison import check
from tests.differential.samples import samples
from tests.differential.spellings import names_by_model
from tests.differential.stated_differences import RESELLERS, STARTS

SAMPLES = 300 if LONG else 3
PROVIDERS = {provider.id: provider for provider in oracle.PROVIDERS}


@pytest.mark.parametrize("provider_id", PROVIDERS)
def test_models_of_a_provider(provider_id: str) -> None:
    for model in PROVIDERS[provider_id].models:
        random = Random(f"{provider_id} {model.id}")
        name = names_by_model()[provider_id, model.id]
        for mode in oracle.modes(model):
            for at_us, usage in samples(random, model, SAMPLES):
                if at_us >= STARTS.get((provider_id, model.id, mode), at_us):
                    check(model, mode, at_us, usage, maker_id=provider_id, seller_id=provider_id, name=name)


@pytest.mark.parametrize(("seller_id", "maker_id"), RESELLERS)
def test_models_that_are_resold(seller_id: str, maker_id: str) -> None:
    for model in PROVIDERS[maker_id].models:
        name = names_by_model()[maker_id, model.id]
        _, sold = get_snapshot().find_provider_model(name, PROVIDERS[seller_id], None, None)
        if sold is model:
            for at_us, usage in samples(Random(name), model, SAMPLES):
                check(model, Mode.STANDARD, at_us, usage, maker_id=maker_id, seller_id=seller_id, name=name)


def test_the_default_tier_costs_what_no_tier_costs() -> None:
    at_us = parse_instant("2026-11-22T00:00:00Z")
    usage = {"input_tokens": 10**6, "cache_read_tokens": 10**5, "output_tokens": 10**6}
    for provider in oracle.PROVIDERS:
        for model in provider.models:
            if any(variant.when == {"service_tier": "default"} for variant in model.price_variants or ()):
                without = oracle.total_usd(provider.id, model.id, {}, at_us, usage)
                assert oracle.total_usd(provider.id, model.id, {"service_tier": "default"}, at_us, usage) == without


def test_audio_costs_the_same_whether_it_is_said_to_come_in_or_not() -> None:
    """So one counter stands for both."""
    for provider in oracle.PROVIDERS:
        for model in provider.models:
            for sheet in oracle.sheets(model):
                rates = dict(oracle.stated_rates(sheet))
                if "input_audio_seconds" in rates:
                    assert rates["input_audio_seconds"] == rates["audio_seconds"]
