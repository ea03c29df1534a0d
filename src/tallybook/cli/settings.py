"""`tallybook settings`: show and change the settings of an org."""

from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record
from tallybook.cli.pairs import Pair, PairType
from tallybook.sdk import exact_json
from tallybook.sdk.client import Client


@click.group()
def settings() -> None:
    """Show and change the settings of an org."""


@settings.command("get")
@click.argument("name", required=False)
@shared_options
@json_option
def get(options: Options, name: str | None, as_json: bool) -> None:
    """Show the settings, or the value of the one named."""
    with open_client(options) as client:
        values = client.settings.get(_org_id(client, options))
    if name is not None and name not in values:
        raise click.UsageError(f"there is no setting {name}; there are: {', '.join(values)}")
    _show(values if name is None else {name: values[name]}, as_json)


@settings.command("set")
@click.argument("pairs", type=PairType(), nargs=-1, required=True, metavar="NAME=VALUE...")
@shared_options
@json_option
def set_values(options: Options, pairs: tuple[Pair, ...], as_json: bool) -> None:
    """Change settings from now on; `null` goes back to the default."""
    values = {pair.name: _value(*pair) for pair in pairs}
    with open_client(options) as client:
        changed = client.settings.change(_org_id(client, options), values)
    _show(changed, as_json)


def _show(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        print_record(values)


def _org_id(client: Client, options: Options) -> str:
    """The org named by --org, else the key's own."""
    return client.keys.org_id() if options.org is None else options.org


def _value(name: str, text: str) -> Any:
    """A JSON boolean, integer or null where the text is one; all else, decimals too, is sent as text."""
    try:
        value = exact_json.loads(text)
    except ValueError:
        return text
    is_meant = value is None or (isinstance(value, int) and name not in _DECIMALS)
    return value if is_meant else text


_DECIMALS = {"credits_per_usd", "markup_percent"}
"""Settings that are decimals, though they may look like integers."""
