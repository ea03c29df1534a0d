"""What an import says: the summary on stdout, everything else on stderr."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import click

from tallybook.cli.importing.plan import CsvPlan, NdjsonPlan
from tallybook.cli.importing.resume import Tally
from tallybook.cli.importing.run import Plan, Stopped
from tallybook.cli.importing.skipped import Skip, SkippedFiles
from tallybook.cli.output import print_json, print_record

FAULTS_SHOWN = 20


def note(text: str) -> None:
    click.echo(text, err=True)


def note_columns(plan: Plan, *, whole_file: bool) -> None:
    """Names the columns that were left out and, if the whole file was read, those that were asked for in vain."""
    if isinstance(plan, NdjsonPlan) and plan.never_seen and whole_file:
        note(f"no row has {', '.join(sorted(plan.never_seen))}")
    if isinstance(plan, NdjsonPlan) and plan.unknown:
        names = ", ".join(f"{name} (line {line})" for name, line in plan.unknown.items())
        note(f"not used, as no event has such fields: {names}")
    if isinstance(plan, CsvPlan) and plan.unused:
        note(f"columns not used: {', '.join(plan.unused)}")


def print_summary(path: Path, tally: Tally, *, seconds: float, rows_now: int, as_json: bool) -> None:
    """Counts of the whole import; `seconds` and `rows_now` are of this run, which may have resumed one."""
    rate = round(rows_now / max(seconds, 0.001))
    if as_json:
        times = {"seconds": Decimal(f"{seconds:.3f}"), "rows_per_second": rate}
        print_json({"file": str(path), **asdict(tally), **times})
        return
    print_record(
        {
            "rows read": f"{tally.read:,}",
            "inserted": f"{tally.inserted:,}",
            "duplicates": f"{tally.duplicates:,}",
            "conflicts": f"{tally.conflicts:,}",
            "skipped": f"{tally.skipped:,}",
            "seconds": f"{seconds:.1f}",
            "rate": f"{rate:,} rows/s",
        }
    )


def note_outcome(tally: Tally, first_skips: Sequence[Skip], files: SkippedFiles) -> None:
    """Which rows were not stored as they stand in the file, and which were stored without a price."""
    if tally.unpriced:
        note(f"{tally.unpriced:,} events have no price at their time; see `tallybook prices set`")
    for skip in first_skips:
        note(f"skipped {skip}")
    if tally.skipped:
        note(f"{tally.skipped:,} rows skipped: {files.rows_path}, reasons in {files.reasons_path}")
    if tally.conflicts:
        lines = ", ".join(map(str, tally.conflict_lines))
        more = ", ..." if tally.conflicts > len(tally.conflict_lines) else ""
        note(
            f"{tally.conflicts:,} rows are stored already with other content (another mapping, constant or "
            f"user), which was left as it is: lines {lines}{more}"
        )


def stopped_message(path: Path, stopped: Stopped) -> str:
    lines = [f"{path}: {skip}" for skip in stopped.skips[:FAULTS_SHOWN]]
    more = stopped.faults_total - len(lines)
    if more > 0:
        lines.append(f"and {more:,} more")
    return "\n".join([*lines, "mend the file, or leave such rows out with --on-error skip"])
