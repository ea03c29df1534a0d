"""`tallybook export`: events to a file."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import end_option, instant_option, start_option
from tallybook.cli.options import Options, PathType, shared_options
from tallybook.cli.pairs import Pair, PairType
from tallybook.files import naming

FORMATS = ("csv", "ndjson", "parquet")


@click.command()
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), default="csv", show_default=True, help="Form of the file."
)
@click.option("--output", "-o", type=PathType(dir_okay=False, path_type=Path), help="File. [default: standard output]")
@start_option
@end_option
@click.option("--as-of", metavar="INSTANT", callback=instant_option, help="As it was recorded by then.")
@click.option("--filter", "filters", multiple=True, type=PairType(), help="Only such events; may be repeated.")
@click.option("--all-orgs", is_flag=True, help="Of every org; needs a cluster admin's key.")
@shared_options
def export(
    options: Options,
    *,
    file_format: str,
    output: Path | None,
    start: str | None,
    end: str | None,
    as_of: str | None,
    filters: Sequence[Pair],
    all_orgs: bool,
) -> None:
    """Write events as they are in force, one row each.

    --filter takes what GET /v1/events takes, such as user_id=ana. Money is decimal text, in Parquet a decimal number.
    A file gets its name when it is whole.
    """
    if output is None and file_format == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal; name a file with --output")
    asked: dict[str, Any] = {name: [pair.value for pair in filters if pair.name == name] for name, _ in filters}
    if all_orgs:
        asked["all_orgs"] = "true"
    with open_client(options) as client:
        parts = client.events.export(file_format, start=start, end=end, as_of=as_of, **asked)
        if output is None:
            sys.stdout.buffer.writelines(parts)
            sys.stdout.flush()
        elif output.exists() and not output.is_file():  # a pipe or a device stays what it is
            with naming(output), output.open("wb") as file:
                file.writelines(parts)
        else:
            _write_file(parts, output.resolve())


def _write_file(parts: Iterator[bytes], output: Path) -> None:
    draft = output.with_name(f"{output.name}.partial")
    with naming(draft), draft.open("wb") as file:
        try:
            file.writelines(parts)
            file.flush()
            draft.replace(output)
        except BaseException:
            draft.unlink()
            raise
