"""`tallybook verify`: do the balances and reservations follow from the facts?"""

import click

from tallybook.cli.connection import open_client
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record

COUNTED = ("accounts", "transactions", "reservations", "usage_records", "corrections")


@click.command()
@click.option("--all-orgs", is_flag=True, help="Every org; needs a cluster admin's key.")
@shared_options
@json_option
@click.pass_context
def verify(ctx: click.Context, options: Options, all_orgs: bool, as_json: bool) -> None:
    """Rebuild balances and reservations from transactions and reservation facts.

    Exits with 1 at the first difference and prints it; amounts are then in microcredits.
    """
    with open_client(options) as client:
        result = client.verify(all_orgs=all_orgs)
    difference = result["difference"]
    if as_json:
        print_json(result)
    elif difference is None:
        counts = ", ".join(f"{result[name]} {name.replace('_', ' ')}" for name in COUNTED)
        click.echo(f"the books agree: {counts}")
    else:
        print_record(difference)
    ctx.exit(0 if difference is None else 1)
