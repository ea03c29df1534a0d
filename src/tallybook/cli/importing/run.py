"""The import itself: rows into batches, batches to the server, progress after each answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tallybook.cli.importing.plan import BadRow, CsvPlan, Event, NdjsonPlan
from tallybook.cli.importing.resume import CONFLICT_LINES_MAX, Progress, Tally
from tallybook.cli.importing.rows import Place, Row
from tallybook.cli.importing.skipped import Skip
from tallybook.sdk.client import IngestResult
from tallybook.sdk.errors import Fault, InvalidRequest

BATCH_BYTES_MAX = 4 * 2**20

Plan = CsvPlan | NdjsonPlan
Ingest = Callable[[Sequence[Event]], IngestResult]


class OnError(Enum):
    STOP = "stop"
    SKIP = "skip"


class Stopped(Exception):
    """Rows that cannot be imported; `skips` says which and why, `faults_total` how many faults there are."""

    def __init__(self, skips: Sequence[Skip], faults_total: int) -> None:
        self.skips = skips
        self.faults_total = faults_total
        super().__init__(str(skips[0]))


@dataclass
class Batch:
    """Consecutive rows. `events` are those of `rows`; rows that make none are in `skips`."""

    after: Place
    rows: list[Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    raw_bytes: int = 0

    def drop(self, skips: Sequence[Skip]) -> None:
        """Leaves out the rows of `skips`."""
        dropped = {skip.row.number for skip in skips}
        kept = [(row, event) for row, event in zip(self.rows, self.events, strict=True) if row.number not in dropped]
        self.rows = [row for row, _ in kept]
        self.events = [event for _, event in kept]
        self.skips.extend(skips)


def batches(rows: Iterator[Row], plan: Plan, *, size: int, on_error: OnError, start: Place) -> Iterator[Batch]:
    """Rows as events, at most `size` to a batch. With `STOP` a bad row raises `Stopped`."""
    batch = Batch(start)
    for row in rows:
        try:
            event = plan.event(row)
        except BadRow as error:
            skip = Skip(row, str(error), error.column, error.value)
            if on_error is OnError.STOP:
                yield batch
                raise Stopped([skip], 1) from None
            batch.skips.append(skip)
        else:
            batch.rows.append(row)
            batch.events.append(event)
        batch.after = row.after
        batch.raw_bytes += len(row.raw)
        if len(batch.rows) + len(batch.skips) >= size or batch.raw_bytes >= BATCH_BYTES_MAX:
            yield batch
            batch = Batch(row.after)
    yield batch


def deliver(batch: Batch, ingest: Ingest, plan: Plan, on_error: OnError) -> IngestResult:
    """Sends a batch; with `SKIP` again without the rows refused. Raises `Stopped` or a `ClientError`."""
    while batch.events:
        try:
            return ingest(batch.events)
        except InvalidRequest as error:
            skips = [skip for fault in error.errors if (skip := _skip_of(fault, batch, plan)) is not None]
            if not skips:  # the fault is in no row: the request as a whole was refused
                raise
            if on_error is OnError.STOP:
                raise Stopped(skips, error.faults_total) from error
            batch.drop(skips)
    return IngestResult(0, 0, 0, ())


def count(batch: Batch, result: IngestResult, progress: Progress) -> None:
    """Adds an acknowledged batch to the progress."""
    tally = progress.tally
    skipped = len({skip.row.number for skip in batch.skips})
    tally.read += len(batch.rows) + skipped
    tally.skipped += skipped
    tally.inserted += result.inserted
    tally.duplicates += result.duplicates
    tally.conflicts += result.conflicts
    tally.unpriced += sum(item.pricing == "unpriced" for item in result.results)
    _name_conflicts(batch, result, tally)
    progress.place = batch.after


def _name_conflicts(batch: Batch, result: IngestResult, tally: Tally) -> None:
    lines = [batch.rows[item.index].line for item in result.results if item.status == "conflict"]
    room = CONFLICT_LINES_MAX - len(tally.conflict_lines)
    tally.conflict_lines.extend(lines[:room])


def _skip_of(fault: Fault, batch: Batch, plan: Plan) -> Skip | None:
    """The row and column that a fault of the server is about: `("events", 3, "usage", "input_tokens")`."""
    match fault.loc:
        case ("events", int(index), *names) if 0 <= index < len(batch.rows):
            path = ".".join(map(str, names))
            return Skip(batch.rows[index], fault.msg, plan.column_of(path) or path or None)
        case _:
            return None
