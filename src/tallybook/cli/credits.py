"""`tallybook credits`: add credits to an account and deduct them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.ledger_options import CreditsType, account_options, description_option, metadata_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record


@click.group("credits")
def credits_() -> None:
    """Add credits to an account and deduct them."""


@credits_.command("add")
@click.argument("amount", type=CreditsType())
@account_options
@description_option
@click.option("--payment-method", metavar="TEXT", help="Where the payment came from.")
@metadata_option
@shared_options
@json_option
def add(options: Options, amount: Decimal, account: Mapping[str, Any], as_json: bool, **fields: Any) -> None:
    """Add credits."""
    with open_client(options) as client:
        _show(client.credits.add(amount, **account, **fields), as_json)


@credits_.command("deduct")
@click.argument("amount", type=CreditsType())
@account_options
@description_option
@metadata_option
@shared_options
@json_option
def deduct(options: Options, amount: Decimal, account: Mapping[str, Any], as_json: bool, **fields: Any) -> None:
    """Deduct available credits; held ones are not touched."""
    with open_client(options) as client:
        _show(client.credits.deduct(amount, **account, **fields), as_json)


def _show(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        print_record({name: value for name, value in answer.items() if name != "success"})
