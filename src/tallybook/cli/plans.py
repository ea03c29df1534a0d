"""`tallybook plans`: create, list and archive plans, and put accounts on them."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, get_args

import click

from tallybook.cli.connection import open_client
from tallybook.cli.ledger_options import CreditsType, account_options, limit_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows
from tallybook.sdk.plans import Interval

COLUMNS = ("id", "name", "credits", "interval", "occurrences", "accumulate", "price", "isActive", "createdAt")
ASSIGNMENT_COLUMNS = ("id", "planId", "name", "credits", "active", "startedAt", "expiresAt", "grants", "nextGrantAt")


@click.group()
def plans() -> None:
    """Create, list and archive plans, and put accounts on them."""


@plans.command("create")
@click.argument("name")
@click.argument("amount", type=CreditsType())
@click.argument("interval", type=click.Choice(get_args(Interval)))
@click.option("--occurrences", type=click.IntRange(min=1), metavar="N", help="Grants in all. Default: without end.")
@click.option("--accumulate/--no-accumulate", default=True, help="Whether unused credits stay when new ones come.")
@click.option("--active/--inactive", default=True, help="Whether accounts may be put on it.")
@click.option("--description", metavar="TEXT", help="Text to show.")
@click.option(
    "--price", type=CreditsType(), metavar="NUMBER", help="What it is sold for; kept and shown, nothing more."
)
@shared_options
@json_option
def create(options: Options, name: str, amount: Decimal, interval: Interval, as_json: bool, **fields: Any) -> None:
    """Make a plan of AMOUNT credits per INTERVAL (1d, week or month)."""
    with open_client(options) as client:
        _show(client.plans.create(name, amount, interval, **fields), as_json)


@plans.command("list")
@limit_option
@shared_options
@json_option
def list_plans(options: Options, limit: int | None, as_json: bool) -> None:
    """List plans, newest first, archived ones too."""
    with open_client(options) as client:
        rows = list(islice(client.plans.all(), limit))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no plans")


@plans.command("archive")
@click.argument("plan_id", metavar="ID")
@shared_options
@json_option
def archive(options: Options, plan_id: str, as_json: bool) -> None:
    """Let no further account onto a plan; those on it are granted on."""
    with open_client(options) as client:
        _show(client.plans.archive(plan_id), as_json)


@plans.command("assign")
@click.argument("plan_id", metavar="ID")
@account_options
@click.option("--deferred", is_flag=True, help="Make the first grant one interval from now, not at once.")
@shared_options
@json_option
def assign(options: Options, plan_id: str, account: Mapping[str, Any], deferred: bool, as_json: bool) -> None:
    """Put an account on a plan, in place of the one it is on."""
    with open_client(options) as client:
        made = client.plans.assign(plan_id, **account, deferred=deferred)
    if as_json:
        print_json(made)
    else:
        print_record({**_line(made["accountPlan"]), "balance": made["balance"]})


@plans.command("unassign")
@account_options
@click.option("--plan", "plan_id", metavar="ID", help="Only if it is on this plan; fails if on another.")
@shared_options
@json_option
def unassign(options: Options, account: Mapping[str, Any], plan_id: str | None, as_json: bool) -> None:
    """End an account's plan; credits granted stay."""
    with open_client(options) as client:
        ended = client.plans.unassign(**account, plan_id=plan_id)
        if ended is None and plan_id is not None and any(row["active"] for row in client.plans.of(**account)):
            raise click.ClickException("the account is not on this plan")
    if as_json:
        print_json(ended)
    elif ended is None:
        click.echo("no active plan")
    else:
        print_record(_line(ended))


@plans.command("of")
@account_options
@limit_option
@shared_options
@json_option
def of(options: Options, account: Mapping[str, Any], limit: int | None, as_json: bool) -> None:
    """List the plans an account is and was on, newest first."""
    with open_client(options) as client:
        rows = list(islice(client.plans.of(**account), limit))
    if as_json:
        print_json(rows)
    else:
        print_rows([_line(row) for row in rows], ASSIGNMENT_COLUMNS, empty="no plans")


def _line(assignment: Mapping[str, Any]) -> dict[str, Any]:
    """An assignment in one line: of its plan, the name and the credits."""
    plan = assignment["plan"]
    told = {**assignment, "name": plan["name"], "credits": plan["credits"]}
    return {name: told[name] for name in ASSIGNMENT_COLUMNS}


def _show(record: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print_record(record)
