"""What every dialect is mounted with, and what it gives the server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from tallybook.corrections.verify import SumAudit
from tallybook.http.access import Gate
from tallybook.http.dialect import Dialect
from tallybook.http.gateway import App
from tallybook.http.metrics import Metrics
from tallybook.ledger.service import LedgerService
from tallybook.metering.answers import ReadAnswer
from tallybook.metering.service import MeteringService
from tallybook.orgs.service import OrgService
from tallybook.plans.service import PlanService
from tallybook.pricing.comparison import Opinions
from tallybook.pricing.service import PricingService
from tallybook.requests.feedback import FeedbackService
from tallybook.requests.messages import Messages
from tallybook.requests.service import RequestLog
from tallybook.settlement.linking import Linking
from tallybook.settlement.service import SettlementService
from tallybook.settlement.verify import UsageAudit
from tallybook.settlement.verify_refunds import RefundAudit

RawRoutes = Mapping[str, Mapping[str, App]]
"""Paths to methods to endpoints beside the framework."""


@dataclass(frozen=True)
class Rooms:
    """The services of all rooms. A dialect hands on those that it speaks for."""

    orgs: OrgService
    auth: AuthService
    pricing: PricingService
    ledger: LedgerService
    plans: PlanService
    metering: MeteringService
    linking: Linking
    settlement: SettlementService
    usage: UsageService
    corrections: CorrectionService
    repricing: Repricing
    undoing: Undoing
    audit: AuditService
    usage_audit: UsageAudit
    refund_audit: RefundAudit
    sum_audit: SumAudit
    admin_log: AdminLog
    messages: Messages
    request_log: RequestLog
    feedback: FeedbackService
    backups: BackupService
    read_answer: ReadAnswer
    read_litellm: Callable[[bytes], Opinions]


@dataclass(frozen=True)
class Edge:
    """What all routes share. `ready` returns None, or why the server cannot take work now."""

    gate: Gate
    metrics: Metrics
    ready: Callable[[], str | None]
    cursors: Cursors
    exports_dir: Path
    body_bytes_max: int
    list_rows_max: int
    unpaged_buckets_max: int


def _nothing() -> Mapping[str, Any]:
    return {"paths": {}, "schemas": {}}


@dataclass(frozen=True)
class Mounted:
    """A dialect with its routes. `document` gives what the framework does not know for OpenAPI: `paths`, `schemas`."""

    dialect: Dialect
    routers: Sequence[APIRouter]
    raw: RawRoutes = field(default_factory=dict)
    document: Callable[[], Mapping[str, Any]] = _nothing
