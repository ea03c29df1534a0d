"""`tallybook usage`: who used what, when, at what cost, as a table, CSV or JSON."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import BadInstant, day_or_instant, find_zone, start_of_last
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_rows
from tallybook.cli.pairs import Pair, PairType

BUCKETS = ("1m", "5m", "15m", "1h", "1d", "1w", "1mo", "all")
LAST_DEFAULT = "30d"
_OF_WHOLE_DAYS = ("1d", "1w", "1mo")


@click.command("usage")
@click.option("--by", "group_by", multiple=True, metavar="NAMES", help="Group by these, such as model,user_id.")
@click.option("--bucket", type=click.Choice(BUCKETS), default="1d", show_default=True, help="Width of a time bucket.")
@click.option("--last", metavar="SPAN", help="Such as 12h, 30d or 2w, up to --end. [default: 30d]")
@click.option("--start", metavar="INSTANT", help="From this date or instant on, instead of --last.")
@click.option("--end", metavar="INSTANT", help="Up to this date or instant, which is left out. [default: now]")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="IANA zone that days begin in.")
@click.option("--measures", multiple=True, metavar="NAMES", help="Numbers to show, such as requests,cost_usd.")
@click.option("--filter", "filters", multiple=True, type=PairType(), help="Only such usage; may be repeated.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@shared_options
@json_option
def usage(
    options: Options,
    *,
    group_by: Sequence[str],
    bucket: str,
    last: str | None,
    start: str | None,
    end: str | None,
    timezone: str,
    measures: Sequence[str],
    filters: Sequence[Pair],
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show usage and cost in time buckets.

    Dimensions and measures are those of GET /v1/usage/query; --filter takes a dimension and its value.
    """
    if (last and start) or (as_csv and as_json):
        raise click.UsageError("--last and --start exclude each other, and so do --csv and --json")
    zone = _zone(timezone)
    until = _instant("--end", end, zone) if end else None
    asked: dict[str, Any] = {
        "start": _instant("--start", start, zone) if start else _start_of_last(last or LAST_DEFAULT, zone, until),
        "end": until,
        "bucket": bucket,
        "timezone": timezone,
        "group_by": _names(group_by),
        "measures": _names(measures),
        "filters": {name: [pair.value for pair in filters if pair.name == name] for name, _ in filters},
    }
    with open_client(options) as client:
        if as_csv:
            for page in client.usage.csv(**asked):
                click.echo(page, nl=False)
        elif as_json:
            print_json(list(client.usage.buckets(**asked)))
        else:
            rows = [_line(row, begin, bucket, zone) for begin, row in _rows(client.usage.buckets(**asked))]
            print_rows(rows, _columns(rows, asked["group_by"]), empty="no usage")


def _zone(name: str) -> tzinfo:
    try:
        return find_zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from None


def _instant(flag: str, text: str, zone: tzinfo) -> str:
    try:
        return day_or_instant(text, zone)
    except BadInstant as error:
        raise click.BadParameter(f"{text!r} {error}", param_hint=flag) from None


def _start_of_last(span: str, zone: tzinfo, end: str | None) -> str:
    """The start of the span that ends with the present, or before `end`."""
    try:
        present = datetime.fromisoformat(end) - timedelta.resolution if end else datetime.now(UTC)
        return start_of_last(span, zone, present)
    except (BadInstant, OverflowError) as error:
        raise click.BadParameter(f"{span!r} {error}", param_hint="--last") from None


def _names(given: Sequence[str]) -> list[str]:
    return [name for names in given for name in names.split(",") if name]


def _rows(buckets: Iterator[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for bucket in buckets:
        for row in bucket["results"]:
            yield bucket["start"], row


def _line(row: Mapping[str, Any], start: str, bucket: str, zone: tzinfo) -> Mapping[str, Any]:
    """A row with the start of its bucket, as the clock of the zone shows it."""
    moment = datetime.fromisoformat(start).astimezone(zone)
    label = f"{moment:%Y-%m-%d}" if bucket in _OF_WHOLE_DAYS else moment.isoformat(" ", "minutes")
    return {"start": label, **row}


def _columns(rows: Sequence[Mapping[str, Any]], group_by: Sequence[str]) -> list[str]:
    """When, who, how much."""
    return list(dict.fromkeys(["start", *group_by, *(rows[0] if rows else ())]))
