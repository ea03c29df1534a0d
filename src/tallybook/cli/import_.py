"""`tallybook import`: usage events from a CSV or NDJSON file, through HTTP, once each."""

import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from tallybook.cli.connection import find_server
from tallybook.cli.importing.bar import Advance, open_bar
from tallybook.cli.importing.plan import BadPlan, CsvPlan, Mapping, NdjsonPlan
from tallybook.cli.importing.report import (
    FAULTS_SHOWN,
    note,
    note_columns,
    note_outcome,
    print_summary,
    stopped_message,
)
from tallybook.cli.importing.resume import Progress, ProgressFile, Tally, fingerprint
from tallybook.cli.importing.rows import START, CsvRows, NdjsonRows, Unreadable
from tallybook.cli.importing.run import Batch, OnError, Plan, Stopped, batches, count, deliver
from tallybook.cli.importing.skipped import Skip, SkippedFiles
from tallybook.cli.instants import find_zone
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record
from tallybook.cli.pairs import Pair, PairsCommand, PairType
from tallybook.files import naming
from tallybook.sdk import exact_json
from tallybook.sdk.client import Client, IngestResult
from tallybook.sdk.errors import ClientError

FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
RETRIES = 7  # with their pauses about half a minute: a server may be restarted under an import
DRY_RUN_EVENTS = 3

Rows = CsvRows | NdjsonRows


class ImportCommand(PairsCommand):
    pair_flags = ("--map", "--set")


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    path: Path
    format: str
    mapping: Mapping
    batch_size: int
    on_error: OnError
    state_dir: Path
    restart: bool

    def state_path(self, ending: str) -> Path:
        return self.state_dir / f"{self.path.name}.{ending}"


@click.command("import", cls=ImportCommand)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "format_", type=click.Choice(["csv", "ndjson"]), help="Default: by the file's ending.")
@click.option(
    "--map",
    "columns",
    type=PairType(),
    multiple=True,
    metavar="FIELD=COLUMN...",
    help="Take these fields from these columns. Default: columns named like fields.",
)
@click.option(
    "--set",
    "constants",
    type=PairType(),
    multiple=True,
    metavar="FIELD=VALUE...",
    help="Give these fields this value in every row.",
)
@click.option("--source", help="Where the events come from, part of their identity. Default: the file's name.")
@click.option("--timezone", "zone_name", default="UTC", show_default=True, help="Zone of times that name none.")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    metavar="ROWS",
    help="Rows sent at a time.",
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="At a bad row: stop, or write it to FILE.skipped and go on.",
)
@click.option("--dry-run", is_flag=True, help="Read the whole file, show the first events, send nothing.")
@click.option("--restart", is_flag=True, help="Start at the first row, whatever FILE.progress says.")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of FILE.progress and FILE.skipped. Default: that of FILE.",
)
@shared_options
@json_option
def import_(
    options: Options,
    path: Path,
    format_: str | None,
    columns: tuple[Pair, ...],
    constants: tuple[Pair, ...],
    source: str | None,
    zone_name: str,
    batch_size: int,
    on_error: str,
    dry_run: bool,
    restart: bool,
    state_dir: Path | None,
    as_json: bool,
) -> None:
    """Import usage events from a CSV or NDJSON file.

    Importing the same file again stores nothing twice: an event is known by its source and by the number and
    text of its row. An import that was interrupted goes on where it stopped when the same command is run
    again.

    \b
    tallybook import trace.csv --map occurred_at=TIMESTAMP input_tokens=ContextTokens \\
        --set model=gpt-4o user_id=ana
    """
    try:
        zone = find_zone(zone_name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from None
    fixed = constants if source is None else (*constants, Pair("source", source))
    request = Request(
        path=path,
        format=format_ or _format_of(path),
        mapping=Mapping(columns=columns, constants=fixed, source=path.name, zone=zone),
        batch_size=batch_size,
        on_error=OnError(on_error),
        state_dir=state_dir or path.parent,
        restart=restart,
    )
    try:
        with path.open("rb") as file:
            with naming(path):
                rows, plan = _opened(file, request)
            if dry_run:
                _dry_run(request, rows, plan, as_json=as_json)
            else:
                _import(request, options, file, rows, plan, as_json=as_json)
    except BadPlan as error:
        raise click.UsageError(str(error)) from None
    except Unreadable as error:
        raise click.ClickException(f"{path}: {error}") from None
    except Stopped as error:
        raise click.ClickException(stopped_message(path, error)) from None


def _format_of(path: Path) -> str:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise click.UsageError(f"cannot tell the format of {path.name}; give --format csv or ndjson") from None


def _opened(file: BinaryIO, request: Request) -> tuple[Rows, Plan]:
    if not file.read(1):
        raise Unreadable("the file is empty")
    plan: Plan
    rows: Rows
    if request.format == "csv":
        rows = CsvRows(file)
        plan = CsvPlan(request.mapping, rows.columns)
    else:
        rows = NdjsonRows(file)
        plan = NdjsonPlan(request.mapping)
    if not plan.dates_events:
        note("no column gives occurred_at: the events will be dated at their arrival")
    return rows, plan


def _dry_run(request: Request, rows: Rows, plan: Plan, *, as_json: bool) -> None:
    """Makes every event and sends none."""
    tally = Tally()
    shown: list[dict[str, Any]] = []
    first_skips: list[Skip] = []
    for batch in batches(rows.read(), plan, size=request.batch_size, on_error=request.on_error, start=START):
        count(batch, IngestResult(0, 0, 0, ()), Progress(tally=tally))
        shown.extend(islice(batch.events, DRY_RUN_EVENTS - len(shown)))
        first_skips.extend(batch.skips[: FAULTS_SHOWN - len(first_skips)])
    note_columns(plan, whole_file=True)
    for skip in first_skips:
        note(str(skip))
    if as_json:
        print_json({"dry_run": True, "rows_read": tally.read, "bad_rows": tally.skipped, "events": shown})
    else:
        for event in shown:
            click.echo(exact_json.dumps(event))
        print_record({"rows read": tally.read, "bad rows": tally.skipped, "sent": "nothing (--dry-run)"})
    if tally.skipped:
        raise SystemExit(1)


def _import(request: Request, options: Options, file: BinaryIO, rows: Rows, plan: Plan, *, as_json: bool) -> None:
    """Sends the rows not yet acknowledged. Exits with 1 where a row is not stored as it stands."""
    server = find_server(options)
    identity = fingerprint(file, [request.format, request.mapping, server.url, server.key, server.org_id])
    progress_file = ProgressFile(request.state_path("progress"), identity)
    progress = (None if request.restart else progress_file.load()) or Progress()
    tally, rows_before = progress.tally, progress.tally.read
    if progress.place != START:
        note(f"continuing after row {rows_before:,} ({progress_file.path}; --restart starts over)")
    skipped = SkippedFiles(request.state_path("skipped"), header=rows.header_raw, sizes=progress.skipped_bytes)
    bar = open_bar(request.path.stat().st_size, bytes_done=progress.place.offset, rows_done=rows_before)
    started = time.monotonic()
    with bar as advance, server.client(retries=RETRIES) as client:
        run = _Run(progress, progress_file, skipped, advance)
        client.check_health()  # says at once, without the long retries of sending, when there is no server
        try:
            _send(request, rows, plan, client, run)
        except (ClientError, Stopped, Unreadable, OSError, KeyboardInterrupt):
            note_columns(plan, whole_file=False)
            note(f"stopped: {tally.read:,} rows are done; the same command goes on from there")
            raise
    seconds = time.monotonic() - started
    progress_file.delete()
    rows_now = tally.read - rows_before
    print_summary(request.path, tally, seconds=seconds, rows_now=rows_now, as_json=as_json)
    note_columns(plan, whole_file=rows_before == 0)
    note_outcome(tally, run.first_skips, skipped)
    if tally.skipped or tally.conflicts:
        raise SystemExit(1)


def _send(request: Request, rows: Rows, plan: Plan, client: Client, run: "_Run") -> None:
    # One batch at a time: two in flight were no faster, client and server being busy in turn.
    start = run.progress.place
    parts = batches(rows.read(start), plan, size=request.batch_size, on_error=request.on_error, start=start)
    for batch in parts:
        run.acknowledged(batch, deliver(batch, client.ingest, plan, request.on_error))


@dataclass
class _Run:
    """An import under way: keeps the progress file and the skipped rows in step with acknowledged batches."""

    progress: Progress
    file: ProgressFile
    skipped: SkippedFiles
    advance: Advance
    resumable: bool = True
    first_skips: list[Skip] = field(default_factory=list)

    def acknowledged(self, batch: Batch, result: IngestResult) -> None:
        self.skipped.write(batch.skips)
        self.first_skips.extend(batch.skips[: FAULTS_SHOWN - len(self.first_skips)])
        count(batch, result, self.progress)
        self.progress.skipped_bytes = self.skipped.sizes
        self._save()
        self.advance(self.progress.place.offset, self.progress.tally.read)

    def _save(self) -> None:
        if not self.resumable:
            return
        try:
            self.file.save(self.progress)
        except OSError as error:
            self.resumable = False
            note(f"cannot write {self.file.path} ({error.strerror}): no resuming; see --state-dir")
