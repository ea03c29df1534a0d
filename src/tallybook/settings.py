"""Every setting of the server: its type, default and unit. Documented in `docs/settings.md`, which a test checks.

Set as `TALLYBOOK_<NAME>` in the environment, or as flags of `tallybook serve` where one exists.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "TALLYBOOK_"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

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
    ingest_flush_events: int = Field(
        12_288, ge=1, description="Most events in one commit. While more batches come, it waits for half as many."
    )
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
        description="Events that are put in order at a time, by org, time and user, once as many have arrived.",
    )
    wal_bytes_max: int = Field(
        128 * 2**20,
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

    cors_origins: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="Origins that browsers may call from; none by default."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    access_log: bool = Field(False, description="Log every request; failures are always logged.")
    drain_seconds: int = Field(30, ge=1, description="Longest wait for requests in flight when stopping.")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(_WORDS["list_type"]) from None

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in _LOG_LEVELS:
            raise ValueError("must be debug, info, warning or error")
        return value.lower()


class BadSettings(Exception):
    """Every setting that is at fault and why, in one line."""


def read_settings(given: Mapping[str, Any]) -> Settings:
    """`given` settings, by the flags of a command, win over the environment. Raises `BadSettings`."""
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = "; ".join(_fault(fault, given) for fault in error.errors())
        raise BadSettings(f"bad settings: {faults}") from None


_LOG_LEVELS = ("debug", "info", "warning", "error")
_WORDS = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "must be an amount of memory such as 128MB",
    "list_type": 'must be a list in JSON, such as ["https://a.example"]',
    "string_type": "must be text",
    "value_error": "{error}",
}
"""Pydantic's kind of fault -> ours in plain words."""


def _fault(fault: ErrorDetails, given: Mapping[str, Any]) -> str:
    name = str(fault["loc"][0])
    variable = f"--{name.replace('_', '-')}" if name in given else PREFIX + name.upper()
    words = _WORDS[fault["type"]].format_map(fault.get("ctx", {})) if fault["type"] in _WORDS else fault["msg"]
    is_secret = "SecretStr" in str(Settings.model_fields[name].annotation)
    return f"{variable} {words}" if is_secret else f"{variable} {words}, not {fault['input']!r}"
