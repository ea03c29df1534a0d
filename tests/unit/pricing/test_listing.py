"""The list of models: every priced one once, under a name that leads back to it, with the price of the moment."""

from collections.abc import Iterable
from decimal import Decimal
from functools import cache

import pytest

from tallybook.core.time_window import DAY_US, HOUR_US, parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.catalogue.names import ModelNames, ProviderNames, Rule
from tallybook.pricing.listing import Class, Kind, Model
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, Origin, Price, Rate, Tier, rates_for
from tests.catalogue import price_book, snapshot
from tests.catalogue import prices as catalogue_prices
from tests.unit.pricing.sheets import price, rates

NOON = parse_instant("2026-01-31T12:00:00Z")
NOW = parse_instant("2026-11-22T00:00:00Z")  # about when the shipped catalogue was made


def equals(name: str) -> Rule:
    return Rule("equals", name)


NAMES = (
    ProviderNames(
        "openai",
        None,
        Rule("prefix", "gpt-"),
        (),
        (
            ModelNames("gpt-4o", Rule("prefix", "gpt-4o"), "GPT-4o", 128_000),
            ModelNames("gpt-nameless", equals("openai/gpt-nameless")),
            ModelNames("gpt-unpriced", equals("gpt-unpriced")),
        ),
    ),
    ProviderNames("azure", None, None, (), (ModelNames("gpt-4o", equals("gpt-4o"), "GPT-4o of Azure"),)),
)


def listed(provider: str, model: str) -> Price:
    return price(None, provider=provider, model=model, origin=Origin.CATALOGUE)


CATALOGUE = (listed("openai", "gpt-4o"), listed("openai", "gpt-nameless"), listed("azure", "gpt-4o"))


def book_of(*own: Price) -> PriceBook:
    def load(owner: str | None) -> Iterable[Price]:
        return [each for each in (*CATALOGUE, *own) if each.org_id == owner]

    return PriceBook(load, lambda: NAMES)


def models(*own: Price, at_us: int = NOON) -> dict[str, Model]:
    found = book_of(*own).models("acme", at_us)
    assert len({model.id.lower() for model in found}) == len(found)
    return {model.id: model for model in found}


# The shipped catalogue.


@cache
def shipped() -> list[Model]:
    return price_book().models("acme", NOW)


def test_every_listed_id_leads_back_to_its_model() -> None:
    book = price_book()
    assert len(shipped()) > 2_000
    assert [book.model("acme", model.id, NOW) for model in shipped()] == shipped()
    for model in shipped():
        usage = dict.fromkeys(model.price.rates, 1000)
        rating = book.rating(
            "acme", provider=None, model=model.id, service_tier=None, batch=False, at_us=NOW, usage=usage
        )
        assert rating.price_id == model.price.id


def test_every_model_of_the_catalogue_with_a_price_now_is_listed_once() -> None:
    priced = {
        (known.provider, known.model)
        for known in catalogue_prices().values()
        if known.mode is Mode.STANDARD and known.effective_from_us <= NOW < (known.effective_to_us or NOW + 1)
    }
    found = [(model.price.provider, model.price.model) for model in shipped()]
    assert set(found) == priced
    assert len(found) == len(priced)


def test_a_bare_id_is_the_makers_and_others_name_their_provider() -> None:
    makers = {provider.id for provider in snapshot().providers if provider.claims is not None}
    for model in shipped():
        provider, _, _ = model.id.partition(":")
        assert provider == model.provider or model.provider in makers
    by_id = {model.id: model for model in shipped()}
    assert by_id["gpt-4o"].provider == "openai"
    assert by_id["azure:o1"].provider == "azure"


def test_they_stand_by_provider_and_id() -> None:
    places = [(model.provider or "", model.id) for model in shipped()]
    assert places == sorted(places)


def test_kinds_and_classes_of_well_known_models() -> None:
    told = {model.id: (model.kind, model.tier) for model in shipped()}
    assert told["gpt-4o"] == (Kind.TEXT, Class.FLAGSHIP)
    assert told["gpt-4o-mini"] == (Kind.TEXT, Class.ECONOMY)
    assert told["text-embedding-3-small"] == (Kind.EMBEDDING, Class.ECONOMY)
    assert told["whisper-1"] == (Kind.AUDIO, Class.STANDARD)


# Names.


def test_a_model_goes_by_a_name_its_rule_fits_and_one_without_price_is_left_out() -> None:
    assert list(models()) == ["azure:gpt-4o", "gpt-4o", "openai:openai/gpt-nameless"]
    found = models()["gpt-4o"]
    assert (found.provider, found.title, found.context_window) == ("openai", "GPT-4o", 128_000)
    assert models()["openai:openai/gpt-nameless"].title == "gpt-nameless"


def test_an_own_price_takes_the_place_of_the_catalogues() -> None:
    own = price(model="GPT-4o", provider="OpenAI")
    assert models(own)["gpt-4o"].price is own
    assert models(own)["azure:gpt-4o"].price is CATALOGUE[2]
    for_all = price(model="gpt-4o", provider=None)
    assert {id: each.price for id, each in models(for_all).items() if id.endswith("gpt-4o")} == {
        "gpt-4o": for_all,
        "azure:gpt-4o": for_all,
    }


def test_a_bare_name_that_an_own_price_takes_from_the_maker_is_no_longer_the_makers() -> None:
    own = price(model="gpt-4o", provider="azure")
    found = models(own)
    assert found["openai:gpt-4o"].price is CATALOGUE[0]
    assert found["azure:gpt-4o"].price is own
    assert book_of(own).model("acme", "gpt-4o", NOON) == Model("gpt-4o", "openai", "GPT-4o", 128_000, own)


def test_own_models_are_listed_and_those_of_other_orgs_are_not() -> None:
    found = models(
        price(model="Llama-at-Home", provider="acme-gpu"), price(model="plain"), price("other", model="theirs")
    )
    assert found["Llama-at-Home"].provider == "acme-gpu"
    assert (found["plain"].provider, found["plain"].title) == (None, "plain")
    assert "theirs" not in found


def test_a_name_with_a_colon_is_split_only_behind_a_provider() -> None:
    assert "llama3:8b" in models(price(model="llama3:8b"))
    # Usage that names this has the provider openai, and the price is for none of its models.
    assert "openai:mine" not in models(price(model="openai:mine"))


def test_patterns_price_what_they_fit_and_list_nothing() -> None:
    own = [
        price(model="gpt-4o-", match=Match.PREFIX, provider="openai"),
        price(model="fine-.*", match=Match.REGEX),
    ]
    assert list(models(*own)) == list(models())
    assert book_of(*own).model("acme", "gpt-4o-2024-08-06", NOON) == Model(
        "gpt-4o-2024-08-06", "openai", "GPT-4o", 128_000, own[0]
    )
    assert book_of(*own).model("acme", "fine-tuned", NOON) == Model("fine-tuned", None, "fine-tuned", None, own[1])


def test_an_unknown_model_is_none() -> None:
    assert book_of().model("acme", "nobody", NOON) is None
    assert book_of().model("acme", "gpt-unpriced", NOON) is None


# Time.


def test_only_what_is_in_force_is_listed() -> None:
    coming = price(model="mine", effective_from_us=NOON)
    assert "mine" not in models(coming, at_us=NOON - 1)
    assert models(coming, at_us=NOON)["mine"].price is coming
    batch = price(model="mine", mode=Mode.BATCH)
    assert "mine" not in models(batch)


def test_parts_of_the_day_have_their_price() -> None:
    night = price(model="mine", daily=DailyWindow(22 * HOUR_US, 6 * HOUR_US))
    day = price(model="mine")
    midnight = NOON - NOON % DAY_US
    assert models(day, night, at_us=midnight)["mine"].price is night
    assert models(day, night, at_us=NOON)["mine"].price is day


def test_a_recorded_price_is_seen_after_the_drop() -> None:
    known: list[Price] = []
    book = PriceBook(lambda owner: [each for each in known if each.org_id == owner])
    assert book.models("acme", NOON) == []
    known.append(price(model="mine"))
    assert book.models("acme", NOON) == []
    book.drop("acme")
    assert [model.id for model in book.models("acme", NOON)] == ["mine"]
    assert book.models("other", NOON) == []


# Rates.


@pytest.mark.parametrize(
    ("sheet", "kind"),
    [
        (rates(input="1", output="1"), Kind.TEXT),
        (rates(input="1", output="1", cache_read="0.1", web_searches="1"), Kind.TEXT),
        (rates(output="1"), Kind.TEXT),
        (rates(input="1"), Kind.EMBEDDING),
        (rates(input="1", input_image="1"), Kind.EMBEDDING),
        (rates(input="1", output="1", input_audio="1"), Kind.MULTIMODAL),
        (rates(input="1", output_image="1"), Kind.MULTIMODAL),
        (rates(input="1", output="1", audio_seconds="1"), Kind.MULTIMODAL),
        (rates(audio_seconds="1"), Kind.AUDIO),
        (rates(characters="1"), Kind.AUDIO),
        (rates(images="1"), Kind.IMAGE),
        (rates(web_searches="1"), Kind.OTHER),
    ],
)
def test_the_kind_of_a_model_follows_from_its_rates(sheet: dict[str, Rate], kind: Kind) -> None:
    assert models(price(model="mine", rates=sheet))["mine"].kind is kind


@pytest.mark.parametrize(
    ("usd", "tier"),
    [
        ("75", Class.FLAGSHIP),
        ("2", Class.FLAGSHIP),
        ("1.999999", Class.STANDARD),
        ("0.5", Class.STANDARD),
        ("0.499999", Class.ECONOMY),
        ("0.000000000000000001", Class.ECONOMY),
        ("0", Class.FREE),
    ],
)
def test_the_class_of_a_model_follows_from_its_input_rate(usd: str, tier: Class) -> None:
    assert models(price(model="mine", rates=rates(input=usd)))["mine"].tier is tier
    by_thousand = {"input_tokens": Rate(Decimal(usd) / 1000, 1000)}
    assert models(price(model="mine", rates=by_thousand))["mine"].tier is tier


@pytest.mark.parametrize(("context", "usd"), [(0, "1"), (100, "1"), (101, "2"), (200, "2"), (201, "3")])
def test_the_rates_of_a_long_context_are_those_of_its_tier(context: int, usd: str) -> None:
    rate = Rate(Decimal(1), 10**6, (Tier(100, Decimal(2)), Tier(200, Decimal(3))))
    assert rates_for({"input_tokens": rate}, context) == {"input_tokens": Rate(Decimal(usd), 10**6)}
