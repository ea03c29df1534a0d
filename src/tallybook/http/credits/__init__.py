"""The credits dialect: the ledger's API, as clients of credits.dev speak it."""

from collections.abc import Callable
from typing import Any

from tallybook.http.credits.accounts import Accounts
from tallybook.http.credits.endpoints import document, raw_routes, router
from tallybook.http.credits.errors import DIALECT
from tallybook.http.credits.operations import Operation
from tallybook.http.credits.plans import Plans
from tallybook.http.credits.reservations import Reservations
from tallybook.http.credits.transactions import Transactions
from tallybook.ledger.service import LedgerService
from tallybook.orgs.model import OrgSettings
from tallybook.plans.service import PlanService

__all__ = ["DIALECT", "document", "operations", "raw_routes", "router"]


def operations(
    ledger: LedgerService, plans: PlanService, settings_of: Callable[[str], OrgSettings]
) -> list[Operation[Any]]:
    """Every operation of the dialect, in the order of the contract."""
    return [
        *Accounts(ledger).operations,
        *Plans(plans).operations,
        *Transactions(ledger).operations,
        *Reservations(ledger, settings_of).operations,
    ]
