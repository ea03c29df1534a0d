"""Engines -> services -> app. The only file that knows everyone."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from tallybook.analytics.service import UsageService
from tallybook.audit.admin_log import AdminLog
from tallybook.audit.service import AuditService
from tallybook.auth.service import AuthService
from tallybook.backups.service import BackupService
from tallybook.catalogues.installed import read_answer, read_lists
from tallybook.catalogues.litellm import read_litellm
from tallybook.core.clock import Clock
from tallybook.core.paging import Cursors
from tallybook.core.time_window import MINUTE_US
from tallybook.core.unit_of_work import JournalEntry
from tallybook.corrections.bulk import Bulk
from tallybook.corrections.direct import DirectCommitter, deliver
from tallybook.corrections.repricing import Repricing
from tallybook.corrections.service import CorrectionService
from tallybook.corrections.undoing import Undoing
from tallybook.corrections.verify import SumAudit
from tallybook.data_folder import DataFolder
from tallybook.files import ADMIN_KEY, SECRET
from tallybook.http import credits, mka1, native, openai, ops, usage_log
from tallybook.http.access import Gate
from tallybook.http.app import create_app
from tallybook.http.gateway import App, Gateway
from tallybook.http.metrics import Metrics
from tallybook.http.native import ingest
from tallybook.http.native.verify import Audits
from tallybook.http.rates import KeyRates
from tallybook.jobs.expire_reservations import expire_reservations
from tallybook.jobs.grant_plans import grant_plans
from tallybook.jobs.purge_outcomes import purge_outcomes
from tallybook.jobs.repeat import repeat
from tallybook.ledger.service import LedgerService
from tallybook.metering.service import MeteringService
from tallybook.orgs.model import DEFAULT_ORG
from tallybook.orgs.service import OrgService
from tallybook.plans.service import PlanService
from tallybook.pricing.service import CLUSTER, PricingService
from tallybook.requests.feedback import FeedbackService
from tallybook.requests.messages import Messages, Policy
from tallybook.requests.service import RequestLog
from tallybook.settings import Settings
from tallybook.settlement.drain import Drain
from tallybook.settlement.linking import Linking
from tallybook.settlement.quantities import charged
from tallybook.settlement.refunds import Refunds
from tallybook.settlement.service import SettlementService
from tallybook.settlement.verify import UsageAudit
from tallybook.settlement.verify_refunds import RefundAudit
from tallybook.storage.duckdb.admin_log import DuckCorrectionLog
from tallybook.storage.duckdb.backup import DuckBackup
from tallybook.storage.duckdb.corrections import DuckCorrections
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.sealing import Sealer
from tallybook.storage.duckdb.settlement import DuckBilledEvents
from tallybook.storage.private_file import write_private
from tallybook.storage.sqlite.backup import SqliteBackup
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.feedback import SqliteFeedbackStore
from tallybook.storage.sqlite.journal import SqliteJournal, SqliteJournalLog
from tallybook.storage.sqlite.keys import SqliteKeyStore
from tallybook.storage.sqlite.ledger import SqliteLedgerStore
from tallybook.storage.sqlite.messages import SqliteMessageStore
from tallybook.storage.sqlite.orgs import SqliteOrgStore
from tallybook.storage.sqlite.plans import SqlitePlanStore
from tallybook.storage.sqlite.prices import SqlitePriceStore
from tallybook.storage.sqlite.refunds import SqliteRefundStore
from tallybook.storage.sqlite.settlement import SqliteSettlementStore

_PURGE_SECONDS = 3600
_SWEEP_SECONDS = 1
_EXPIRY_SECONDS = 600
_SEAL_SECONDS = 2
_GRANTS_BEHIND_US_MAX = MINUTE_US
"""How late grants may be before the server calls itself not ready."""
_STARTED = "start"
"""Whom the admin log names for what a first start does."""


@dataclass(frozen=True)
class Tallybook:
    """A server for any ASGI host. `new_admin_key` is set when this start made the first key."""

    app: Gateway
    gate: Gate
    new_admin_key: str | None
    is_caught_up: Callable[[], bool]
    """Whether all usage that the ledger promised before the start is in the event store."""
    close: Callable[[], None]


def build(folder: DataFolder, more_raw_routes: Mapping[str, Mapping[str, App]] | None = None) -> Tallybook:
    """Wires the server. `close` commits what was accepted and closes the files."""
    settings, clock, reach, secret = folder.settings, folder.clock, folder.reach, folder.secret
    duck, events, sqlite, said = folder.duck, folder.events, folder.sqlite, folder.messages
    message_store = SqliteMessageStore(said)
    journal = SqliteJournal()
    orgs = OrgService(SqliteOrgStore(sqlite), sqlite, journal, clock)
    auth = AuthService(SqliteKeyStore(sqlite), sqlite, journal, clock, secret=secret, org_exists=orgs.exists)
    pricing = PricingService(
        SqlitePriceStore(sqlite), sqlite, journal, clock, partial(read_lists, settings.overlay_dir)
    )
    ledger = LedgerService(SqliteLedgerStore(sqlite), sqlite, clock, list_rows_max=settings.list_rows_max)
    plans = PlanService(SqlitePlanStore(sqlite), ledger, sqlite, clock, list_rows_max=settings.list_rows_max)
    book = DuckCorrections(duck, events)
    metering = MeteringService(
        events,
        pricing,
        clock,
        batch_events_max=settings.batch_events_max,
        queue_events_max=settings.ingest_queue_events,
        flush_events_max=settings.ingest_flush_events,
        beside=book.commit,
    )
    billed, usage_links = DuckBilledEvents(duck, lambda: events.newest_seq), SqliteSettlementStore(sqlite)
    linking = Linking(usage_links, billed, ledger, metering, reach)
    apply = partial(deliver, metering.writer.submit_from_thread)
    drain = Drain(usage_links, metering.commit_from_thread, linking.catch_up, reach, apply)
    settlement = SettlementService(usage_links, ledger, pricing, sqlite, clock, outbox_max=settings.outbox_events_max)
    usage_audit = UsageAudit(usage_links, billed, drain.before_read, linking.linked_until)
    cursors = Cursors(secret)
    usage = UsageService(
        DuckUsageStore(duck, Limits(settings.read_threads, settings.report_threads, settings.query_timeout_ms / 1000)),
        cursors,
        clock,
        drain.before_read,
        rows_max=settings.query_rows_max,
        export_events_max=settings.export_events_max,
    )
    refunds, direct = SqliteRefundStore(sqlite), DirectCommitter(metering.writer.submit)
    corrections = CorrectionService(
        usage,
        book,
        direct,
        Refunds(usage_links, refunds, ledger, usage, sqlite, clock),
        pricing,
        charged,
        drain.before_read,
    )
    bulk = Bulk(corrections, direct, rows_max=settings.correction_rows_max)
    repricing = Repricing(usage, corrections, bulk, events_max=settings.correction_events_max)
    undoing = Undoing(book, bulk, drain.before_read, events_max=settings.correction_events_max)
    explaining = AuditService(usage, corrections, pricing, book, ledger.transactions_of, charged, clock)
    audits = Audits(ledger, usage_audit, RefundAudit(refunds, book, drain.before_read), SumAudit(book))
    admin_log = AdminLog([SqliteJournalLog(sqlite), DuckCorrectionLog(book)], drain.before_read)
    messages = Messages(message_store, partial(_policy_of, orgs), clock, bytes_max=settings.message_bytes_max)
    feedback_store = SqliteFeedbackStore(sqlite)
    request_log = RequestLog(usage, feedback_store, message_store)
    feedback = FeedbackService(request_log, feedback_store, sqlite, clock)
    sealer = Sealer(duck, rows=settings.run_events)
    backups = BackupService(
        [
            DuckBackup(duck),
            SqliteBackup(sqlite, "orgs", "accounts", "transactions", "reservations"),
            SqliteBackup(said),
        ],
        partial(_private_files, settings.data_dir, secret),
        (settings.backup_dir or settings.data_dir / "backups").absolute(),
        clock,
        partial(_note_backup, sqlite, journal, clock),
    )
    exports_dir = settings.data_dir / "exports"
    shutil.rmtree(exports_dir, ignore_errors=True)  # what an earlier process left behind
    metrics = _metrics(metering, duck, settlement)
    for writer in (metering.writer, sqlite.queue, said.queue):
        writer.observe = metrics.commits(writer.name)
    gate = Gate(auth, _rates(settings, clock))
    credit_operations = credits.operations(
        ledger,
        plans,
        pricing,
        usage,
        settlement,
        orgs.settings_of,
        list_rows_max=settings.list_rows_max,
    )
    new_admin_key = asyncio.run(_first_start(orgs, auth, pricing, settings))
    drain.start()

    def close() -> None:
        try:
            drain.close()
            metering.close()
        finally:
            sqlite.close()
            said.close()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        purge = partial(purge_outcomes, clock=clock, retention_days=settings.idempotency_retention_days)
        put_in_order = partial(_put_in_order, sealer, metering.writer.tidy_up)
        repeated = [
            repeat(partial(purge, sqlite), pause_seconds=_PURGE_SECONDS, failure="outcomes not purged"),
            repeat(partial(purge, direct), pause_seconds=_PURGE_SECONDS, failure="outcomes not purged"),
            repeat(messages.expire, pause_seconds=_EXPIRY_SECONDS, failure="messages not expired"),
            repeat(
                partial(expire_reservations, ledger), pause_seconds=_SWEEP_SECONDS, failure="reservations not expired"
            ),
            repeat(partial(grant_plans, plans), pause_seconds=_SWEEP_SECONDS, failure="plans not granted"),
            repeat(put_in_order, pause_seconds=_SEAL_SECONDS, failure="events not put in order"),
        ]
        jobs = [asyncio.create_task(each) for each in repeated]
        yield
        for job in jobs:
            job.cancel()
        sealer.stop()  # its thread would be waited for
        await asyncio.gather(*jobs, return_exceptions=True)

    app = create_app(
        [
            ops.router(metrics, lambda: _not_ready(metering, plans, drain, settlement)),
            *native.routers(
                auth,
                orgs,
                pricing,
                usage,
                audits,
                corrections,
                repricing,
                undoing,
                explaining,
                admin_log,
                backups,
                exports_dir,
                cursors,
                read_litellm,
            ),
            *mka1.routers(usage, request_log, feedback, unpaged_buckets_max=settings.unpaged_buckets_max),
            *openai.routers(usage),
            credits.router(credit_operations),
            usage_log.router(auth, metering, usage, corrections),
        ],
        {
            ingest.PATH: {
                "POST": ingest.IngestEndpoint(
                    gate,
                    metering,
                    linking,
                    metrics,
                    read_answer,
                    messages,
                    body_bytes_max=settings.body_bytes_max,
                )
            },
            **credits.raw_routes(credit_operations, gate, body_bytes_max=settings.body_bytes_max),
            **(more_raw_routes or {}),
        },
        [native.DIALECT, mka1.DIALECT, openai.DIALECT, credits.DIALECT, usage_log.DIALECT],
        gate,
        metrics,
        raw_documents=lambda: [
            ingest.DOCUMENT,
            native.DOCUMENT,
            mka1.DOCUMENT,
            openai.DOCUMENT,
            credits.document(credit_operations),
        ],
        lifespan=lifespan,
        body_bytes_max=settings.body_bytes_max,
        cors_origins=settings.cors_origins,
        access_log=settings.access_log,
    )
    return Tallybook(app, gate, new_admin_key, lambda: drain.is_caught_up, close)


async def _first_start(orgs: OrgService, auth: AuthService, pricing: PricingService, settings: Settings) -> str | None:
    await orgs.ensure_default()
    if settings.price_catalogue and not pricing.has_catalogue():
        await pricing.sync(actor=_STARTED)
    fixed = None if settings.admin_key is None else settings.admin_key.get_secret_value()
    made = await auth.ensure_bootstrap(fixed, DEFAULT_ORG)
    kept = settings.data_dir / ADMIN_KEY
    if made is not None:
        write_private(kept, made)
    elif fixed is not None and kept.exists() and kept.read_text().strip() != fixed:
        kept.unlink()  # that key is revoked
    return made


def _policy_of(orgs: OrgService, org_id: str) -> Policy:
    settings = orgs.settings_of(org_id)
    return Policy(settings.store_messages, settings.message_retention_days)


async def _put_in_order(sealer: Sealer, tidy_up: Callable[[], None]) -> None:
    while await asyncio.to_thread(sealer.seal):
        tidy_up()  # what was put in order is still where it was, too, until the writer lets it go


def _note_backup(sqlite: SqliteEngine, journal: SqliteJournal, clock: Clock, actor: str, name: str) -> None:
    """For the admin log: a backup has every key's secret in it."""
    entry = JournalEntry(CLUSTER, actor, "backup.begun", name, None, None)
    sqlite.write_from_thread(lambda writer: journal.append(writer, entry, clock.now_us()))


def _private_files(data_dir: Path, secret: bytes) -> dict[str, str]:
    """Without the secret no key of a restored ledger is valid, so it is kept wherever it came from."""
    kept = {SECRET: secret.decode()}
    admin_key = data_dir / ADMIN_KEY
    return {**kept, ADMIN_KEY: admin_key.read_text()} if admin_key.exists() else kept


def _rates(settings: Settings, clock: Clock) -> KeyRates:
    limits = {
        1: settings.key_requests_per_second,
        60: settings.key_requests_per_minute,
        3_600: settings.key_requests_per_hour,
        86_400: settings.key_requests_per_day,
    }
    return KeyRates(clock, limits)


def _metrics(metering: MeteringService, duck: DuckEngine, settlement: SettlementService) -> Metrics:
    metrics = Metrics()
    metrics.gauge(
        "tallybook_ingest_queue_events",
        "Events waiting for the writer.",
        lambda: metering.writer.queued_weight,
    )
    metrics.gauge("tallybook_event_log_bytes", "Event log not yet folded into the file.", lambda: duck.wal_bytes)
    metrics.gauge("tallybook_outbox_events", "Usage that waits for the event store.", settlement.outbox_length)
    return metrics


def _not_ready(
    metering: MeteringService, plans: PlanService, drain: Drain, settlement: SettlementService
) -> str | None:
    if metering.writer.queued_weight >= metering.writer.queue_weight_max:
        return "the event queue is full"
    if not drain.is_caught_up:
        return "usage from before the start is being delivered"
    if settlement.is_full():
        return "too much usage waits for the event store"
    if plans.behind_us() > _GRANTS_BEHIND_US_MAX:
        return "grants of plans are being caught up"
    return None
