"""Which price an event is rated with: own and common, named and general, yesterday and tomorrow."""

import random
import threading
from collections.abc import Iterable

import pytest

from tallybook.core.time_window import DAY_US, parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.cost import Pricing, Rating
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, Price
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
    assert len(book._shelves) <= 8
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
