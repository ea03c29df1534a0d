"""The credits dialect: the ledger's API, as clients of credits.dev speak it."""

from functools import partial
from typing import Any

from tallybook.http.credits.accounts import Accounts
from tallybook.http.credits.endpoints import document, raw_routes, router
from tallybook.http.credits.errors import DIALECT
from tallybook.http.credits.models import Models
from tallybook.http.credits.operations import Operation
from tallybook.http.credits.plans import Plans
from tallybook.http.credits.reservations import Reservations
from tallybook.http.credits.transactions import Transactions
from tallybook.http.credits.usage_list import Usages
from tallybook.http.credits.usage_record import UsageRecords
from tallybook.http.mounting import Edge, Mounted, Rooms

__all__ = ["DIALECT", "mounted"]


def mounted(rooms: Rooms, edge: Edge) -> Mounted:
    operations = _operations(rooms, edge.list_rows_max)
    raw = raw_routes(operations, edge.gate, body_bytes_max=edge.body_bytes_max)
    return Mounted(DIALECT, [router(operations)], raw, partial(document, operations))


def _operations(rooms: Rooms, list_rows_max: int) -> list[Operation[Any]]:
    """Every operation of the dialect, in the order of the contract."""
    ledger, settlement = rooms.ledger, rooms.settlement
    usages = Usages(rooms.usage, ledger, settlement.usage_of, list_rows_max=list_rows_max)
    return [
        *Accounts(ledger).operations,
        *Plans(rooms.plans).operations,
        *Transactions(ledger, usages).operations,
        *Reservations(ledger, settlement, rooms.orgs.settings_of).operations,
        *UsageRecords(settlement).operations,
        *usages.operations,
        *Models(rooms.pricing).operations,
    ]
