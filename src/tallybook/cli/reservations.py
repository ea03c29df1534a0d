"""`tallybook reservations`: hold credits, and settle, free, extend and list the holds."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.ledger_options import CreditsType, account_options, limit_option, metadata_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows

COLUMNS = (
    "id",
    "amount",
    "status",
    "actualAmount",
    "transactionId",
    "metadata",
    "createdAt",
    "expiresAt",
)
SECONDS = click.IntRange(1, 86_400)


@click.group()
def reservations() -> None:
    """Hold credits, and settle, free, extend and list the holds."""


@reservations.command("create")
@click.argument("amount", type=CreditsType())
@account_options
@click.option("--operation", metavar="TEXT", help="What it is for; the debit is named after it.")
@click.option("--model", metavar="TEXT", help="The model that will be called.")
@click.option("--seconds", type=SECONDS, metavar="N", help="How long it holds. Default: as the org has set.")
@metadata_option
@shared_options
@json_option
def create(options: Options, amount: Decimal, account: Mapping[str, Any], as_json: bool, **fields: Any) -> None:
    """Hold credits."""
    with open_client(options) as client:
        _show(client.reservations.create(amount, **account, **fields), as_json)


@reservations.command("list")
@account_options
@click.option("--active-only", is_flag=True, help="Only those that hold credits now.")
@limit_option
@shared_options
@json_option
def list_reservations(
    options: Options, account: Mapping[str, Any], active_only: bool, limit: int | None, as_json: bool
) -> None:
    """List the holds of an account, newest first."""
    with open_client(options) as client:
        rows = list(islice(client.reservations.all(**account, active_only=active_only), limit))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no reservations")


@reservations.command("confirm")
@click.argument("reservation_id", metavar="ID")
@click.argument("amount", type=CreditsType())
@shared_options
@json_option
def confirm(options: Options, reservation_id: str, amount: Decimal, as_json: bool) -> None:
    """Debit the actual AMOUNT and free the rest of the hold."""
    with open_client(options) as client:
        _show(client.reservations.confirm(reservation_id, amount), as_json)


@reservations.command("cancel")
@click.argument("reservation_id", metavar="ID")
@shared_options
@json_option
def cancel(options: Options, reservation_id: str, as_json: bool) -> None:
    """Free a hold without a debit."""
    with open_client(options) as client:
        _show(client.reservations.cancel(reservation_id), as_json)


@reservations.command("extend")
@click.argument("reservation_id", metavar="ID")
@click.argument("seconds", type=SECONDS)
@shared_options
@json_option
def extend(options: Options, reservation_id: str, seconds: int, as_json: bool) -> None:
    """Let a pending hold expire SECONDS from now."""
    with open_client(options) as client:
        _show(client.reservations.extend(reservation_id, seconds), as_json)


def _show(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        print_record({name: value for name, value in answer.items() if name not in ("success", "reservation")})
