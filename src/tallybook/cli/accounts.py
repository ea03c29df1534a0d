"""`tallybook accounts`: create and list accounts, and ask for their balances."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.ledger_options import account_options, limit_option, metadata_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows

COLUMNS = ("id", "externalId", "name", "email", "balance", "metadata", "createdAt")


@click.group()
def accounts() -> None:
    """Create and list accounts, and ask for their balances."""


@accounts.command("create")
@click.option("--external-id", metavar="ID", help="Your own id for it; no two accounts have the same.")
@click.option("--name", help="Name to show.")
@click.option("--email", help="Contact.")
@metadata_option
@shared_options
@json_option
def create(options: Options, as_json: bool, **fields: Any) -> None:
    """Make an account, with a balance of 0."""
    with open_client(options) as client:
        _show(client.accounts.create(**fields), as_json)


@accounts.command("list")
@limit_option
@shared_options
@json_option
def list_accounts(options: Options, limit: int | None, as_json: bool) -> None:
    """List the org's accounts, newest first."""
    with open_client(options) as client:
        rows = list(islice(client.accounts.all(), limit))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no accounts")


@accounts.command("get")
@account_options
@shared_options
@json_option
def get(options: Options, account: Mapping[str, Any], as_json: bool) -> None:
    """Show an account."""
    with open_client(options) as client:
        _show(client.accounts.get(**account), as_json)


@accounts.command("balance")
@account_options
@shared_options
@json_option
def balance(options: Options, account: Mapping[str, Any], as_json: bool) -> None:
    """Show an account's balance, and how much of it is reserved and available."""
    with open_client(options) as client:
        _show(client.accounts.balance(**account), as_json)


def _show(record: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print_record(record)
