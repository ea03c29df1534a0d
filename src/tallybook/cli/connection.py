"""From options, environment and data folder to the server, the key and a client."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import click

from tallybook.cli.options import Options
from tallybook.files import ADDRESS, ADMIN_KEY
from tallybook.sdk.client import Client

START_HINT = "start one with `make run` or `tallybook serve`, or name one with --url"


@dataclass(frozen=True)
class Server:
    """Where to send requests and under which key."""

    url: str
    key: str
    org_id: str | None

    def client(self, *, retries: int = 2) -> Client:
        try:
            return Client(self.url, self.key, org_id=self.org_id, retries=retries)
        except ValueError as error:
            raise click.ClickException(str(error)) from None


def find_server(options: Options) -> Server:
    """Flags first, then the environment, then the data folder of a server on this machine.

    The data folder's key goes only to the server that runs on it, or where the folder was named on the
    command line: never to some other address.
    """
    folder = options.data_dir or Path(os.environ.get("TALLYBOOK_DATA_DIR") or "data")
    running_url = _running_url(folder)
    url = options.url or os.environ.get("TALLYBOOK_BASE_URL") or running_url
    if url is None:
        raise click.ClickException(f"no server runs on {folder}; {START_HINT}")
    if not url.lower().startswith(("http://", "https://")):
        raise click.ClickException(f"{url} is no URL of a server: it must begin with http:// or https://")
    key = options.key or os.environ.get("TALLYBOOK_API_KEY")
    if not key and (options.data_dir is not None or url.rstrip("/") == running_url):
        key = _admin_key(folder)
    if not key:
        raise click.ClickException(f"no key for {url}; give one with --key or TALLYBOOK_API_KEY")
    return Server(url, key, options.org)


def open_client(options: Options) -> Client:
    return find_server(options).client()


def _running_url(folder: Path) -> str | None:
    try:
        url: str = json.loads((folder / ADDRESS).read_text())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url.rstrip("/")


def _admin_key(folder: Path) -> str | None:
    try:
        return (folder / ADMIN_KEY).read_text().strip() or None
    except OSError:
        return None
