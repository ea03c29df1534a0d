"""What the commands of the ledger share: which account, how many credits, metadata."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import wraps
from typing import Any

import click

from tallybook.sdk import exact_json

_CREDITS = re.compile(r"\d{1,10}(\.\d{1,6})?", re.ASCII)
_CREDITS_RULE = "at most ten digits and six decimals without a sign, such as 100 or 0.25"


class CreditsType(click.ParamType[Decimal]):
    """Credits in plain digits: at most ten before the point and six after it, no sign."""

    name = "credits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if isinstance(value, Decimal):
            return value
        if not _CREDITS.fullmatch(value):
            self.fail(f"{value!r} is no amount of credits: {_CREDITS_RULE}", param, ctx)
        return Decimal(value)


class MetadataType(click.ParamType[Mapping[str, Any]]):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        try:
            metadata = exact_json.loads(value)
        except ValueError as error:
            self.fail(f"is not JSON: {error}", param, ctx)
        if not isinstance(metadata, dict):
            self.fail("must be a JSON object", param, ctx)
        return metadata


metadata_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--metadata", type=MetadataType(), metavar="JSON", help="A JSON object to keep with it."
)
description_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--description", metavar="TEXT", help="Text of the ledger entry."
)
limit_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N."
)


def account_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--account` and `--external-id`, one of which is needed, and passes both as `account: dict`."""
    return _account_options(function, required=True)


def optional_account_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `account_options`, and without either it is every account."""
    return _account_options(function, required=False)


def _account_options(function: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    @wraps(function)
    def with_account(*args: Any, account_id: str | None, external_id: str | None, **rest: Any) -> Any:
        if required and account_id is None and external_id is None:
            raise click.UsageError("name the account with --account or --external-id")
        return function(*args, account={"account_id": account_id, "external_id": external_id}, **rest)

    decorated: Callable[..., Any] = with_account
    for option in (
        click.option("--external-id", metavar="ID", help="The account, by your own id."),
        click.option("--account", "account_id", metavar="ID", help="The account, by its id (acc_…)."),
    ):
        decorated = option(decorated)
    return decorated
