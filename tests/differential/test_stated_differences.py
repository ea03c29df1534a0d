"""What is stated as a difference is one: nothing is missing in the lists, and nothing in them is out of date."""

from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot

from tallybook.catalogues.genai_prices import CONTEXT_OF, COUNTER_OF, without_dust
from tallybook.core.money import PICO_PER_USD
from tallybook.core.time_window import parse_instant
from tallybook.pricing.cost import Pricing
from tallybook.pricing.price import Mode
from tests.differential import oracle
from tests.differential.comparison import rating
from tests.differential.spellings import names_by_model
from tests.differential.stated_differences import (
    CONTEXTS_LEFT_OUT,
    DUST,
    MINIMUM_SECONDS,
    RESELLERS,
    STARTS,
    UNITS_LEFT_OUT,
)

MODELS = {(provider.id, model.id): model for provider in oracle.PROVIDERS for model in provider.models}
OTHER_MODES = [mode for mode in Mode if mode is not Mode.STANDARD]
NOW_US = parse_instant("2026-11-22T00:00:00Z")
MILLION = {"input_tokens": 10**6, "output_tokens": 10**6, "audio_seconds": 10**6, "characters": 10**6}


def is_without_price(provider_id: str, name: str, mode: Mode, at_us: int) -> bool:
    ours = rating(provider_id, name, mode, at_us, MILLION)
    return ours.price_id is None and ours.pricing is Pricing.UNPRICED and ours.known_cost_pico == 0


def is_charged_as_standard(provider_id: str, name: str, mode: Mode, at_us: int) -> bool:
    """By the library."""
    totals = {oracle.total_usd(provider_id, name, CONTEXT_OF[each], at_us, MILLION) for each in (Mode.STANDARD, mode)}
    return len(totals) == 1


def test_dust() -> None:
    dusty = {
        (provider_id, model_id, unit, usd, without_dust(usd))
        for (provider_id, model_id), model in MODELS.items()
        for sheet in oracle.sheets(model)
        for unit, rate in oracle.stated_rates(sheet)
        for usd in oracle.amounts(rate)
        if usd != without_dust(usd)
    }
    assert dusty == {
        (*key, Decimal(raw), Decimal(clean)) for key, rates in DUST.items() for raw, clean in rates.items()
    }


def test_units_left_out() -> None:
    left_out = {
        (unit, provider_id, model_id)
        for (provider_id, model_id), model in MODELS.items()
        for unit in oracle.all_rated_units(model) - COUNTER_OF.keys()
    }
    assert left_out == {
        (unit, provider_id, model_id)
        for unit, providers in UNITS_LEFT_OUT.items()
        for provider_id, models in providers.items()
        for model_id in models.split()
    }


def test_contexts_left_out() -> None:
    of_modes = {("service_tier", "default"), *(item for context in CONTEXT_OF.values() for item in context.items())}
    assert set(CONTEXTS_LEFT_OUT) == {
        (provider_id, model_id, *item)
        for (provider_id, model_id), model in MODELS.items()
        for variant in model.price_variants or ()
        for item in variant.when.items() - of_modes
        if vars(variant.prices)
    }


def test_first_dates() -> None:
    for (provider_id, model_id, mode), start_us in STARTS.items():
        name = names_by_model()[provider_id, model_id]
        assert is_without_price(provider_id, name, mode, start_us - 1)
        assert is_charged_as_standard(provider_id, name, mode, start_us - 1)
        assert not is_without_price(provider_id, name, mode, start_us)
    assert set(STARTS) == {
        (provider_id, model_id, mode)
        for (provider_id, model_id), model in MODELS.items()
        for mode in OTHER_MODES
        if (variants := oracle.variants(model, mode)) and all(variant.constraint for variant in variants)
        if oracle.all_rated_units(model) & COUNTER_OF.keys()
    }


def test_modes_that_nothing_is_said_of() -> None:
    for (provider_id, model_id), model in MODELS.items():
        name = names_by_model()[provider_id, model_id]
        for mode in set(OTHER_MODES) - set(oracle.modes(model)):
            assert is_without_price(provider_id, name, mode, NOW_US)
            assert is_charged_as_standard(provider_id, name, mode, NOW_US)


def test_resellers() -> None:
    resold = {
        (seller.id, maker_id): seller
        for seller in oracle.PROVIDERS
        for maker_id in seller.fallback_model_providers or ()
    }
    assert set(RESELLERS) == set(resold)
    for (provider_id, model_id), model in MODELS.items():
        name = names_by_model()[provider_id, model_id]
        for seller in (seller for (_, maker_id), seller in resold.items() if maker_id == provider_id):
            if get_snapshot().find_provider_model(name, seller, None, None)[1] is model:
                for mode in OTHER_MODES:
                    assert is_without_price(seller.id, name, mode, NOW_US)
                    assert is_charged_as_standard(seller.id, name, mode, NOW_US)


def test_short_audio() -> None:
    for (provider_id, model_id), seconds in MINIMUM_SECONDS.items():
        for stored, is_equal in ((10**6 * seconds - 1, False), (10**6 * seconds, True)):
            usage = {"audio_seconds": stored}
            theirs_pico = oracle.total_usd(provider_id, model_id, {}, NOW_US, usage) * PICO_PER_USD
            ours_pico = rating(provider_id, model_id, Mode.STANDARD, NOW_US, usage).known_cost_pico
            assert (abs(ours_pico - theirs_pico) < 1) == is_equal
