"""The shipped catalogue as a book of recorded prices, for the tests that go through all of it."""

from functools import cache

from tallybook.catalogues.genai_prices import compile_snapshot
from tallybook.pricing.book import PriceBook
from tallybook.pricing.catalogue.snapshot import Snapshot
from tallybook.pricing.price import NewPrice, Origin, Price


@cache
def snapshot() -> Snapshot:
    return compile_snapshot()


@cache
def prices() -> dict[str, Price]:
    """Every price by its id."""
    recorded = [_recorded(f"price_{number}", price) for number, price in enumerate(snapshot().prices)]
    return {price.id: price for price in recorded}


def price_book() -> PriceBook:
    """The book of an installation that has the catalogue and nothing else."""
    return PriceBook(lambda owner: prices().values() if owner is None else (), lambda: snapshot().providers)


def _recorded(price_id: str, price: NewPrice) -> Price:
    return Price(**vars(price), id=price_id, org_id=None, origin=Origin.CATALOGUE, recorded_at_us=0)
