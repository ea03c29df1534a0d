"""The native dialect: everything that no foreign format claims."""

from fastapi import APIRouter

from tallybook.analytics.service import UsageService
from tallybook.audit.admin_log import AdminLog
from tallybook.auth.service import AuthService
from tallybook.core.paging import Cursors
from tallybook.corrections.service import CorrectionService
from tallybook.http.native import admin_log, corrections, events_read, keys, orgs, prices, usage, verify
from tallybook.http.native.documents import DOCUMENT
from tallybook.http.native.errors import DIALECT
from tallybook.ledger.service import LedgerService
from tallybook.orgs.service import OrgService
from tallybook.pricing.service import PricingService
from tallybook.settlement.verify import UsageAudit
from tallybook.settlement.verify_refunds import RefundAudit

__all__ = ["DIALECT", "DOCUMENT", "routers"]


def routers(
    auth: AuthService,
    org_service: OrgService,
    pricing: PricingService,
    usage_service: UsageService,
    ledger: LedgerService,
    audit: UsageAudit,
    refunds: RefundAudit,
    correcting: CorrectionService,
    log: AdminLog,
    cursors: Cursors,
) -> list[APIRouter]:
    return [
        usage.router(usage_service),
        corrections.router(correcting),
        events_read.router(usage_service),
        admin_log.router(log, cursors),
        keys.router(auth, cursors),
        orgs.router(org_service, cursors),
        prices.router(pricing, cursors),
        verify.router(ledger, audit, refunds, org_service),
    ]
