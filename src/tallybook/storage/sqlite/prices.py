"""Prices and their rates in the SQLite file."""

import json
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tallybook.core.counters import COUNTERS
from tallybook.core.errors import NotFound
from tallybook.core.unit_of_work import Transaction
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, Price, Rate
from tallybook.pricing.store import Position
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of

_PRICES = """
    SELECT id, org_id, provider, model, match, mode, effective_from, effective_to, source, supersedes,
           recorded_at,
           (SELECT json_group_object(unit, json_array(usd, per)) FROM rates WHERE price_id = prices.id)
    FROM prices
"""
_NOT_SUPERSEDED = "NOT EXISTS (SELECT 1 FROM prices AS later WHERE later.supersedes = prices.id)"


class SqlitePriceStore:
    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def append(self, transaction: Transaction, price: Price) -> None:
        writer = connection_of(transaction)
        writer.execute(
            "INSERT INTO prices (id, org_id, provider, model, match, mode, effective_from, effective_to,"
            " source, supersedes, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                price.id,
                price.org_id,
                price.provider,
                price.model,
                price.match.value,
                price.mode.value,
                price.effective_from_us,
                price.effective_to_us,
                price.source,
                price.supersedes,
                price.recorded_at_us,
            ),
        )
        writer.executemany(
            "INSERT INTO rates (price_id, unit, usd, per) VALUES (?, ?, ?, ?)",
            [(price.id, unit, f"{rate.usd:f}", rate.per) for unit, rate in price.rates.items()],
        )

    def get(self, org_id: str, price_id: str, transaction: Transaction | None = None) -> Price:
        connection = self._engine.read() if transaction is None else connection_of(transaction)
        found = _prices(connection, f"{_PRICES} WHERE org_id = ? AND id = ?", (org_id, price_id))
        if not found:
            raise NotFound("there is no such price")
        return found[0]

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
        self, org_id: str, *, provider: str | None, model: str | None, before: Position | None, limit: int
    ) -> list[Price]:
        conditions: dict[str, tuple[str | int, ...]] = {"org_id = ?": (org_id,)}
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

    def list_in_force(self, owner: str | None) -> list[Price]:
        # IS, not =: the owner of prices for every org is NULL.
        return _prices(self._engine.read(), f"{_PRICES} WHERE org_id IS ? AND {_NOT_SUPERSEDED}", (owner,))


def _prices(connection: sqlite3.Connection, sql: str, values: tuple[str | int | None, ...]) -> list[Price]:
    return [_price(row) for row in connection.execute(sql, values)]


def _price(row: tuple[Any, ...]) -> Price:
    (
        price_id,
        org_id,
        provider,
        model,
        match,
        mode,
        effective_from,
        effective_to,
        source,
        supersedes,
        recorded_at,
        rates,
    ) = row
    return Price(
        id=price_id,
        org_id=org_id,
        provider=provider,
        model=model,
        match=Match(match),
        mode=Mode(mode),
        effective_from_us=effective_from,
        effective_to_us=effective_to,
        source=source,
        supersedes=supersedes,
        recorded_at_us=recorded_at,
        rates=_rates(json.loads(rates)),
    )


def _rates(stored: Mapping[str, tuple[str, int]]) -> Mapping[str, Rate]:
    return {unit: Rate(Decimal(stored[unit][0]), stored[unit][1]) for unit in COUNTERS if unit in stored}
