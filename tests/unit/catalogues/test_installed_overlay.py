"""What the installed overlay is there for: rules of providers that the catalogue does not know."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from tallybook.catalogues.installed import read_lists
from tallybook.core.money import pico_from_usd
from tallybook.core.time_window import parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.price import Origin, Price

SECOND = 1_000_000


class Said(NamedTuple):
    context_level: str | None = None
    image_operation: str | None = None
    image_quality: str | None = None
    image_size: str | None = None


@pytest.fixture(scope="module")
def book() -> PriceBook:
    lists = read_lists()

    def recorded() -> Iterator[Price]:
        for origin, prices in ((Origin.OVERLAY, lists.overlay), (Origin.CATALOGUE, lists.catalogue.prices)):
            for number, price in enumerate(prices):
                yield Price(**vars(price), id=f"{origin}_{number}", org_id=None, origin=origin, recorded_at_us=0)

    return PriceBook(lambda owner: () if owner else recorded(), lambda: lists.catalogue.providers)


@pytest.mark.parametrize(
    ("provider", "model", "at", "usage", "fields", "usd"),
    [
        pytest.param(
            "groq",
            "whisper-large-v3",
            "2026-11-02",
            {"audio_seconds": 3 * SECOND},
            {},
            "0.000308333333",
            id="ten seconds",
        ),
        pytest.param(
            "groq", "whisper-large-v3", "2026-11-02", {"audio_seconds": 20 * SECOND}, {}, "0.000616666667", id="more"
        ),
        pytest.param(
            "openai",
            "dall-e-3",
            "2024-06-01",
            {"images": 2},
            {"told": Said(image_quality="hd", image_size="1024x1792")},
            "0.24",
            id="an image",
        ),
        pytest.param("openai", "dall-e-3", "2024-06-01", {"images": 2}, {}, None, id="an image of no size"),
        pytest.param(
            "perplexity",
            "sonar",
            "2026-11-02",
            {"requests": 1},
            {"told": Said(context_level="low")},
            "0.005",
            id="a small search",
        ),
        pytest.param("perplexity", "sonar", "2026-11-02", {"requests": 1}, {}, "0.012", id="a search of no level"),
        pytest.param(
            "deepseek", "deepseek-flash", "2026-11-06T02:00:00Z", {"output_tokens": 10**6}, {}, "1.2", id="Friday, peak"
        ),
        pytest.param(
            "deepseek",
            "deepseek-flash",
            "2026-11-06T05:00:00Z",
            {"output_tokens": 10**6},
            {},
            "0.6",
            id="Friday, lunch",
        ),
        pytest.param(
            "deepseek", "deepseek-flash", "2026-11-07T02:00:00Z", {"output_tokens": 10**6}, {}, "0.6", id="Saturday"
        ),
        pytest.param(
            "google",
            "gemini-2.5-pro",
            "2026-11-02",
            {"input_tokens": 300_000},
            {"service_tier": "priority"},
            "1.35",
            id="priority",
        ),
        pytest.param(
            "mistral",
            "mistral-large-latest",
            "2026-11-02",
            {"input_tokens": 10**6},
            {},
            "0.5",
            id="a name that moved on",
        ),
    ],
)
def test_what_is_charged(
    book: PriceBook, provider: str, model: str, at: str, usage: dict[str, int], fields: dict[str, Any], usd: str | None
) -> None:
    at_us = parse_instant(at if "T" in at else f"{at}T12:00:00Z")
    about = {"service_tier": None, "batch": False, **fields}
    rating = book.rating("acme", provider=provider, model=model, at_us=at_us, usage=usage, **about)
    assert rating.cost_pico == (None if usd is None else pico_from_usd(Decimal(usd)))
