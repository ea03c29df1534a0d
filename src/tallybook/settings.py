"""Every setting of the server: its type, default and unit. Documented in `docs/settings.md`, which a test checks.

Set as `TALLYBOOK_<NAME>` in the environment, or as flags of `tallybook serve` where one exists.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TALLYBOOK_", env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(Path("./data"), description="Folder of the database files and the secrets.")

    backup_dir: Path | None = Field(
        None, description="Folder that backups are written to; by default `backups` in the data folder."
    )

    admin_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Fixes the bootstrap cluster-admin key; otherwise one is made and printed once.",
    )
    secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret for key hashes and cursors; otherwise made and kept in <data_dir>/secret.",
    )

    body_bytes_max: int = Field(16 * 2**20, ge=1024, description="Largest request body in bytes, after inflating.")
    message_bytes_max: int = Field(
        64 * 2**10, ge=1024, description="Most bytes of messages kept with an event; the rest is cut off, visibly."
    )
    batch_events_max: int = Field(10_000, ge=1, description="Most events in one request.")
    ingest_queue_events: int = Field(50_000, ge=1, description="Events waiting for the writer before 503 is answered.")
    ingest_flush_events: int = Field(10_000, ge=1, description="Most events in one commit.")
    outbox_events_max: int = Field(
        100_000,
        ge=1,
        description="Usage of the ledger waiting for the event store before 503 is answered to new usage.",
    )
    query_rows_max: int = Field(
        1_000_000, ge=1, description="Result rows of one usage query page, beyond which it is refused."
    )
    export_events_max: int = Field(10_000_000, ge=1, description="Events of one export, beyond which it is refused.")
    unpaged_buckets_max: int = Field(
        50_000, ge=1, description="Buckets of an answer that has no pages (mka1), beyond which it is refused."
    )
    list_rows_max: int = Field(
        100_000, ge=1, description="Rows of a list asked for without a page, beyond which it is refused."
    )
    correction_events_max: int = Field(
        100_000, ge=1, description="Events that may be repriced, or whose correction may be undone, in one go."
    )
    correction_rows_max: int = Field(
        10_000, ge=1, description="Differences by org, model and day that a reprice or undo may list."
    )
    idempotency_retention_days: int = Field(
        30, ge=1, description="Days for which outcomes of repeatable writes are kept."
    )

    price_catalogue: bool = Field(
        True,
        description="Record the built-in price catalogue at the first start; `tallybook prices sync` does it later.",
    )
    overlay_dir: Path | None = Field(
        None, description="Folder of price files of your own (`*.yaml`), which a sync takes over beside the catalogue."
    )

    key_requests_per_second: int | None = Field(
        None, ge=1, description="Requests of one key in a second of the clock, beyond which it is answered 429."
    )
    key_requests_per_minute: int | None = Field(None, ge=1, description="Requests of one key in a minute, likewise.")
    key_requests_per_hour: int | None = Field(None, ge=1, description="Requests of one key in an hour, likewise.")
    key_requests_per_day: int | None = Field(None, ge=1, description="Requests of one key in a day (UTC), likewise.")

    duckdb_memory: str = Field(
        "1GB",
        pattern=r"^\d+ ?([KMGT]i?B|%)$",
        description="Memory of the event store.",
    )
    duckdb_threads: int = Field(2, ge=1, description="Threads of the event store.")
    read_threads: int = Field(4, ge=1, description="Concurrent reads of usage; more wait.")
    report_threads: int = Field(
        2, ge=1, description="How many of these may be reports, so that looking up events need not wait for those."
    )
    query_memory: str = Field(
        "128MB",
        pattern=r"^\d+ ?[KMG]i?B$",
        description="Memory of one read for what it sorts and groups; more is put down in the data folder.",
    )
    query_timeout_ms: int = Field(
        30_000,
        ge=1,
        description="Longest wait of a read for its turn, and longest time that it may then take.",
    )
    run_events: int = Field(
        491_520,
        ge=1_000,
        description="Events that are put in order by org and time at a time, once as many have arrived;"
        " cheapest in multiples of 122 880.",
    )
    wal_bytes_max: int = Field(
        64 * 2**20,
        ge=2**20,
        description="Size of the event log in bytes at which it is folded into the file, between two commits.",
    )
    start_check_seconds: float = Field(
        0.25, ge=0, description="Seconds for which each database file is read through at the start, to find damage."
    )
    disk_reserve_bytes: int = Field(
        64 * 2**20,
        ge=0,
        description="Free disk space in bytes below which events are refused as storage_full.",
    )

    cors_origins: list[str] = Field(
        default_factory=list, description="Origins that browsers may call from; none by default."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    access_log: bool = Field(False, description="Log every request; failures are always logged.")
    drain_seconds: int = Field(30, ge=1, description="Longest wait for requests in flight when stopping.")
