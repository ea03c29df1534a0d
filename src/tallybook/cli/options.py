"""The options that every command shares, before or after its name: which server, which key, which org."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click


class PathType(click.Path):
    """As click's, without the empty text: it would be the folder where one stands, and mostly is an unset variable."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


def not_empty(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value == "":
        raise click.BadParameter("it is empty")
    return value


@dataclass(frozen=True)
class Options:
    """As given on the command line; None where not given."""

    url: str | None = None
    key: str | None = None
    org: str | None = None
    data_dir: Path | None = None

    def over(self, outer: "Options | None") -> "Options":
        """These options, and those of the group where these are silent."""
        if outer is None:
            return self
        return Options(
            url=self.url or outer.url,
            key=self.key or outer.key,
            org=self.org or outer.org,
            data_dir=self.data_dir or outer.data_dir,
        )


_OPTIONS = (
    click.option("--url", metavar="URL", help="Address of the server. [env: TALLYBOOK_BASE_URL]"),
    click.option("--key", metavar="KEY", help="Key to use. [env: TALLYBOOK_API_KEY]"),
    click.option("--org", metavar="ORG", help="Org to act for; needs a cluster admin's key."),
    click.option(
        "--data-dir",
        type=PathType(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Data folder of the server on this machine. [env: TALLYBOOK_DATA_DIR; default: ./data]",
    ),
)


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the shared options and passes them as `options: Options`, filled up from the group's."""

    @wraps(function)
    def with_options(
        *args: Any, url: str | None, key: str | None, org: str | None, data_dir: Path | None, **rest: Any
    ) -> Any:
        given = Options(url=url, key=key, org=org, data_dir=data_dir)
        outer = click.get_current_context().find_object(Options)
        return function(*args, options=given.over(outer), **rest)

    decorated: Callable[..., Any] = with_options
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
