"""The event store as settlement reads it: the events that explain transactions of the ledger."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from tallybook.analytics.plan import STORABLE
from tallybook.core.time_window import TimeWindow
from tallybook.settlement.model import SOURCE_CONFIRMED, SOURCE_RECORDED, Link
from tallybook.settlement.store import BilledEvent
from tallybook.storage.duckdb import arrivals
from tallybook.storage.duckdb.engine import DuckEngine

_BILLED = "SELECT org_id, uid, occurred_at, transaction_id, account_id FROM facts"
_ROWS = 1_000
"""Events that are handed over at a time."""


class DuckBilledEvents:
    """Implements `settlement.store.BilledEvents`."""

    def __init__(self, engine: DuckEngine, newest_seq: Callable[[], int]) -> None:
        self._engine = engine
        self.newest_seq = newest_seq

    @contextmanager
    def billed_after(self, seq: int) -> Iterator[Iterator[Sequence[BilledEvent]]]:
        with self._billed("seq > ? AND transaction_id IS NOT NULL", [seq], "ORDER BY seq") as parts:
            yield parts

    @contextmanager
    def billed_until(self, org_id: str, seq: int) -> Iterator[Iterator[Sequence[BilledEvent]]]:
        wanted = (
            "org_id = ? AND seq <= ? AND (transaction_id IS NOT NULL OR (context = 'customer' AND source IN (?, ?)))"
        )
        with self._billed(wanted, [org_id, seq, SOURCE_CONFIRMED, SOURCE_RECORDED]) as parts:
            yield parts

    def find_billed(self, org_id: str, links: Sequence[Link]) -> list[BilledEvent]:
        instants = [link.occurred_at_us for link in links]
        uids = [UUID(bytes=link.uid) for link in links]
        wanted = f"occurred_at BETWEEN ? AND ? AND org_id = ? AND uid IN ({', '.join('?' * len(uids))})"
        window = TimeWindow(min(instants), max(instants) + 1)
        with self._billed(wanted, [min(instants), max(instants), org_id, *uids], window=window) as parts:
            return [event for part in parts for event in part]

    @contextmanager
    def _billed(
        self, wanted: str, parameters: Sequence[Any], order: str = "", window: TimeWindow = STORABLE
    ) -> Iterator[Iterator[Sequence[BilledEvent]]]:
        with arrivals.reading(self._engine, window) as reader:
            found = reader.execute(f"{_BILLED} WHERE {wanted} AND revision = 1 {order}", parameters)
            yield ([_billed(row) for row in part] for part in iter(lambda: found.fetchmany(_ROWS), []))


def _billed(row: tuple[Any, ...]) -> BilledEvent:
    org_id, uid, occurred_at, transaction_id, account_id = row
    return BilledEvent(org_id, uid.bytes, occurred_at, transaction_id, account_id)
