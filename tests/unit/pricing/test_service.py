"""Recording a price: one commit with its line in the admin log, seen by the next rating."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.errors import Conflict, InvalidInput, NotFound
from tallybook.pricing.cost import Pricing, Rating
from tallybook.pricing.price import NewPrice, Price
from tallybook.pricing.service import PricingService
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.journal import SqliteJournal
from tallybook.storage.sqlite.prices import SqlitePriceStore
from tests.unit.pricing.sheets import new_price


class StillClock:
    def now_us(self) -> int:
        return 1_700_000_000_000_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path / "ledger.sqlite", StillClock())
    yield opened
    opened.close()


@pytest.fixture
def service(engine: SqliteEngine) -> PricingService:
    return PricingService(SqlitePriceStore(engine), engine, SqliteJournal(), StillClock())


def put(service: PricingService, wanted: NewPrice, org_id: str = "acme") -> Price:
    async def record() -> Price:
        return await service.put(org_id, wanted, actor="key_1", repeat=None)

    return asyncio.run(record())


def rating(service: PricingService, org_id: str = "acme", **fields: Any) -> Rating:
    call: dict[str, Any] = {
        "provider": None,
        "model": "gpt-4o",
        "service_tier": None,
        "batch": False,
        "at_us": 0,
        "usage": {"input_tokens": 1000},
        "given_pico": None,
    }
    return service.rating(org_id, **call | fields)


def log_of(engine: SqliteEngine) -> list[sqlite3.Row]:
    return engine.read().execute("SELECT at, org_id, actor, action, subject, before, after FROM journal").fetchall()


def test_the_next_rating_knows_a_recorded_price(service: PricingService) -> None:
    assert rating(service).pricing is Pricing.UNPRICED
    price = put(service, new_price())
    assert rating(service).price_id == price.id
    assert rating(service, "other").pricing is Pricing.UNPRICED
    assert rating(service, service_tier="flex").pricing is Pricing.UNPRICED
    assert rating(service, batch=True, given_pico=7) == Rating(Pricing.GIVEN, 7, 7)


def test_the_admin_log_tells_what_was_superseded(service: PricingService, engine: SqliteEngine) -> None:
    wrong = put(service, new_price())
    right = put(service, new_price(supersedes=wrong.id))
    first, second = log_of(engine)
    assert first[:6] == (StillClock().now_us(), "acme", "key_1", "price.recorded", wrong.id, None)
    assert second[4] == right.id
    assert json.loads(second[5])["id"] == wrong.id
    assert json.loads(second[6])["supersedes"] == wrong.id


def test_what_is_refused_leaves_nothing(service: PricingService, engine: SqliteEngine) -> None:
    put(service, new_price())
    with pytest.raises(Conflict):
        put(service, new_price())
    with pytest.raises(NotFound):
        put(service, new_price(supersedes="price_0"))
    with pytest.raises(InvalidInput):
        put(service, new_price(rates={}))
    assert len(log_of(engine)) == 1
    assert len(service.list_prices("acme", provider=None, model=None, before=None, limit=9)) == 1


def test_two_at_once_cannot_both_be_recorded(service: PricingService) -> None:
    async def race() -> list[Price | BaseException]:
        puts = [service.put("acme", new_price(), actor="key_1", repeat=None) for _ in range(8)]
        return await asyncio.gather(*puts, return_exceptions=True)

    outcomes = asyncio.run(race())
    assert sum(isinstance(outcome, Price) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7
