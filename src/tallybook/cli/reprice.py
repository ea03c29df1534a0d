"""`tallybook reprice`, `undo` and `unpriced`: usage gets the cost that was not known when it came."""

import sys
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import end_option, start_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_rows

DIFFERENCES = (
    "org_id",
    "day",
    "model",
    "events",
    "unpriced_before",
    "unpriced_after",
    "known_cost_usd_before",
    "known_cost_usd_after",
)
UNPRICED = ("uid", "occurred_at", "kind", "provider", "model", "unpriced_reason")
_YES = click.option("--yes", is_flag=True, help="Do not ask; needed with --json and where no one can be asked.")
_REASON = click.option("--reason", help="Kept with each correction.")
_RANGE = (
    start_option,
    end_option,
    click.option("--provider", help="Only events of this provider."),
    click.option("--model", help="Only events of this model."),
)


def _filters(command: Any) -> Any:
    for option in reversed(_RANGE):
        command = option(command)
    return command


@click.command()
@_filters
@click.option(
    "--pricing",
    type=click.Choice(["unpriced", "priced", "free"]),
    multiple=True,
    help="Events of which pricing; the unpriced ones by default.",
)
@_REASON
@_YES
@shared_options
@json_option
def reprice(
    options: Options, pricing: tuple[str, ...], reason: str | None, yes: bool, as_json: bool, **filters: Any
) -> None:
    """Rate stored events with the prices that are known now.

    Shows what changes by org, day and model, and asks before it acts; with --json it acts only with --yes, and exits
    with 1 where that is missing. `tallybook undo` takes it back.
    """
    wanted = {name: value for name, value in filters.items() if value is not None}
    if pricing:
        wanted["pricing"] = list(pricing)
    with open_client(options) as client:
        told = client.events.reprice(wanted, reason=reason, dry_run=True)
        if _is_agreed(told, yes=yes, as_json=as_json):
            _report(client.events.reprice(wanted, reason=reason), as_json=as_json)


@click.command()
@click.argument("correction_id", metavar="CORRECTION")
@_REASON
@_YES
@shared_options
@json_option
def undo(options: Options, correction_id: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Take a correction back, of however many events.

    Events that were corrected again since stay as they are. Asks before it acts, as `tallybook reprice` does.
    """
    with open_client(options) as client:
        told = client.events.undo(correction_id, reason=reason, dry_run=True)
        if _is_agreed(told, yes=yes, as_json=as_json):
            _report(client.events.undo(correction_id, reason=reason), as_json=as_json)


@click.command()
@_filters
@shared_options
@json_option
def unpriced(options: Options, as_json: bool, **filters: Any) -> None:
    """List events whose cost is not known, and why, newest first."""
    with open_client(options) as client:
        rows = list(client.events.unpriced(**filters))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, UNPRICED, empty="no unpriced events")


def _is_agreed(told: dict[str, Any], *, yes: bool, as_json: bool) -> bool:
    """Whether to go on, after telling what would change. Raises where that needs `--yes`."""
    changed: int = told["changed"]
    if as_json:
        if not yes or not changed:
            print_json(told)
        if changed and not yes:
            raise _yes_is_missing(changed)
        return changed > 0
    print_rows(told["differences"], DIFFERENCES, empty=f"of {told['matched']} events none would change")
    return changed > 0 and (yes or _is_confirmed(changed, told["matched"]))


def _is_confirmed(changed: int, matched: int) -> bool:
    try:
        return click.confirm(f"Correct {changed} of {matched} events?")
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo()  # the question ended no line
        raise _yes_is_missing(changed) from None


def _yes_is_missing(changed: int) -> click.ClickException:
    return click.ClickException(f"nothing was done: to correct {changed} events without being asked, give --yes")


def _report(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    skipped = f", {done['skipped']} skipped" if done["skipped"] else ""
    known_as = f" as {done['correction_id']}" if done["correction_id"] else ""
    click.echo(f"{done['changed']} events corrected{skipped}{known_as}")
