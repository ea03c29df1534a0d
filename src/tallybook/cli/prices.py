"""`tallybook prices`: list prices and append dated ones."""

import re
from collections.abc import Mapping
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import instant_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_rows
from tallybook.cli.pairs import Pair, PairsCommand, PairType

COLUMNS = (
    "id",
    "org_id",
    "provider",
    "model",
    "match",
    "mode",
    "effective_from",
    "effective_to",
    "rates",
    "source",
)
FIRST_DAY = "2000-01-01"  # the earliest day an event can be dated
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([1-9]\d*))?", re.ASCII)


@click.group()
def prices() -> None:
    """List and set prices."""


@prices.command("list")
@shared_options
@json_option
def list_prices(options: Options, as_json: bool) -> None:
    """List the org's own prices, past and future ones too."""
    with open_client(options) as client:
        rows = list(client.prices.all())
    if as_json:
        print_json(rows)
    else:
        print_rows([_shown(row) for row in rows], COLUMNS, empty="no prices")


class SetCommand(PairsCommand):
    pair_flags = ("--rate",)


@prices.command("set", cls=SetCommand)
@click.option("--model", required=True, help="Model name, as events spell it.")
@click.option("--input", "input_usd", metavar="USD", help="The same as --rate input_tokens=USD.")
@click.option("--output", "output_usd", metavar="USD", help="The same as --rate output_tokens=USD.")
@click.option("--rate", "rates", type=PairType(), multiple=True, metavar="UNIT=USD[/PER]...", help="Rate of any unit.")
@click.option(
    "--per",
    type=click.IntRange(min=1),
    default=1_000_000,
    show_default=True,
    help="Units that a rate is for.",
)
@click.option(
    "--from",
    "effective_from",
    metavar="DATE",
    default=FIRST_DAY,
    show_default=True,
    callback=instant_option,
    help="First instant it is valid for.",
)
@click.option("--to", "effective_to", metavar="DATE", callback=instant_option, help="Valid before this instant.")
@click.option("--provider", help="Only for events of this provider.")
@click.option("--match", type=click.Choice(["equals", "prefix", "regex"]), default="equals", show_default=True)
@click.option(
    "--mode",
    type=click.Choice(["standard", "batch", "flex", "priority", "fast"]),
    default="standard",
    show_default=True,
)
@click.option("--source", help="Where the price is written: a page, a contract.")
@click.option("--supersedes", metavar="ID", help="The price of the same date that this one replaces.")
@shared_options
@json_option
def set_price(
    options: Options,
    model: str,
    input_usd: str | None,
    output_usd: str | None,
    rates: tuple[Pair, ...],
    per: int,
    as_json: bool,
    **fields: Any,
) -> None:
    """Append a dated price; nothing stored is changed.

    Events are priced when they arrive, at the price valid at their own time: set prices before importing.
    """
    shorthand = [("input_tokens", input_usd), ("output_tokens", output_usd)]
    pairs = [Pair(unit, usd) for unit, usd in shorthand if usd is not None]
    sheet = rate_sheet([*pairs, *rates], per)
    with open_client(options) as client:
        price = client.prices.put(model, sheet, **fields)
    if as_json:
        print_json(price)
    else:
        print_rows([_shown(price)], COLUMNS, empty="no prices")


def rate_sheet(pairs: list[Pair], per: int) -> dict[str, dict[str, Any]]:
    """Unit -> `{"per", "usd"}` from `unit=usd` or `unit=usd/per`; the amounts stay text, digit for digit."""
    sheet: dict[str, dict[str, Any]] = {}
    for unit, text in pairs:
        match = _RATE.fullmatch(text)
        if match is None:
            raise click.UsageError(f"the rate of {unit} must be dollars such as 2.5 or 0.006/1, not {text!r}")
        if unit in sheet:
            raise click.UsageError(f"{unit} has two rates")
        sheet[unit] = {"per": int(match[2] or per), "usd": match[1]}
    if not sheet:
        raise click.UsageError("give at least one rate: --input, --output or --rate")
    return sheet


def _shown(price: Mapping[str, Any]) -> dict[str, Any]:
    rates = [f"{unit}={rate['usd']}/{rate['per']}" for unit, rate in price["rates"].items()]
    return {**price, "rates": rates}
