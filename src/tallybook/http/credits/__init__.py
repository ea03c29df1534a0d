"""The credits dialect: the ledger's API, as clients of credits.dev speak it."""

from collections.abc import Callable
from typing import Any

from tallybook.analytics.service import UsageService
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
from tallybook.ledger.service import LedgerService
from tallybook.orgs.model import OrgSettings
from tallybook.plans.service import PlanService
from tallybook.pricing.service import PricingService
from tallybook.settlement.service import SettlementService

__all__ = ["DIALECT", "document", "operations", "raw_routes", "router"]


def operations(
    ledger: LedgerService,
    plans: PlanService,
    pricing: PricingService,
    usage: UsageService,
    settlement: SettlementService,
    settings_of: Callable[[str], OrgSettings],
    *,
    list_rows_max: int,
) -> list[Operation[Any]]:
    """Every operation of the dialect, in the order of the contract."""
    usages = Usages(usage, ledger, settlement.usage_of, list_rows_max=list_rows_max)
    return [
        *Accounts(ledger).operations,
        *Plans(plans).operations,
        *Transactions(ledger, usages).operations,
        *Reservations(ledger, settlement, settings_of).operations,
        *UsageRecords(settlement).operations,
        *usages.operations,
        *Models(pricing).operations,
    ]
