"""Prices and their rates in the SQLite file."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec

from tallybook.core.counters import COUNTERS
from tallybook.core.errors import NotFound
from tallybook.core.unit_of_work import Transaction
from tallybook.pricing.catalogue.names import ProviderNames
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, Origin, Price, Rate, Tier
from tallybook.pricing.store import Position
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_PRICES = """
    SELECT id, org_id, origin, provider, model, match, mode, effective_from, effective_to, daily_from, daily_to,
           daily_weekdays, conditions, source, supersedes, recorded_at,
           (SELECT json_group_array(json_array(unit, above, usd, per, at_least)) FROM rates WHERE price_id = prices.id)
    FROM prices
"""
_NOT_SUPERSEDED = "NOT EXISTS (SELECT 1 FROM prices AS later WHERE later.supersedes = prices.id)"
_NEWEST_CATALOGUE = "FROM catalogues ORDER BY id DESC LIMIT 1"


class SqlitePriceStore:
    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def append(self, transaction: Transaction, price: Price) -> None:
        writer = connection_of(transaction)
        writer.execute(
            "INSERT INTO prices (id, org_id, origin, provider, model, match, mode, effective_from, effective_to,"
            " daily_from, daily_to, daily_weekdays, conditions, source, supersedes, recorded_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                price.id,
                price.org_id,
                price.origin.value,
                price.provider,
                price.model,
                price.match.value,
                price.mode.value,
                price.effective_from_us,
                price.effective_to_us,
                None if price.daily is None else price.daily.start_us,
                None if price.daily is None else price.daily.end_us,
                json.dumps([] if price.daily is None else price.daily.weekdays),
                json.dumps(price.when),
                price.source,
                price.supersedes,
                price.recorded_at_us,
            ),
        )
        writer.executemany(
            "INSERT INTO rates (price_id, unit, above, usd, per, at_least) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (price.id, unit, tier.above, f"{tier.usd:f}", rate.per, rate.at_least)
                for unit, rate in price.rates.items()
                for tier in (Tier(0, rate.usd), *rate.tiers)
            ],
        )

    def get(self, org_id: str, price_id: str, transaction: Transaction | None = None) -> Price:
        found = _prices(self._engine.read(transaction), f"{_PRICES} WHERE org_id = ? AND id = ?", (org_id, price_id))
        if not found:
            raise NotFound("there is no such price")
        return found[0]

    def find(self, org_id: str, price_id: str) -> Price | None:
        where = "WHERE (org_id = ? OR org_id IS NULL) AND id = ?"
        found = _prices(self._engine.read(), f"{_PRICES} {where}", (org_id, price_id))
        return found[0] if found else None

    def is_superseded(self, org_id: str, price_id: str, transaction: Transaction) -> bool:
        rows = connection_of(transaction).execute(
            "SELECT 1 FROM prices WHERE org_id = ? AND supersedes = ?", (org_id, price_id)
        )
        return rows.fetchone() is not None

    def list_beginning(self, org_id: str, effective_from_us: int, transaction: Transaction) -> list[Price]:
        return _prices(
            connection_of(transaction),
            f"{_PRICES} WHERE org_id = ? AND effective_from = ? AND {_NOT_SUPERSEDED}",
            (org_id, effective_from_us),
        )

    def list_prices(
        self,
        owner: str | None,
        origin: Origin,
        *,
        provider: str | None,
        model: str | None,
        before: Position | None,
        limit: int,
    ) -> list[Price]:
        conditions: dict[str, tuple[str | int | None, ...]] = {"org_id IS ?": (owner,), "origin = ?": (origin.value,)}
        if provider is not None:
            conditions["provider = ? COLLATE NOCASE"] = (provider,)
        if model is not None:
            conditions["model = ? COLLATE NOCASE"] = (model,)
        if before is not None:
            conditions["(recorded_at, id) < (?, ?)"] = before
        return _prices(
            self._engine.read(),
            f"{_PRICES} WHERE {' AND '.join(conditions)} ORDER BY recorded_at DESC, id DESC LIMIT ?",
            (*(value for values in conditions.values() for value in values), limit),
        )

    def list_in_force(self, owner: str | None, transaction: Transaction | None = None) -> list[Price]:
        # IS, not =: the owner of prices for every org is NULL.
        return _prices(self._engine.read(transaction), f"{_PRICES} WHERE org_id IS ? AND {_NOT_SUPERSEDED}", (owner,))

    def append_names(
        self, transaction: Transaction, version: str, providers: Sequence[ProviderNames], recorded_at_us: int
    ) -> None:
        connection_of(transaction).execute(
            "INSERT INTO catalogues (version, names, recorded_at) VALUES (?, ?, ?)",
            (version, msgspec.json.encode(providers), recorded_at_us),
        )

    def catalogue_version(self, transaction: Transaction | None = None) -> str | None:
        row = self._engine.read(transaction).execute(f"SELECT version {_NEWEST_CATALOGUE}").fetchone()
        return None if row is None else str(row[0])

    def list_names(self, transaction: Transaction | None = None) -> Sequence[ProviderNames]:
        row = self._engine.read(transaction).execute(f"SELECT names {_NEWEST_CATALOGUE}").fetchone()
        return () if row is None else msgspec.json.decode(row[0], type=tuple[ProviderNames, ...])


def _prices(connection: sqlite3.Connection, sql: str, values: tuple[str | int | None, ...]) -> list[Price]:
    return [_price(row) for row in connection.execute(sql, values)]


def _price(row: tuple[Any, ...]) -> Price:
    (
        price_id,
        org_id,
        origin,
        provider,
        model,
        match,
        mode,
        effective_from,
        effective_to,
        daily_from,
        daily_to,
        weekdays,
        conditions,
        source,
        supersedes,
        recorded_at,
        rates,
    ) = row
    return Price(
        id=price_id,
        org_id=org_id,
        origin=Origin(origin),
        provider=provider,
        model=model,
        match=Match(match),
        mode=Mode(mode),
        effective_from_us=effective_from,
        effective_to_us=effective_to,
        daily=None if daily_from is None else DailyWindow(daily_from, daily_to, tuple(json.loads(weekdays))),
        when=tuple((name, word) for name, word in json.loads(conditions)),
        source=source,
        supersedes=supersedes,
        recorded_at_us=recorded_at,
        rates=_rates(json.loads(rates)),
    )


_Stored = tuple[int, str, int, int]
"""above, usd, per, at_least"""


def _rates(stored: list[tuple[str, int, str, int, int]]) -> Mapping[str, Rate]:
    """By unit, in the order of `COUNTERS`."""
    by_unit: dict[str, list[_Stored]] = {}
    for unit, *rest in stored:
        by_unit.setdefault(unit, []).append(cast(_Stored, tuple(rest)))
    return {unit: _rate(sorted(by_unit[unit])) for unit in COUNTERS if unit in by_unit}


def _rate(stored: list[_Stored]) -> Rate:
    (_, usd, per, at_least), *tiers = stored
    return Rate(Decimal(usd), per, tuple(Tier(above, Decimal(tier_usd)) for above, tier_usd, *_ in tiers), at_least)
