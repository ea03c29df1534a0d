"""Which price an event is rated with: own and common, named and general, yesterday and tomorrow."""

import random
import threading
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from tallybook.core.time_window import DAY_US, parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.catalogue.names import ModelNames, ProviderNames, Rule
from tallybook.pricing.cost import Pricing, Rating
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, Origin, Price, Rate, Tier
from tallybook.pricing.resolution import Resolution
from tests.unit.pricing.sheets import price, rates

NOON = parse_instant("2026-01-31T12:00:00Z")
MILLION = {"input_tokens": 10**6}


class Shelves:
    """Prices by owner, as a store would list them."""

    def __init__(self, *prices: Price) -> None:
        self.prices = list(prices)
        self.loads = 0

    def load(self, owner: str | None) -> Iterable[Price]:
        self.loads += 1
        return [known for known in self.prices if known.org_id == owner]


def priced_by(
    *prices: Price,
    org: str = "acme",
    provider: str | None = None,
    model: str | None = "gpt-4o",
    tier: str | None = None,
    at_us: int = NOON,
) -> str | None:
    rating = rate(PriceBook(Shelves(*prices).load), org, provider, model, tier, at_us)
    assert (rating.pricing is Pricing.UNPRICED) == (rating.price_id is None)
    return rating.price_id


def rate(
    book: PriceBook,
    org: str = "acme",
    provider: str | None = None,
    model: str | None = "gpt-4o",
    tier: str | None = None,
    at_us: int = NOON,
) -> Rating:
    return book.rating(org, provider=provider, model=model, service_tier=tier, batch=False, at_us=at_us, usage=MILLION)


def test_without_any_price_it_is_unpriced() -> None:
    assert priced_by() is None


def test_prices_of_other_orgs_do_not_exist() -> None:
    assert priced_by(price("other")) is None


def test_a_given_cost_needs_no_price() -> None:
    book = PriceBook(Shelves(price()).load)
    rating = book.rating(
        "acme",
        provider=None,
        model="gpt-4o",
        service_tier=None,
        batch=False,
        at_us=NOON,
        usage=MILLION,
        given_pico=5,
    )
    assert rating == Rating(Pricing.GIVEN, 5, 5)


EQUALS = price(price_id="equals")
PREFIX = price(price_id="prefix", match=Match.PREFIX, model="gpt-4")
SHORT_PREFIX = price(price_id="short prefix", match=Match.PREFIX, model="gpt")
REGEX = price(price_id="regex", match=Match.REGEX, model="gpt-4.*")
OPENAI = price(price_id="openai", provider="OpenAI")
AZURE = price(price_id="azure", provider="azure")
COMMON = price(None, "common")
COMMON_OPENAI = price(None, "common openai", provider="openai")


@pytest.mark.parametrize(
    ("prices", "provider", "model", "winner"),
    [
        pytest.param([EQUALS], None, "GPT-4O", "equals", id="case of the event"),
        pytest.param([EQUALS], "openai", "gpt-4o", "equals", id="a price for any provider"),
        pytest.param([SHORT_PREFIX, REGEX, PREFIX, EQUALS], None, "gpt-4o", "equals", id="equals first"),
        pytest.param([SHORT_PREFIX, REGEX, PREFIX, EQUALS], None, "gpt-4o-mini", "prefix", id="longest prefix"),
        pytest.param([SHORT_PREFIX, REGEX], None, "gpt-4o", "short prefix", id="prefix before regex"),
        pytest.param([REGEX], None, "gpt-4o-mini", "regex", id="regex last"),
        pytest.param([EQUALS, OPENAI], "openai", "gpt-4o", "openai", id="the provider named"),
        pytest.param([EQUALS, OPENAI], "OPENAI", "gpt-4o", "openai", id="in any case"),
        pytest.param([EQUALS, OPENAI], "azure", "gpt-4o", "equals", id="another provider"),
        pytest.param([OPENAI], "azure", "gpt-4o", None, id="only another provider"),
        pytest.param([OPENAI], None, "gpt-4o", "openai", id="no provider, one candidate"),
        pytest.param([EQUALS, OPENAI], None, "gpt-4o", "equals", id="no provider on either side"),
        pytest.param([OPENAI, AZURE], None, "gpt-4o", None, id="no provider, two candidates: not guessed"),
        pytest.param([OPENAI, AZURE, EQUALS], None, "gpt-4o", "equals", id="but a general price stands"),
        pytest.param([OPENAI, AZURE], None, "azure:gpt-4o", "azure", id="split"),
        pytest.param([OPENAI, AZURE], None, "AZURE:GPT-4O", "azure", id="split in any case"),
        pytest.param([COMMON_OPENAI], None, "openai:gpt-4o", "common openai", id="split by a common price"),
        pytest.param([EQUALS], None, "azure:gpt-4o", None, id="an unknown provider is not split off"),
        pytest.param([OPENAI], "openai", "openai:gpt-4o", None, id="not split where the provider is given"),
        pytest.param([COMMON, EQUALS], None, "gpt-4o", "equals", id="own before common"),
        pytest.param([COMMON_OPENAI, SHORT_PREFIX], "openai", "gpt-4o", "short prefix", id="even if less close"),
        pytest.param([COMMON], None, "gpt-4o", "common", id="common for everybody"),
        pytest.param([EQUALS, PREFIX], None, None, None, id="no model"),
        pytest.param([price(price_id="all", match=Match.REGEX, model=".*")], None, None, "all", id="any model"),
    ],
)
def test_the_closest_price_wins(
    prices: list[Price], provider: str | None, model: str | None, winner: str | None
) -> None:
    assert priced_by(*prices, provider=provider, model=model) == winner
    assert priced_by(*reversed(prices), provider=provider, model=model) == winner


def test_a_mode_without_a_price_is_not_rated_as_standard() -> None:
    batch = price(price_id="batch", mode=Mode.BATCH)
    assert priced_by(EQUALS, batch, tier="batch") == "batch"
    assert priced_by(EQUALS, batch, tier="flex") is None
    assert priced_by(batch) is None
    assert priced_by(EQUALS, batch, tier="turbo") is None


def test_history() -> None:
    first = price(price_id="first", effective_from_us=NOON - 10 * DAY_US)
    second = price(price_id="second", effective_from_us=NOON)
    offer = price(price_id="offer", effective_from_us=NOON + DAY_US, effective_to_us=NOON + 2 * DAY_US)
    general = price(
        price_id="general",
        match=Match.PREFIX,
        model="gpt",
        effective_from_us=0,
        effective_to_us=NOON - 5 * DAY_US,
    )
    for days, expected in [
        (-12, "general"),
        (-10, "first"),
        (-6, "first"),
        (0, "second"),
        (1, "offer"),
        (1.5, "offer"),
        (2, "second"),
        (900, "second"),
    ]:
        at_us = NOON + int(days * DAY_US)
        assert priced_by(first, second, offer, general, at_us=at_us) == expected, days
    assert priced_by(first, second, at_us=NOON - 1) == "first"


def test_before_the_first_and_after_the_last_it_is_unpriced() -> None:
    limited = price(price_id="limited", effective_from_us=NOON, effective_to_us=NOON + 1)
    assert [priced_by(limited, at_us=NOON + shift) for shift in (-1, 0, 1)] == [None, "limited", None]


def test_every_instant_agrees_with_a_plain_search() -> None:
    choose = random.Random(3)
    prices = []
    for _ in range(60):
        start = choose.randrange(100)
        prices.append(
            price(
                choose.choice(["acme", None]),
                provider=choose.choice([None, "openai"]),
                match=choose.choice([Match.EQUALS, Match.REGEX]),
                effective_from_us=start,
                effective_to_us=choose.choice([None, start + 1 + choose.randrange(20)]),
            )
        )

    def plain(at_us: int) -> str | None:
        def is_in_force(known: Price) -> bool:
            return known.effective_from_us <= at_us and not (known.effective_to_us or at_us + 1) <= at_us

        def rank(known: Price) -> tuple[object, ...]:
            closest = (known.org_id is None, known.match is Match.REGEX, known.provider is None)
            return (*closest, -known.effective_from_us, -known.recorded_at_us)

        best = min(filter(is_in_force, prices), key=rank, default=None)
        return None if best is None else best.id

    book = PriceBook(Shelves(*prices).load)
    for at_us in range(-1, 125):
        assert rate(book, provider="openai", at_us=at_us).price_id == plain(at_us)


def test_a_change_is_seen_after_the_owner_is_dropped() -> None:
    shelves = Shelves(price(price_id="old", effective_from_us=0))
    book = PriceBook(shelves.load)
    assert rate(book).price_id == rate(book, at_us=0).price_id == "old"
    assert shelves.loads == 2
    shelves.prices.append(price(price_id="new", effective_from_us=1))
    assert rate(book).price_id == "old"
    book.drop("acme")
    assert rate(book).price_id == "new"
    assert rate(book, at_us=0).price_id == "old"
    assert shelves.loads == 3
    shelves.prices.append(price(None, "common", match=Match.PREFIX, model="claude"))
    book.drop(None)
    assert rate(book, model="claude-x").price_id == "common"
    assert shelves.loads == 4


def test_memory_is_bounded() -> None:
    shelves = Shelves(*(price(f"org {number}", f"price {number}") for number in range(50)))
    book = PriceBook(shelves.load, owners_max=8, timelines_max=8)
    for _ in range(2):
        for number in range(50):
            assert rate(book, f"org {number}").price_id == f"price {number}"
    assert len(book._own) <= 8
    assert book._timeline.cache_info().currsize <= 8


def test_a_load_under_way_during_a_change_is_not_kept() -> None:
    old, new = price(price_id="old"), price(price_id="new", effective_from_us=1)
    entered, committed = threading.Event(), threading.Event()
    found = [old]

    def load(owner: str | None) -> Iterable[Price]:
        if owner is None:
            return []
        listed = list(found)
        entered.set()
        committed.wait(5)
        return listed

    book = PriceBook(load)
    reading = threading.Thread(target=rate, args=(book,))
    reading.start()
    entered.wait(5)
    found.append(new)
    dropping = threading.Thread(target=book.drop, args=("acme",))
    dropping.start()
    committed.set()
    dropping.join()
    reading.join()
    assert rate(book).price_id == "new"


def test_ten_thousand_dated_prices_of_one_model_are_resolved_in_one_sweep() -> None:
    prices = [price(price_id=str(day), effective_from_us=day * DAY_US, rates=rates(input="1")) for day in range(10_000)]
    book = PriceBook(Shelves(*prices).load)
    assert rate(book, at_us=7 * DAY_US + 1).price_id == "7"
    assert rate(book, at_us=9_999 * DAY_US).price_id == "9999"


# The catalogue: names by its own rules, prices by its own ids.

NAMES = (
    ProviderNames(
        "openai",
        Rule("prefix", "openai"),
        Rule("prefix", "gpt-"),
        (),
        (ModelNames("gpt-4o", Rule("any", rules=(Rule("equals", "gpt-4o"), Rule("prefix", "gpt-4o-2024-08")))),),
    ),
    ProviderNames(
        "azure", Rule("contains", "azure"), None, ("openai",), (ModelNames("phi-4", Rule("equals", "phi-4")),)
    ),
    ProviderNames("mute", None, None, (), (ModelNames("priceless", Rule("equals", "priceless")),)),
)


def listed(price_id: str, **fields: Any) -> Price:
    return price(None, price_id, origin=Origin.CATALOGUE, **{"provider": "openai"} | fields)


LISTED = listed("listed")
LISTED_BATCH = listed("listed batch", mode=Mode.BATCH, effective_from_us=NOON)


def book_of(*prices: Price, names: tuple[ProviderNames, ...] = NAMES) -> PriceBook:
    return PriceBook(Shelves(*prices).load, lambda: names)


def resolved(
    book: PriceBook, model: str = "gpt-4o", provider: str | None = None, mode: Mode = Mode.STANDARD, at_us: int = NOON
) -> Resolution:
    return book.resolve("acme", provider=provider, model=model, mode=mode, at_us=at_us)


@pytest.mark.parametrize(
    ("provider", "model", "winner", "matched"),
    [
        pytest.param(None, "gpt-4o", "listed", "openai:gpt-4o", id="its maker's"),
        pytest.param("OpenAI", "GPT-4o-2024-08-06", "listed", "openai:gpt-4o", id="by a rule, in any case"),
        pytest.param(None, "openai:gpt-4o", "listed", "openai:gpt-4o", id="split"),
        pytest.param("litellm", "openai/gpt-4o", "listed", "openai:gpt-4o", id="split as litellm has it"),
        pytest.param("openai.eu", "gpt-4o", "listed", "openai:gpt-4o", id="another name of the provider"),
        pytest.param("azure", "gpt-4o", "listed", "openai:gpt-4o", id="resold"),
        pytest.param("other", "gpt-4o", None, None, id="another provider"),
        pytest.param(None, "gpt-5", None, None, id="claimed and not known"),
        pytest.param(None, "phi-4", None, None, id="nobody's"),
    ],
)
def test_names_of_the_catalogue(provider: str | None, model: str, winner: str | None, matched: str | None) -> None:
    book = book_of(LISTED, LISTED_BATCH)
    rating = rate(book, provider=provider, model=model)
    assert (rating.price_id, rating.matched) == (winner, matched)
    found = resolved(book, model, provider)
    assert (None if found.price is None else found.price.id) == winner


def test_a_reseller_has_the_standard_prices_only() -> None:
    book = book_of(LISTED, LISTED_BATCH)
    assert rate(book, provider="openai", tier="batch").price_id == "listed batch"
    assert rate(book, provider="azure", tier="batch").price_id is None


def test_the_org_comes_before_the_overlay_and_that_before_the_catalogue() -> None:
    own, common = price(match=Match.REGEX, model="gpt.*", price_id="own"), price(None, "common", provider="openai")
    assert rate(book_of(LISTED, common, own)).price_id == "own"
    assert rate(book_of(LISTED, common)).price_id == "common"
    found = resolved(book_of(LISTED, common, own))
    assert [(each.price.id, each.won, each.standing) for each in found.candidates] == [
        ("own", True, "in force, and none in force comes before it"),
        ("common", False, "in force, but a price of the org comes before one of the overlay"),
        ("listed", False, "in force, but a price of the org comes before one of the catalogue"),
    ]


def test_windows_of_the_day_and_tiers_of_the_context() -> None:
    night = DailyWindow(parse_instant("1970-01-01T16:30:00Z"), parse_instant("1970-01-01T00:30:00Z"))
    tiers = (Tier(10**6, Decimal(9)), Tier(2 * 10**6, Decimal(99)))
    long = price(price_id="night", daily=night, rates={"input_tokens": Rate(Decimal(1), 10**6, tiers)})
    book = book_of(long, LISTED)
    assert rate(book, at_us=parse_instant("2026-01-31T16:29:59.999999Z")).price_id == "listed"
    assert rate(book, at_us=parse_instant("2026-01-31T16:30:00Z")).price_id == "night"
    assert rate(book, at_us=parse_instant("2026-02-01T00:29:59Z")).price_id == "night"
    assert rate(book, at_us=parse_instant("2026-02-01T00:30:00Z")).price_id == "listed"
    all_day = price(price_id="all day")
    assert rate(book_of(long, all_day), at_us=parse_instant("2026-01-31T20:00:00Z")).price_id == "night"
    evening = resolved(book_of(long, all_day), at_us=parse_instant("2026-01-31T20:00:00Z"))
    assert evening.candidates[1].standing == (
        "in force, but a price for a part of the day comes before one for all of it"
    )
    found = resolved(book, at_us=NOON)
    assert [each.standing for each in found.candidates] == [
        "not in force at this time of day",
        "in force, and none in force comes before it",
    ]
    costs = [
        book.rating(
            "acme",
            provider=None,
            model="gpt-4o",
            service_tier=None,
            batch=False,
            at_us=parse_instant("2026-01-31T20:00:00Z"),
            usage={"input_tokens": tokens},
        ).cost_pico
        for tokens in (10**6, 10**6 + 1, 2 * 10**6, 2 * 10**6 + 1)
    ]
    assert costs == [10**12, 9 * (10**6 + 1) * 10**6, 18 * 10**12, 99 * (2 * 10**6 + 1) * 10**6]


@pytest.mark.parametrize(
    ("model", "provider", "mode", "at_us", "names", "reason"),
    [
        ("gpt-4o", None, Mode.FLEX, NOON, NAMES, "no price for the mode flex, but for standard, batch"),
        ("gpt-4o", None, Mode.BATCH, 0, NAMES, "none of them is in force at that time"),
        ("gpt-5", None, Mode.STANDARD, NOON, NAMES, "does not know such a model of openai"),
        ("gpt-5", "azure", Mode.STANDARD, NOON, NAMES, "does not know such a model of azure"),
        ("gpt-4o", "other", Mode.STANDARD, NOON, NAMES, "does not know the provider other"),
        ("llama", None, Mode.STANDARD, NOON, NAMES, "does not know whose model it is"),
        ("priceless", "mute", Mode.STANDARD, NOON, NAMES, "knows the model and has no price for it"),
        ("llama", None, Mode.STANDARD, NOON, (), "no catalogue is recorded"),
    ],
)
def test_why_there_is_no_price(
    model: str, provider: str | None, mode: Mode, at_us: int, names: tuple[ProviderNames, ...], reason: str
) -> None:
    found = resolved(book_of(LISTED, LISTED_BATCH, names=names), model, provider, mode, at_us)
    assert found.price is None
    assert reason in (found.reason or "")


def test_how_a_name_was_understood() -> None:
    found = resolved(book_of(LISTED, LISTED_BATCH), "gpt-4o-2024-08-06")
    assert found.named is not None
    assert (found.provider, found.named.provider, found.named.model) == ("openai", "openai", "gpt-4o")
    assert (found.rule, found.modes, found.reason) == ("prefix 'gpt-4o-2024-08'", [Mode.STANDARD, Mode.BATCH], None)


def test_a_resolution_tells_what_a_rating_does() -> None:
    choose = random.Random(7)
    for _ in range(40):
        prices = [random_price(choose) for _ in range(choose.randrange(1, 12))]
        book = book_of(*prices)
        for _ in range(20):
            provider, mode = choose.choice([None, "openai", "azure"]), choose.choice([Mode.STANDARD, Mode.BATCH])
            at_us = choose.randrange(-1, 4 * DAY_US)
            found = resolved(book, provider=provider, mode=mode, at_us=at_us)
            rating = rate(book, provider=provider, tier=mode, at_us=at_us)
            assert rating.price_id == (None if found.price is None else found.price.id)
            assert (found.reason is None) == (found.price is not None)
            assert sum(each.won for each in found.candidates) == (found.price is not None)


def random_price(choose: random.Random) -> Price:
    start_us = choose.randrange(3 * DAY_US)
    window = DailyWindow(choose.randrange(DAY_US), choose.randrange(DAY_US))
    fields: dict[str, Any] = {
        "mode": choose.choice([Mode.STANDARD, Mode.BATCH]),
        "effective_from_us": start_us,
        "effective_to_us": choose.choice([None, start_us + choose.randrange(1, DAY_US)]),
        "daily": choose.choice([None, window]),
    }
    if choose.random() < 0.3:
        return listed("", **fields)
    match, model = choose.choice([(Match.EQUALS, "gpt-4o"), (Match.PREFIX, "gpt"), (Match.REGEX, "gpt.*")])
    owner, provider = choose.choice(["acme", None]), choose.choice([None, "openai", "azure"])
    return price(owner, provider=provider, match=match, model=model, **fields)


class Told(NamedTuple):
    context_level: str | None = None
    image_operation: str | None = None
    image_quality: str | None = None
    image_size: str | None = None


PLAIN = price(price_id="plain")
SQUARE = price(price_id="square", when=(("image_size", "1024x1024"),))
SQUARE_HD = price(price_id="square hd", when=(("image_quality", "hd"), ("image_size", "1024x1024")))
LOW = price(price_id="low", when=(("context_level", "low"),), effective_from_us=NOON)


@pytest.mark.parametrize(
    ("prices", "told", "winner"),
    [
        pytest.param([SQUARE], None, None, id="nothing told"),
        pytest.param([SQUARE], Told(), None, id="nothing said of it"),
        pytest.param([SQUARE], Told(image_size="1792x1024"), None, id="another word"),
        pytest.param([SQUARE], Told(image_size="1024X1024"), "square", id="any letter case"),
        pytest.param([PLAIN, SQUARE], Told(image_size="1792x1024"), "plain", id="one without conditions stands"),
        pytest.param([PLAIN, SQUARE, SQUARE_HD], Told(image_size="1024x1024"), "square", id="one condition"),
        pytest.param(
            [PLAIN, SQUARE, SQUARE_HD],
            Told(image_quality="HD", image_size="1024x1024"),
            "square hd",
            id="most conditions",
        ),
        pytest.param([SQUARE_HD, PLAIN], Told(image_quality="hd"), "plain", id="half of the conditions"),
        pytest.param([LOW, PLAIN], Told(context_level="low"), "low", id="from its date on"),
    ],
)
def test_conditions(prices: list[Price], told: Told | None, winner: str | None) -> None:
    book = PriceBook(Shelves(*prices).load)
    asked: dict[str, Any] = {"provider": None, "model": "gpt-4o", "told": told}
    rated = book.rating("acme", service_tier=None, batch=False, at_us=NOON, usage=MILLION, **asked)
    resolved = book.resolve("acme", mode=Mode.STANDARD, at_us=NOON, **asked)
    assert rated.price_id == winner
    assert (None if resolved.price is None else resolved.price.id) == winner


def test_a_condition_that_is_not_fulfilled_is_told() -> None:
    book = PriceBook(Shelves(SQUARE_HD).load)
    resolved = book.resolve("acme", provider=None, model="gpt-4o", mode=Mode.STANDARD, at_us=NOON)
    assert resolved.candidates[0].standing == "only where image_quality is hd and image_size is 1024x1024"
    assert resolved.reason == "there are prices, but only for events that say more; see the candidates"


def test_an_overlays_price_for_the_provider_goes_before_one_for_any_also_under_an_alias() -> None:
    names = [ProviderNames("x-ai", Rule("equals", "xai"), None, (), (ModelNames("grok", Rule("equals", "grok")),))]
    for_any = price(None, "any", origin=Origin.OVERLAY, provider=None, effective_from_us=1)
    for_one = price(None, "one", origin=Origin.OVERLAY, provider="x-ai", effective_from_us=0)
    book = PriceBook(Shelves(for_any, for_one).load, lambda: names)
    assert [rate(book, provider=provider).price_id for provider in ("x-ai", "xai")] == ["one", "one"]
