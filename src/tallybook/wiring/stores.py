"""Engines -> ports: the one place that knows which engine keeps what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tallybook.analytics.store import UsageStore
from tallybook.audit.admin_log import LogSource
from tallybook.audit.service import Contents
from tallybook.auth.store import KeyStore
from tallybook.backups.store import Source
from tallybook.core.group_commit import GroupWriter
from tallybook.core.unit_of_work import Journal, Transaction, Writes
from tallybook.corrections.store import CorrectionStore
from tallybook.data_folder import DataFolder
from tallybook.jobs.purge_outcomes import Outcomes
from tallybook.jobs.put_in_order import Sealer
from tallybook.ledger.store import LedgerStore
from tallybook.metering.store import EventStore
from tallybook.orgs.store import OrgStore
from tallybook.plans.store import PlanStore
from tallybook.pricing.store import PriceStore
from tallybook.requests.store import FeedbackStore, MessageStore
from tallybook.settlement.store import BilledEvents, CorrectedEvents, RefundStore, SettlementStore
from tallybook.storage.duckdb.admin_log import DuckCorrectionLog
from tallybook.storage.duckdb.backup import DuckBackup
from tallybook.storage.duckdb.corrections import DuckCorrections
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.sealing import Sealer as DuckSealer
from tallybook.storage.duckdb.settlement import DuckBilledEvents
from tallybook.storage.sqlite.backup import SqliteBackup
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


class Book(CorrectionStore, CorrectedEvents, Contents, Protocol):
    """Corrected events, as three rooms ask for them."""


@dataclass(frozen=True)
class Stores:
    """What the rooms and the jobs ask of a disk."""

    writes: Writes
    write_from_thread: Callable[[Callable[[Transaction], None]], object]
    outcomes: Outcomes
    journal: Journal
    orgs: OrgStore
    keys: KeyStore
    prices: PriceStore
    ledger: LedgerStore
    plans: PlanStore
    settlement: SettlementStore
    refunds: RefundStore
    feedback: FeedbackStore
    messages: MessageStore
    events: EventStore
    billed: BilledEvents
    book: Book
    usage: UsageStore
    admin_logs: Sequence[LogSource]
    backups: Sequence[Source]
    sealer: Sealer
    event_log_bytes: Callable[[], int]
    queues: Sequence[GroupWriter[Any, Any]]
    """Of commits, but for that of the events, which metering makes."""
    close: Callable[[], None]
    """Closes what metering does not."""


def stores_in(folder: DataFolder) -> Stores:
    settings, duck, events, sqlite, said = folder.settings, folder.duck, folder.events, folder.sqlite, folder.messages
    book = DuckCorrections(duck, events)
    limits = Limits(settings.read_threads, settings.report_threads, settings.query_timeout_ms / 1000)

    def close() -> None:
        sqlite.close()
        said.close()

    return Stores(
        writes=sqlite,
        write_from_thread=sqlite.write_from_thread,
        outcomes=sqlite,
        journal=SqliteJournal(),
        orgs=SqliteOrgStore(sqlite),
        keys=SqliteKeyStore(sqlite),
        prices=SqlitePriceStore(sqlite),
        ledger=SqliteLedgerStore(sqlite),
        plans=SqlitePlanStore(sqlite),
        settlement=SqliteSettlementStore(sqlite),
        refunds=SqliteRefundStore(sqlite),
        feedback=SqliteFeedbackStore(sqlite),
        messages=SqliteMessageStore(said),
        events=events,
        billed=DuckBilledEvents(duck, lambda: events.newest_seq),
        book=book,
        usage=DuckUsageStore(duck, limits),
        admin_logs=[SqliteJournalLog(sqlite), DuckCorrectionLog(book)],
        backups=[
            DuckBackup(duck),
            SqliteBackup(sqlite, "orgs", "accounts", "transactions", "reservations"),
            SqliteBackup(said),
        ],
        sealer=DuckSealer(duck, rows=settings.run_events),
        event_log_bytes=lambda: duck.wal_bytes,
        queues=[sqlite.queue, said.queue],
        close=close,
    )
