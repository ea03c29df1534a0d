"""`tallybook models`: list and show models with their prices, and say what a call would cost."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows

RATES = ("inputPerMillion", "cachedInputPerMillion", "outputPerMillion", "perMinute", "perMillionCharacters")
COLUMNS = ("modelId", "displayName", "modelType", "tier", "contextWindow", *RATES)

_SECONDS = re.compile(r"\d{1,10}(\.\d{1,6})?", re.ASCII)


class SecondsType(click.ParamType[Decimal]):
    """Seconds in plain digits, at most six decimals."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if isinstance(value, Decimal):
            return value
        if not _SECONDS.fullmatch(value):
            self.fail(f"{value!r} is no number of seconds, such as 90 or 12.5", param, ctx)
        return Decimal(value)


@click.group()
def models() -> None:
    """List models and their prices, and estimate costs."""


@models.command("list")
@click.option("--provider", metavar="NAME", help="Only models of this provider.")
@click.option("--tier", type=click.Choice(["flagship", "standard", "economy", "free"]), help="Only models so dear.")
@shared_options
@json_option
def list_models(options: Options, as_json: bool, **narrowed: str | None) -> None:
    """List every model that has a price now; prices are US dollars."""
    with open_client(options) as client:
        rows = client.models.all(**narrowed)
    if as_json:
        print_json(rows)
    else:
        print_rows([_line(row) for row in rows], COLUMNS, empty="no models")


@models.command("show")
@click.argument("model_id", metavar="MODEL")
@shared_options
@json_option
def show(options: Options, model_id: str, as_json: bool) -> None:
    """Show what usage that names MODEL is charged as."""
    with open_client(options) as client:
        model = client.models.get(model_id)
    if as_json:
        print_json(model)
    else:
        print_record(_line(model))


@models.command("calculate")
@click.argument("model_id", metavar="MODEL")
@click.option("--input", "input_tokens", type=click.IntRange(min=0), metavar="N", help="Input tokens.")
@click.option("--output", "output_tokens", type=click.IntRange(min=0), metavar="N", help="Output tokens.")
@click.option("--cached", "cached_tokens", type=click.IntRange(min=0), metavar="N", help="Cached ones of the input.")
@click.option("--seconds", "audio_seconds", type=SecondsType(), metavar="N", help="Length of audio.")
@shared_options
@json_option
def calculate(options: Options, model_id: str, as_json: bool, **quantities: Any) -> None:
    """Say what a call of MODEL would cost now, in US dollars."""
    with open_client(options) as client:
        found = client.models.calculate(model_id, **quantities)
    if as_json:
        print_json(found)
    else:
        named = {name: found[name] for name in ("modelId", "modelName", "estimatedCostUsd")}
        print_record({**named, **found["pricing"]})


def _line(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model in one line: its rates beside it."""
    pricing = model["pricing"]
    sections = [pricing.get(name, {}) for name in ("text", "embedding", "audio")]
    rates = {name: rate for section in sections for name, rate in section.items()}
    told = {**model, "contextWindow": pricing["contextWindow"], **rates}
    return {name: told[name] for name in COLUMNS if name in told}
