"""The data folder: its files opened, migrated and checked. It knows no rooms, so that these can be loaded meanwhile."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tallybook.backups.errors import NotRestorable
from tallybook.backups.restore import DRAFT
from tallybook.core.clock import Clock, SystemClock
from tallybook.core.errors import StorageDamaged
from tallybook.core.failpoints import AtFailpoint, go_on
from tallybook.files import EVENTS, LEDGER, MESSAGES, SECRET
from tallybook.settings import Settings
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.start_check import read_through
from tallybook.storage.new_file import remove_drafts
from tallybook.storage.private_file import write_private
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.messages import PAGE_BYTES


@dataclass(frozen=True)
class DataFolder:
    """All that a server keeps, held by this process."""

    settings: Settings
    clock: Clock
    reach: AtFailpoint
    secret: bytes
    duck: DuckEngine
    events: DuckEventStore
    sqlite: SqliteEngine
    messages: SqliteEngine


def open_data_folder(settings: Settings, clock: Clock | None = None, reach: AtFailpoint = go_on) -> DataFolder:
    """`reach` is called at the failpoints of the ledger file and of settlement.

    Each file is read through, as far as that goes in `start_check_seconds`. Raises `NotRestorable`, `StorageDamaged`,
    `StorageFull`, `NewerDatabase` and `HeldDatabase`.
    """
    clock = clock or SystemClock()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (settings.data_dir / DRAFT).exists():
        raise NotRestorable(f"a restore into {settings.data_dir} was not finished; restore again with --force")
    events_path, ledger_path = settings.data_dir / EVENTS, settings.data_dir / LEDGER
    if ledger_path.exists() and not events_path.exists():
        raise StorageDamaged(events_path, "it is missing beside a ledger")
    # DuckDB locks its file against other processes, so it is opened before anything is written.
    duck = DuckEngine(
        events_path,
        memory=settings.duckdb_memory,
        threads=settings.duckdb_threads,
        query_memory=settings.query_memory,
    )
    remove_drafts(settings.data_dir)
    # All beside each other, so that a start is no later for several large files.
    with ThreadPoolExecutor() as beside:
        checks = [beside.submit(read_through, duck, settings.start_check_seconds)]
        events = DuckEventStore(
            duck, clock, wal_bytes_max=settings.wal_bytes_max, disk_reserve_bytes=settings.disk_reserve_bytes
        )
        if events.newest_seq and not ledger_path.exists():
            raise StorageDamaged(ledger_path, "it is missing beside events that are stored")
        secret = _secret(settings, is_first_start=not ledger_path.exists())
        sqlite = SqliteEngine(ledger_path, clock, reach=reach)
        messages = SqliteEngine(
            settings.data_dir / MESSAGES,
            clock,
            name="message",
            migrations="message_migrations",
            page_bytes=PAGE_BYTES,
        )
        checks.extend(beside.submit(each.check, settings.start_check_seconds) for each in (sqlite, messages))
    for check in checks:
        check.result()
    return DataFolder(settings, clock, reach, secret, duck, events, sqlite, messages)


def _secret(settings: Settings, *, is_first_start: bool) -> bytes:
    """Raises `StorageDamaged` where it is lost or empty: with another one no key in the ledger would be valid."""
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.data_dir / SECRET
    if not path.exists():
        if not is_first_start:
            raise StorageDamaged(path, "it is missing beside a ledger, and TALLYBOOK_SECRET is not set")
        write_private(path, secrets.token_hex(32))
    secret = path.read_bytes().strip()
    if not secret:
        raise StorageDamaged(path, "it is empty")
    return secret
