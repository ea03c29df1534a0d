"""`tallybook audit`: who changed what."""

from itertools import islice

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import end_option, start_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_rows

COLUMNS = ("at", "actor", "action", "subject", "before", "after", "reason", "correction_id")


@click.command("audit")
@start_option
@end_option
@click.option("--actor", metavar="KEY_ID", help="Only what this key changed.")
@click.option("--action", metavar="ACTION", help="Only this, such as key.created or event.voided.")
@click.option("--subject", metavar="ID", help="Only changes of this key, org, price or event.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most changes to show.")
@shared_options
@json_option
def audit(
    options: Options,
    start: str | None,
    end: str | None,
    actor: str | None,
    action: str | None,
    subject: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show changes of keys, orgs, settings and prices, and corrections of events, newest first."""
    with open_client(options) as client:
        found = client.audit.all(start=start, end=end, actor=actor, action=action, subject=subject)
        rows = list(islice(found, limit))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no changes")
