"""The native dialect: everything that no foreign format claims."""

from pathlib import Path

from fastapi import APIRouter

from tallybook.analytics.service import UsageService
from tallybook.audit.admin_log import AdminLog
from tallybook.audit.service import AuditService
from tallybook.auth.service import AuthService
from tallybook.backups.service import BackupService
from tallybook.core.paging import Cursors
from tallybook.corrections.repricing import Repricing
from tallybook.corrections.service import CorrectionService
from tallybook.corrections.undoing import Undoing
from tallybook.http.native import (
    admin_log,
    backup,
    corrections,
    events_read,
    explain,
    export,
    keys,
    orgs,
    prices,
    repricing,
    usage,
    verify,
)
from tallybook.http.native.documents import DOCUMENT
from tallybook.http.native.errors import DIALECT
from tallybook.orgs.service import OrgService
from tallybook.pricing.service import PricingService

__all__ = ["DIALECT", "DOCUMENT", "routers"]


def routers(
    auth: AuthService,
    org_service: OrgService,
    pricing: PricingService,
    usage_service: UsageService,
    audits: verify.Audits,
    correcting: CorrectionService,
    repricing_service: Repricing,
    undoing: Undoing,
    explaining: AuditService,
    log: AdminLog,
    backups: BackupService,
    exports_dir: Path,
    cursors: Cursors,
    read_litellm: prices.ReadOpinions,
) -> list[APIRouter]:
    return [
        usage.router(usage_service),
        corrections.router(correcting),
        repricing.router(repricing_service, undoing),
        export.router(usage_service, exports_dir),
        events_read.router(usage_service),
        admin_log.router(log, cursors),
        backup.router(backups),
        explain.router(explaining),
        keys.router(auth, cursors),
        orgs.router(org_service, cursors),
        prices.router(pricing, cursors, read_litellm),
        verify.router(audits, org_service),
    ]
