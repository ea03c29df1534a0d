"""`tallybook orgs`: create and list orgs."""

import click

from tallybook.cli.connection import open_client
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows

COLUMNS = ("id", "name", "created_at")


@click.group()
def orgs() -> None:
    """Create and list orgs."""


@orgs.command("create")
@click.argument("org_id", metavar="ID")
@click.option("--name", help="Name to show. Default: the id.")
@shared_options
@json_option
def create(options: Options, org_id: str, name: str | None, as_json: bool) -> None:
    """Make an org."""
    with open_client(options) as client:
        org = client.orgs.create(org_id, name or org_id)
    if as_json:
        print_json(org)
    else:
        print_record(org)


@orgs.command("list")
@shared_options
@json_option
def list_orgs(options: Options, as_json: bool) -> None:
    """List the orgs the key may see."""
    with open_client(options) as client:
        rows = list(client.orgs.all())
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no orgs")
