"""`tallybook explain`: why an event costs what it costs."""

from collections.abc import Mapping
from typing import Any

import click

from tallybook.cli.connection import open_client
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows

LINES = ("unit", "quantity", "usd", "per", "amount_usd")
CORRECTIONS = ("recorded_at", "action", "superseded", "replacement", "actor", "reason")
TRANSACTIONS = ("id", "type", "amount", "balance_before", "balance_after", "description")


@click.command()
@click.argument("uid")
@shared_options
@json_option
def explain(options: Options, uid: str, as_json: bool) -> None:
    """Show why the event UID costs what it costs.

    Each line is unit x rate = amount; they add up to the cost. What the same usage would cost with the prices that are
    known today is shown beside it.
    """
    with open_client(options) as client:
        found = client.events.explain(uid)
    if as_json:
        print_json(found)
        return
    print_record(_summary(found))
    click.echo()
    print_rows(found["cost"]["lines"], LINES, empty="no line of a cost")
    _section("corrections", found["corrections"], CORRECTIONS)
    _section("transactions", found.get("transactions", []), TRANSACTIONS)


def _section(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if rows:
        click.echo(f"\n{title}")
        print_rows(rows, columns, empty="")


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    event, cost, price = found["event"], found["cost"], found["price"]
    told = {
        "event": f"{event['id']} ({event['kind']}), revision {event['revision']}" + ", voided" * found["voided"],
        "occurred": event["occurred_at"],
        "model": event.get("model"),
        "usage": event["usage"],
        "cost": cost["cost_usd"],
        "because": f"{cost['pricing']}: {cost['because']}",
        "price": None if price is None else f"{price['id']} ({price['origin']}), since {price['effective_from']}",
        "source": None if price is None else price["source"],
        "known today, at its time": _again(found["recomputed"]["at_its_time"]),
        "at today's price": _again(found["recomputed"]["today"]),
    }
    return {name: value for name, value in told.items() if value is not None}


def _again(recomputed: Mapping[str, Any]) -> str:
    return recomputed["cost_usd"] or str(recomputed["pricing"])
