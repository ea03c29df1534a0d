"""`tallybook transactions`: read the ledger."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import end_option, start_option
from tallybook.cli.ledger_options import limit_option, optional_account_options
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_rows

COLUMNS = (
    "id",
    "accountId",
    "externalId",
    "type",
    "amount",
    "balanceAfter",
    "description",
    "reservationId",
    "createdAt",
)


@click.group()
def transactions() -> None:
    """Read the ledger."""


@transactions.command("list")
@optional_account_options
@start_option
@end_option
@limit_option
@shared_options
@json_option
def list_transactions(
    options: Options,
    account: Mapping[str, Any],
    start: str | None,
    end: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List credits and debits, newest first, of one account or of all."""
    with open_client(options) as client:
        last = None if end is None else _instant_before(end)  # in the Credits API the end itself counts
        rows = list(islice(client.transactions.all(**account, start=start, end=last), limit))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no transactions")


def _instant_before(end: str) -> str:
    try:
        return (datetime.fromisoformat(end) - timedelta(microseconds=1)).isoformat()
    except OverflowError:
        raise click.BadParameter("nothing is before the first of all years", param_hint="--end") from None
