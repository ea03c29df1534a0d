"""Recording prices, by hand and from a catalogue: one commit with a line in the admin log, known to the next rating."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.errors import Conflict, InvalidInput, NotFound
from tallybook.pricing.catalogue.names import ModelNames, ProviderNames, Rule
from tallybook.pricing.catalogue.snapshot import PriceLists, Snapshot, Synced
from tallybook.pricing.cost import Pricing, Rating
from tallybook.pricing.errors import CatalogueUnreadable
from tallybook.pricing.price import Mode, NewPrice, Origin, Price
from tallybook.pricing.service import PricingService
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.journal import SqliteJournal
from tallybook.storage.sqlite.prices import SqlitePriceStore
from tests.unit.pricing.sheets import new_price, rates

NOW = 1_700_000_000_000_000


class StillClock:
    def __init__(self) -> None:
        self.now = NOW

    def now_us(self) -> int:
        return self.now


class Installed:
    """What a release of Tallybook comes with."""

    def __init__(self) -> None:
        self.lists: PriceLists | None = None

    def install(self, version: str, *prices: NewPrice, overlay: Sequence[NewPrice] = ()) -> None:
        models = {price.model: ModelNames(price.model, Rule("equals", price.model)) for price in prices}
        names = (ProviderNames("openai", None, Rule("prefix", "gpt"), (), tuple(models.values())),)
        self.lists = PriceLists(Snapshot(version, names, prices), overlay)

    def read(self) -> PriceLists:
        if self.lists is None:
            raise CatalogueUnreadable("the installed catalogue cannot be read: no such thing")
        return self.lists


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def installed() -> Installed:
    return Installed()


@pytest.fixture
def engine(tmp_path: Path, clock: StillClock) -> Iterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path / "ledger.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def service(engine: SqliteEngine, clock: StillClock, installed: Installed) -> PricingService:
    return PricingService(SqlitePriceStore(engine), engine, SqliteJournal(), clock, installed.read)


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
    assert first[:6] == (NOW, "acme", "key_1", "price.recorded", wrong.id, None)
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


# The catalogue. Prices in US dollars per million input tokens.


def says(model: str, *steps: tuple[int, str], mode: Mode = Mode.STANDARD) -> list[NewPrice]:
    """What a catalogue says of a model: from when on it costs what, each until the next."""
    ends = [*(at_us for at_us, _ in steps[1:]), None]
    return [
        new_price(
            provider="openai",
            model=model,
            mode=mode,
            effective_from_us=at_us,
            effective_to_us=end_us,
            rates=rates(input=usd),
        )
        for (at_us, usd), end_us in zip(steps, ends, strict=True)
    ]


def sync(service: PricingService) -> Synced:
    return asyncio.run(service.sync(actor="key_1"))


def usd(service: PricingService, model: str = "gpt-4o", **fields: Any) -> object:
    """What a million input tokens cost."""
    cost_pico = rating(service, model=model, usage={"input_tokens": 10**6}, **fields).cost_pico
    return None if cost_pico is None else Decimal(cost_pico) / 10**12


def recorded(service: PricingService, origin: Origin = Origin.CATALOGUE) -> list[Price]:
    return service.list_prices("acme", origin, provider=None, model=None, before=None, limit=100)


def test_the_first_sync(service: PricingService, installed: Installed, engine: SqliteEngine) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1")), *says("gpt-4o", (0, "0.5"), mode=Mode.BATCH))
    assert not service.has_catalogue()
    assert usd(service) is None
    assert sync(service) == Synced(None, "list 1", 2)
    assert service.has_catalogue()
    assert (usd(service), usd(service, batch=True), usd(service, service_tier="flex")) == (1, Decimal("0.5"), None)
    assert usd(service, model="gpt-4o", provider="OpenAI") == 1
    ((at, org, actor, action, subject, before, after),) = log_of(engine)
    assert (at, org, actor, action, subject, before) == (NOW, "*", "key_1", "prices.synced", "catalogue", None)
    assert json.loads(after) == {"version": "list 1", "prices": 2}


def test_a_second_sync_records_nothing(service: PricingService, installed: Installed, engine: SqliteEngine) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1"), (NOW + 5, "2")), overlay=says("gpt-5", (0, "9")))
    sync(service)
    before = recorded(service), recorded(service, Origin.OVERLAY)
    assert service.differences().changes == []
    assert sync(service) == Synced("list 1", "list 1", 0)
    assert (recorded(service), recorded(service, Origin.OVERLAY)) == before
    assert len(log_of(engine)) == 1


def test_a_newer_list_changes_what_is_to_come_and_nothing_before(
    service: PricingService, installed: Installed, clock: StillClock
) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1")), *says("gpt-dated", (0, "1")), *says("gpt-gone", (0, "1")))
    sync(service)
    clock.now = NOW + 1000
    installed.install(
        "list 2", *says("gpt-4o", (0, "2")), *says("gpt-dated", (0, "1"), (NOW + 500, "3")), *says("gpt-new", (0, "4"))
    )
    assert sync(service) == Synced("list 1", "list 2", 4)
    expectations: dict[str, dict[int, object]] = {
        "gpt-4o": {0: 1, NOW + 999: 1, NOW + 1000: 2},
        "gpt-dated": {0: 1, NOW + 499: 1, NOW + 500: 3, NOW + 1000: 3},
        "gpt-gone": {0: 1, NOW + 999: 1, NOW + 1000: None},
        "gpt-new": {0: 4, NOW + 1000: 4},
    }
    for model, expected in expectations.items():
        assert {at_us: usd(service, model, at_us=at_us) for at_us in expected} == expected


def test_the_difference_is_what_a_sync_records(
    service: PricingService, installed: Installed, clock: StillClock
) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1")), *says("gpt-gone", (0, "1")), overlay=says("gpt-o", (0, "1")))
    first = service.differences()
    assert (first.recorded_version, first.installed_version, len(first.changes)) == (None, "list 1", 3)
    assert recorded(service) == []
    sync(service)
    clock.now += 1000
    installed.install("list 2", *says("gpt-4o", (0, "2"), (NOW + 9000, "3")), overlay=says("gpt-o", (0, "1")))
    known = {price.id for price in recorded(service)}
    found = service.differences()
    assert (found.recorded_version, found.installed_version) == ("list 1", "list 2")
    told = [(change.price.model, change.at_us - NOW, change.before, change.ends) for change in found.changes]
    assert sorted(told, key=str) == [
        ("gpt-4o", 1000, rates(input="1"), False),
        ("gpt-4o", 9000, rates(input="1"), False),
        ("gpt-gone", 1000, rates(input="1"), True),
    ]
    sync(service)
    added = [price for price in recorded(service) if price.id not in known]
    assert {facts(price) for price in added} == {facts(change.price) for change in found.changes}


def facts(price: NewPrice) -> tuple[object, ...]:
    return (price.key, price.effective_from_us, price.effective_to_us, str(price.rates), price.supersedes)


def test_what_was_announced_and_put_off_supersedes_its_announcement(
    service: PricingService, installed: Installed
) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1"), (NOW + 10, "2")))
    sync(service)
    installed.install("list 2", *says("gpt-4o", (0, "1"), (NOW + 20, "2")))
    sync(service)
    steps = {NOW + 9: 1, NOW + 10: 1, NOW + 19: 1, NOW + 20: 2}
    assert {at_us: usd(service, at_us=at_us) for at_us in steps} == steps
    beginnings = [price.effective_from_us for price in recorded(service)]
    superseded = {price.supersedes for price in recorded(service)}
    assert sorted(beginnings) == [0, NOW + 10, NOW + 10, NOW + 20]
    assert len(superseded) == 2


def test_the_overlay_comes_before_the_catalogue(service: PricingService, installed: Installed) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1")), overlay=says("gpt-4o", (0, "7")))
    sync(service)
    assert usd(service) == 7
    put(service, new_price(rates=rates(input="5")))
    assert usd(service) == 5
    assert usd(service, "gpt-4o", at_us=0, batch=True) is None
    installed.install("list 2", *says("gpt-4o", (0, "1")))
    sync(service)
    found = service.resolve("other", provider=None, model="gpt-4o", mode=Mode.STANDARD)
    assert (found.price and found.price.origin, found.at_us) == (Origin.CATALOGUE, NOW)


def test_a_catalogue_that_cannot_be_read_changes_nothing(
    service: PricingService, installed: Installed, engine: SqliteEngine
) -> None:
    with pytest.raises(CatalogueUnreadable):
        sync(service)
    installed.install("list 1", *says("gpt-4o", (0, "1")))
    sync(service)
    before = recorded(service)
    installed.lists = None
    for attempt in (lambda: sync(service), service.differences):
        with pytest.raises(CatalogueUnreadable):
            attempt()
    assert (recorded(service), usd(service), len(log_of(engine))) == (before, 1, 1)


def test_a_sync_that_breaks_off_half_way_changes_nothing(
    service: PricingService, installed: Installed, engine: SqliteEngine
) -> None:
    # The second price cannot be stored: there is no such rate in Python, and so none on the disk.
    broken = new_price(provider="openai", model="gpt-5", rates={"input_tokens": None})
    installed.install("list 1", *says("gpt-4o", (0, "1")), broken)
    with pytest.raises(AttributeError):
        sync(service)
    assert recorded(service) == []
    assert not service.has_catalogue()
    assert log_of(engine) == []


def test_two_syncs_at_once_record_once(service: PricingService, installed: Installed) -> None:
    installed.install("list 1", *says("gpt-4o", (0, "1"), (NOW + 5, "2")))

    async def race() -> list[Synced]:
        return await asyncio.gather(*(service.sync(actor="key_1") for _ in range(4)))

    assert sorted(done.recorded for done in asyncio.run(race())) == [0, 0, 0, 2]
    assert len(recorded(service)) == 2


def test_a_list_says_nothing_of_orgs(service: PricingService, installed: Installed) -> None:
    own = put(service, new_price(rates=rates(input="5"), effective_from_us=NOW))
    installed.install("list 1", *says("gpt-4o", (0, "1")))
    sync(service)
    assert (usd(service, at_us=NOW - 1), usd(service, at_us=NOW), usd(service, "gpt-4o", at_us=NOW)) == (1, 5, 5)
    installed.install("list 2")
    sync(service)
    assert recorded(service, Origin.ORG) == [own]
    assert usd(service, at_us=NOW) == 5
