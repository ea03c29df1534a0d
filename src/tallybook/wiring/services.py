"""Ports -> services of the rooms."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tallybook.analytics.service import UsageService
from tallybook.audit.admin_log import AdminLog
from tallybook.audit.service import AuditService
from tallybook.auth.service import AuthService
from tallybook.backups.service import BackupService
from tallybook.catalogues.installed import read_answer, read_lists
from tallybook.catalogues.litellm import read_litellm
from tallybook.core.clock import Clock
from tallybook.core.paging import Cursors
from tallybook.core.unit_of_work import JournalEntry
from tallybook.corrections.bulk import Bulk
from tallybook.corrections.direct import DirectCommitter, deliver
from tallybook.corrections.repricing import Repricing
from tallybook.corrections.service import CorrectionService
from tallybook.corrections.undoing import Undoing
from tallybook.corrections.verify import SumAudit
from tallybook.data_folder import DataFolder
from tallybook.files import ADMIN_KEY, SECRET
from tallybook.http.mounting import Rooms
from tallybook.ledger.service import LedgerService
from tallybook.metering.service import MeteringService
from tallybook.orgs.service import OrgService
from tallybook.plans.service import PlanService
from tallybook.pricing.service import CLUSTER, PricingService
from tallybook.requests.feedback import FeedbackService
from tallybook.requests.messages import Messages, Policy
from tallybook.requests.service import RequestLog
from tallybook.settlement.drain import Drain
from tallybook.settlement.linking import Linking
from tallybook.settlement.quantities import charged
from tallybook.settlement.refunds import Refunds
from tallybook.settlement.service import SettlementService
from tallybook.settlement.verify import UsageAudit
from tallybook.settlement.verify_refunds import RefundAudit
from tallybook.wiring.stores import Stores


@dataclass(frozen=True)
class Services:
    """`drain` and `direct` are for the jobs, and for the beginning and the end of the process."""

    rooms: Rooms
    cursors: Cursors
    drain: Drain
    direct: DirectCommitter


@dataclass(frozen=True)
class _Admin:
    orgs: OrgService
    auth: AuthService
    pricing: PricingService


@dataclass(frozen=True)
class _Intake:
    """How events come in: from callers, and from the outbox of the ledger."""

    metering: MeteringService
    linking: Linking
    drain: Drain


@dataclass(frozen=True)
class _Correcting:
    direct: DirectCommitter
    corrections: CorrectionService
    repricing: Repricing
    undoing: Undoing


def services_on(stores: Stores, folder: DataFolder) -> Services:
    settings, clock, cursors = folder.settings, folder.clock, Cursors(folder.secret)
    admin = _admin(stores, folder)
    ledger = LedgerService(stores.ledger, stores.writes, clock, list_rows_max=settings.list_rows_max)
    intake = _intake(stores, folder, admin.pricing, ledger)
    before_read = intake.drain.before_read
    usage = UsageService(
        stores.usage,
        cursors,
        clock,
        before_read,
        rows_max=settings.query_rows_max,
        export_events_max=settings.export_events_max,
    )
    correcting = _correcting(stores, folder, admin.pricing, ledger, intake, usage)
    request_log = RequestLog(usage, stores.feedback, stores.messages)
    rooms = Rooms(
        orgs=admin.orgs,
        auth=admin.auth,
        pricing=admin.pricing,
        ledger=ledger,
        plans=PlanService(stores.plans, ledger, stores.writes, clock, list_rows_max=settings.list_rows_max),
        metering=intake.metering,
        linking=intake.linking,
        settlement=SettlementService(
            stores.settlement, ledger, admin.pricing, stores.writes, clock, outbox_max=settings.outbox_events_max
        ),
        usage=usage,
        corrections=correcting.corrections,
        repricing=correcting.repricing,
        undoing=correcting.undoing,
        audit=AuditService(
            usage, correcting.corrections, admin.pricing, stores.book, ledger.transactions_of, charged, clock
        ),
        usage_audit=UsageAudit(stores.settlement, stores.billed, before_read, intake.linking.linked_until),
        refund_audit=RefundAudit(stores.refunds, stores.book, before_read),
        sum_audit=SumAudit(stores.book),
        admin_log=AdminLog(stores.admin_logs, before_read),
        messages=Messages(
            stores.messages, partial(_policy_of, admin.orgs), clock, bytes_max=settings.message_bytes_max
        ),
        request_log=request_log,
        feedback=FeedbackService(request_log, stores.feedback, stores.writes, clock),
        backups=_backups(stores, folder),
        read_answer=read_answer,
        read_litellm=read_litellm,
    )
    return Services(rooms, cursors, intake.drain, correcting.direct)


def _admin(stores: Stores, folder: DataFolder) -> _Admin:
    writes, journal, clock = stores.writes, stores.journal, folder.clock
    orgs = OrgService(stores.orgs, writes, journal, clock)
    return _Admin(
        orgs,
        AuthService(stores.keys, writes, journal, clock, secret=folder.secret, org_exists=orgs.exists),
        PricingService(stores.prices, writes, journal, clock, partial(read_lists, folder.settings.overlay_dir)),
    )


def _intake(stores: Stores, folder: DataFolder, pricing: PricingService, ledger: LedgerService) -> _Intake:
    settings = folder.settings
    metering = MeteringService(
        stores.events,
        pricing,
        folder.clock,
        batch_events_max=settings.batch_events_max,
        queue_events_max=settings.ingest_queue_events,
        flush_events_max=settings.ingest_flush_events,
        beside=stores.book.commit,
    )
    linking = Linking(stores.settlement, stores.billed, ledger, metering, folder.reach)
    apply = partial(deliver, metering.writer.submit_from_thread)
    drain = Drain(stores.settlement, metering.commit_from_thread, linking.catch_up, folder.reach, apply)
    return _Intake(metering, linking, drain)


def _correcting(
    stores: Stores,
    folder: DataFolder,
    pricing: PricingService,
    ledger: LedgerService,
    intake: _Intake,
    usage: UsageService,
) -> _Correcting:
    settings, before_read = folder.settings, intake.drain.before_read
    direct = DirectCommitter(intake.metering.writer.submit)
    refunds = Refunds(stores.settlement, stores.refunds, stores.book, ledger, usage, stores.writes, folder.clock)
    corrections = CorrectionService(usage, stores.book, direct, refunds, pricing, charged, before_read)
    bulk = Bulk(corrections, direct, rows_max=settings.correction_rows_max)
    return _Correcting(
        direct,
        corrections,
        Repricing(usage, corrections, bulk, events_max=settings.correction_events_max),
        Undoing(stores.book, bulk, before_read, events_max=settings.correction_events_max),
    )


def _backups(stores: Stores, folder: DataFolder) -> BackupService:
    settings = folder.settings
    return BackupService(
        stores.backups,
        partial(_private_files, settings.data_dir, folder.secret),
        (settings.backup_dir or settings.data_dir / "backups").absolute(),
        folder.clock,
        partial(_note_backup, stores, folder.clock),
    )


def _policy_of(orgs: OrgService, org_id: str) -> Policy:
    settings = orgs.settings_of(org_id)
    return Policy(settings.store_messages, settings.message_retention_days)


def _note_backup(stores: Stores, clock: Clock, actor: str, name: str) -> None:
    """For the admin log: a backup has every key's secret in it."""
    entry = JournalEntry(CLUSTER, actor, "backup.begun", name, None, None)
    stores.write_from_thread(lambda writer: stores.journal.append(writer, entry, clock.now_us()))


def _private_files(data_dir: Path, secret: bytes) -> dict[str, str]:
    """Without the secret no key of a restored ledger is valid, so it is kept wherever it came from."""
    kept = {SECRET: secret.decode()}
    admin_key = data_dir / ADMIN_KEY
    return {**kept, ADMIN_KEY: admin_key.read_text()} if admin_key.exists() else kept
