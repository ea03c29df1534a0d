"""What a price book keeps: nothing that was dropped, and for orgs without prices of their own hardly anything."""

import gc
import weakref
from collections.abc import Iterable

from tallybook.pricing.book import PriceBook
from tallybook.pricing.price import Origin, Price
from tests.unit.pricing.sheets import price


class Shop:
    """Lists prices anew each time, and remembers which of them are still in memory."""

    def __init__(self, *orgs: str) -> None:
        self.orgs = orgs
        self.listed: list[weakref.ref[Price]] = []

    def load(self, owner: str | None) -> Iterable[Price]:
        if owner is not None and owner not in self.orgs:
            return []
        found = price(owner, origin=Origin.CATALOGUE if owner is None else Origin.ORG)
        self.listed.append(weakref.ref(found))
        return [found]

    def kept(self) -> int:
        gc.collect()
        return sum(known() is not None for known in self.listed)


def rate(book: PriceBook, *orgs: str) -> None:
    for org_id in orgs:
        book.rating(
            org_id, provider=None, model="gpt-4o", service_tier=None, batch=False, at_us=0, usage={"input_tokens": 1}
        )


def test_dropped_prices_are_let_go() -> None:
    shop = Shop("acme", "umbrella")
    book = PriceBook(shop.load)
    for _ in range(5):
        rate(book, "acme", "umbrella")
        book.drop("acme")
        book.drop(None)
    assert shop.kept() == 1  # umbrella's


def test_the_prices_of_the_oldest_owner_make_room() -> None:
    shop = Shop("a", "b", "c", "d")
    book = PriceBook(shop.load, owners_max=2)
    for _ in range(3):
        rate(book, "a", "b", "c", "d")
    assert shop.kept() == 3  # those of every org, and of two


def test_orgs_without_prices_share_what_is_worked_out() -> None:
    shop = Shop()
    book = PriceBook(shop.load, owners_max=10)
    rate(book, *map(str, range(100)))
    assert book._timeline.cache_info().currsize == 1
    assert shop.kept() == 1
