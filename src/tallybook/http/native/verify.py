"""`GET /v1/verify`: do balances and reservations follow from the facts, and does usage agree?"""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from tallybook.corrections.verify import SumAudit
from tallybook.http.access import CallerOf
from tallybook.http.native.listing import KnownQuery
from tallybook.http.reach import reach_of
from tallybook.http.wire_model import WireModel
from tallybook.ledger.service import LedgerService
from tallybook.orgs.service import OrgService
from tallybook.settlement.verify import UsageAudit
from tallybook.settlement.verify_refunds import RefundAudit

_ORGS_OF_A_PAGE = 1_000


class VerifyQuery(KnownQuery):
    all_orgs: bool = Field(False, description="Every org; cluster admins only.")


class BookDifference(WireModel):
    """Amounts are in microcredits, instants in microseconds since 1970, UTC."""

    org_id: str
    account_id: str | None = Field(description="The account gone through; null for a total of the org.")
    subject: str = Field(description="Id of the account, transaction, reservation or org that differs.")
    what: str
    expected: int | str | bool | None = Field(description="What follows from the facts.")
    found: int | str | bool | None = Field(description="What is kept.")


class Verification(WireModel):
    object: Literal["verification"] = "verification"
    orgs: int
    accounts: int
    transactions: int
    reservations: int
    usage_records: int = Field(description="Usage that explains a transaction.")
    corrections: int = Field(description="Corrections of such usage, with what they gave back.")
    difference: BookDifference | None = Field(description="The first one; null if the books agree.")


@dataclass(frozen=True)
class Audits:
    """What is gone through, in this order."""

    ledger: LedgerService
    usage: UsageAudit
    refunds: RefundAudit
    sums: SumAudit


def router(audits: Audits, orgs: OrgService) -> APIRouter:
    routes = APIRouter(tags=["ledger"])

    @routes.get("/v1/verify")
    def verify_ledger(asked: Annotated[VerifyQuery, Query()], caller: CallerOf) -> Verification:
        """Rebuilds balances and reservations from transactions and reservation facts, up to the first difference.

        Usage is held against the transactions that it explains, its corrections against what they gave back, and the
        sums of usage against the events that are in force.
        """
        org_ids = reach_of(caller, all_orgs=asked.all_orgs).org_ids
        total = Verification(
            orgs=0, accounts=0, transactions=0, reservations=0, usage_records=0, corrections=0, difference=None
        )
        for org_id in _all_org_ids(orgs) if org_ids is None else org_ids:
            _add(total, org_id, audits)
            if total.difference is not None:
                break
        return total

    return routes


def _add(total: Verification, org_id: str, audits: Audits) -> None:
    verified = audits.ledger.verify(org_id)
    total.orgs += 1
    total.accounts += verified.accounts
    total.transactions += verified.transactions
    total.reservations += verified.reservations
    difference = verified.difference
    if difference is None:
        usage = audits.usage.verify(org_id)
        total.usage_records += usage.usage_records
        difference = usage.difference
    if difference is None:
        corrected = audits.refunds.verify(org_id)
        total.corrections += corrected.corrections
        difference = corrected.difference or audits.sums.verify(org_id)
    if difference is not None:
        total.difference = BookDifference(org_id=org_id, **vars(difference))


def _all_org_ids(orgs: OrgService) -> list[str]:
    found: list[str] = []
    while page := orgs.list_orgs(after=found[-1] if found else "", limit=_ORGS_OF_A_PAGE):
        found.extend(org.id for org in page)
    return found
