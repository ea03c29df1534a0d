"""`tallybook prices`: list and explain prices, append dated ones, and follow the built-in catalogue."""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import instant_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import Record, json_option, print_json, print_record, print_rows
from tallybook.cli.pairs import Pair, PairsCommand, PairType
from tallybook.sdk import exact_json

COLUMNS = ("id", "models", "mode", "from", "to", "daily", "rates", "source")
CANDIDATE_COLUMNS = ("id", "origin", "models", "from", "to", "daily", "standing")
RATE_COLUMNS = ("rate", "usd", "per")
COMPARED_COLUMNS = ("verdict", "entry", "mode", "unit", "above", "theirs", "ours")
CHANGE_COLUMNS = ("models", "mode", "from", "daily", "change")
FIRST_DAY = "2000-01-01"  # the earliest day an event can be dated
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([1-9]\d*))?", re.ASCII)
_TIER = re.compile(r"(\d+):(\d+(?:\.\d+)?)", re.ASCII)
_DAILY = re.compile(r"(\d\d:\d\d(?::\d\d)?)-(\d\d:\d\d(?::\d\d)?)", re.ASCII)
_MODES = ["standard", "batch", "flex", "priority", "fast"]


@click.group()
def prices() -> None:
    """List, set and explain prices; sync the catalogue."""


@prices.command("list")
@click.option(
    "--origin",
    type=click.Choice(["org", "overlay", "catalogue"]),
    default="org",
    show_default=True,
    help="The org's own prices, or those of every org.",
)
@click.option("--provider", help="Only prices that name exactly this provider.")
@click.option("--model", help="Only prices for exactly this text.")
@shared_options
@json_option
def list_prices(options: Options, as_json: bool, **narrowed: Any) -> None:
    """List prices, newest first, past and future ones too."""
    with open_client(options) as client:
        rows = list(client.prices.all(**narrowed))
    if as_json:
        print_json(rows)
    else:
        print_rows([_shown(row) for row in rows], COLUMNS, empty="no prices")


class WhenCommand(PairsCommand):
    pair_flags = ("--when",)


_mode_option = click.option(
    "--mode", type=click.Choice(_MODES), default="standard", show_default=True, help="How the call is made."
)
_when_option = click.option(
    "--when",
    type=PairType(),
    multiple=True,
    metavar="FIELD=WORD...",
    help="Events that say so: context_level, image_operation, image_quality or image_size.",
)


@prices.command("explain", cls=WhenCommand)
@click.argument("model")
@click.option("--provider", help="The provider that events name.")
@click.option("--at", metavar="DATE", callback=instant_option, help="When the event occurs; now by default.")
@_mode_option
@_when_option
@shared_options
@json_option
def explain_price(options: Options, as_json: bool, model: str, when: tuple[Pair, ...], **asked: Any) -> None:
    """Show which price an event gets that names MODEL, every price that could have been it, and why."""
    with open_client(options) as client:
        found = client.prices.resolve(model, when=dict(when), **asked)
    if as_json:
        print_json(found)
        return
    print_record(_summary(found))
    if found["price"] is not None:
        click.echo()
        print_rows(list(_rate_rows(found["price"]["rates"])), RATE_COLUMNS, empty="no rates")
    click.echo()
    print_rows([_candidate(each) for each in found["candidates"]], CANDIDATE_COLUMNS, empty="no candidates")
    _tell_of_more(len(found["candidates"]), found["candidates_total"])


@prices.command("sync")
@shared_options
@json_option
def sync_prices(options: Options, as_json: bool) -> None:
    """Take over the catalogue installed on the server; needs a cluster admin.

    Prices are added, none is changed: what events were priced with stays as it is.
    """
    with open_client(options) as client:
        done = client.prices.sync()
    if as_json:
        print_json(done)
        return
    before = done["previous_version"]
    since = "the first sync" if before is None else "no newer version" if before == done["version"] else f"was {before}"
    click.echo(f"{done['version']} ({since}): {_count(done['recorded'], 'price')} recorded")


@prices.command("diff")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most changes to show.")
@shared_options
@json_option
def show_differences(options: Options, as_json: bool, limit: int) -> None:
    """Show what a sync would record now; needs a cluster admin."""
    with open_client(options) as client:
        found = client.prices.diff(limit=limit)
    if as_json:
        print_json(found)
        return
    click.echo(f"recorded   {found['recorded_version'] or 'no catalogue'}\ninstalled  {found['installed_version']}\n")
    print_rows([_change(each) for each in found["changes"]], CHANGE_COLUMNS, empty="a sync would record nothing")
    _tell_of_more(len(found["changes"]), found["changes_total"])


@prices.command("compare")
@click.option(
    "--litellm",
    type=click.File("rb"),
    required=True,
    help="LiteLLM's model_prices_and_context_window.json.",
)
@click.option(
    "--limit", type=click.IntRange(1, 20_000), default=100, show_default=True, help="Most differences to show."
)
@shared_options
@json_option
def compare_prices(options: Options, as_json: bool, litellm: BinaryIO, limit: int) -> None:
    """Show where another list of prices disagrees with what would be charged now; nothing is recorded."""
    try:
        listed = exact_json.loads(litellm.read())
    except ValueError as error:
        raise click.UsageError(f"{litellm.name} is not JSON: {error}") from None
    if not isinstance(listed, dict):
        raise click.UsageError(f"{litellm.name} must hold an object of models by name")
    with open_client(options) as client:
        found = client.prices.compare(listed, limit=limit)
    if as_json:
        print_json(found)
        return
    print_record({**found["verdicts"], "not reportable": sum(found["unsaid"].values())})
    click.echo()
    rows = [{**each, "theirs": _plain(each["theirs"]), "ours": _plain(each["ours"])} for each in found["differences"]]
    print_rows(rows, COMPARED_COLUMNS, empty="no differences")
    _tell_of_more(len(rows), found["differences_total"])


def _plain(usd: str | None) -> str | None:
    """Without the zeros at the end, and not more digits than a rate has."""
    if usd is None:
        return None
    text = f"{Decimal(usd):.15f}".rstrip("0")
    return text.removesuffix(".") or "0"


class SetCommand(PairsCommand):
    pair_flags = ("--rate", "--tier", "--at-least", "--when")


@prices.command("set", cls=SetCommand)
@click.option("--model", required=True, help="Model name, as events spell it.")
@click.option("--input", "input_usd", metavar="USD", help="The same as --rate input_tokens=USD.")
@click.option("--output", "output_usd", metavar="USD", help="The same as --rate output_tokens=USD.")
@click.option("--rate", "rates", type=PairType(), multiple=True, metavar="UNIT=USD[/PER]...", help="Rate of any unit.")
@click.option(
    "--tier",
    "tiers",
    type=PairType(),
    multiple=True,
    metavar="UNIT=ABOVE:USD...",
    help="Another amount for events of more than ABOVE input tokens.",
)
@click.option(
    "--at-least",
    "least",
    type=PairType(),
    multiple=True,
    metavar="UNIT=N...",
    help="The least that is charged for a request that reports any of the unit.",
)
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
@click.option("--daily", metavar="FROM-TO", help="Only for this part of each day (UTC), such as 16:30-00:30.")
@click.option("--weekdays", metavar="DAYS", help="Only on these days of the week, such as mon,tue; with --daily.")
@_when_option
@click.option("--provider", help="Only for events of this provider.")
@click.option(
    "--match",
    type=click.Choice(["equals", "prefix", "regex"]),
    default="equals",
    show_default=True,
    help="How --model is meant: a name, the beginning of names, or a pattern for whole names.",
)
@_mode_option
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
    tiers: tuple[Pair, ...],
    least: tuple[Pair, ...],
    per: int,
    daily: str | None,
    weekdays: str | None,
    when: tuple[Pair, ...],
    as_json: bool,
    **fields: Any,
) -> None:
    """Append a dated price; nothing stored is changed.

    Events are priced when they arrive, at the price valid at their own time: set prices before importing.
    """
    shorthand = [("input_tokens", input_usd), ("output_tokens", output_usd)]
    pairs = [Pair(unit, usd) for unit, usd in shorthand if usd is not None]
    sheet = rate_sheet([*pairs, *rates], per)
    add_tiers(sheet, tiers)
    add_least(sheet, least)
    window = daily_window(daily, weekdays)
    with open_client(options) as client:
        price = client.prices.put(model, sheet, daily=window, when=dict(when), **fields)
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


def add_tiers(sheet: dict[str, dict[str, Any]], pairs: Sequence[Pair]) -> None:
    """Adds `unit=above:usd` to the rate of its unit."""
    for unit, text in pairs:
        match = _TIER.fullmatch(text)
        if match is None:
            raise click.UsageError(f"the tier of {unit} must be tokens and dollars such as 200000:5, not {text!r}")
        if unit not in sheet:
            raise click.UsageError(f"{unit} has a tier and no rate")
        sheet[unit].setdefault("tiers", []).append({"above": int(match[1]), "usd": match[2]})


def add_least(sheet: dict[str, dict[str, Any]], pairs: Sequence[Pair]) -> None:
    """Adds `unit=least` to the rate of its unit."""
    for unit, text in pairs:
        if unit not in sheet:
            raise click.UsageError(f"{unit} has a least and no rate")
        if not (text.isascii() and text.isdigit()):
            raise click.UsageError(f"the least of {unit} must be a whole number, not {text!r}")
        sheet[unit]["at_least"] = int(text)


def daily_window(text: str | None, weekdays: str | None = None) -> dict[str, Any] | None:
    if text is None:
        if weekdays is not None:
            raise click.UsageError("--weekdays goes with --daily")
        return None
    match = _DAILY.fullmatch(text)
    if match is None:
        raise click.UsageError(f"--daily must be two times of day such as 16:30-00:30, not {text!r}")
    window: dict[str, Any] = {"from": match[1], "to": match[2]}
    return window if weekdays is None else {**window, "weekdays": weekdays.split(",")}


def _shown(price: Record) -> Record:
    rates = [f"{unit}={text}" for unit, text in _sheet(price["rates"]).items()]
    return {**price, **_place(price), "rates": rates}


def _place(price: Record) -> Record:
    """What a price is for and when, in few words."""
    names = price["model"] if price["provider"] is None else f"{price['provider']}:{price['model']}"
    when = " ".join(f"{field}={word}" for field, word in price["when"].items())
    matched = names if price.get("match", "equals") == "equals" else f"{price['match']} {names}"
    return {
        "models": f"{matched} if {when}" if when else matched,
        "from": _day(price["effective_from"]),
        "to": _day(price.get("effective_to")),
        "daily": None if price["daily"] is None else _window_text(price["daily"]),
    }


def _window_text(daily: Record) -> str:
    return " ".join([f"{daily['from']}-{daily['to']}", *filter(None, [",".join(daily.get("weekdays", ()))])])


def _day(instant: str | None) -> str | None:
    """A midnight as its day, which `prices set` takes as well."""
    return None if instant is None else instant.removesuffix("T00:00:00Z")


def _sheet(rates: Mapping[str, Record] | None) -> dict[str, str]:
    """The rates as `prices set` takes them: `2.5/1000000`, tiers behind it."""
    return {unit: ",".join([f"{rate['usd']}/{rate['per']}", *_tiers(rate)]) for unit, rate in (rates or {}).items()}


def _tiers(rate: Record) -> list[str]:
    least = [f"at least {rate['at_least']}"] if "at_least" in rate else []
    return [*(f"{tier['above']}:{tier['usd']}" for tier in rate.get("tiers", ())), *least]


def _summary(found: Record) -> Record:
    """What was asked, how it was understood, and what came of it."""
    matched, price = found["matched"], found["price"]
    summary = {"model": found["model"], "provider": found["provider"], "mode": found["mode"], "at": found["at"]}
    if matched is not None:
        summary["catalogue"] = f"{matched['provider']}:{matched['model']}, found by: {matched['rule']}"
    if price is None:
        return {**summary, "price": None, "because": found["reason"], "modes": found["modes"]}
    summary["price"] = f"{price['id']} ({price['origin']})"
    summary["because"] = next(each["standing"] for each in found["candidates"] if each["won"])
    return {**summary, "source": price["source"], "modes": found["modes"]}


def _rate_rows(rates: Mapping[str, Record]) -> Iterator[Record]:
    for unit, rate in rates.items():
        yield {"rate": unit, "usd": rate["usd"], "per": rate["per"]}
        for tier in rate.get("tiers", ()):
            yield {"rate": f"  above {tier['above']} input tokens", "usd": tier["usd"], "per": rate["per"]}
        if "at_least" in rate:
            yield {"rate": f"  at least {rate['at_least']} a request", "usd": None, "per": None}


def _candidate(candidate: Record) -> Record:
    price = candidate["price"]
    standing = f"taken: {candidate['standing']}" if candidate["won"] else candidate["standing"]
    return {**price, **_place(price), "standing": standing}


def _change(change: Record) -> Record:
    return {**change, **_place(change), "change": ["ends"] if change["ends"] else list(_rate_changes(change))}


def _rate_changes(change: Record) -> Iterator[str]:
    before, after = _sheet(change["rates_before"]), _sheet(change["rates_after"])
    if not before:
        yield "new:"
    for unit in before | after:
        old, new = before.get(unit), after.get(unit)
        if old != new:
            yield f"{unit}={old}->{new or 'none'}" if old else f"{unit}={new}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _tell_of_more(shown: int, total: int) -> None:
    if total > shown:
        click.echo(f"and {total - shown} more")
