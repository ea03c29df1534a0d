"""`tallybook serve`: the server in this process."""

import gc
from pathlib import Path

import click

from tallybook.cli.options import PathType, not_empty


@click.command()
@click.option("--host", callback=not_empty, help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one (default 8080).")
@click.option("--data-dir", type=PathType(path_type=Path), help="Folder of the databases (default ./data).")
def serve(host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Start the server. Every setting also exists as TALLYBOOK_… in the environment (docs/settings.md)."""
    gc.disable()  # until the server runs: a start makes no garbage, and would be searched for it again and again
    try:
        from tallybook.server import CannotStart, run
    except ModuleNotFoundError as missing:
        raise click.ClickException(
            f"the server is not installed ({missing}): pip install 'tallybook[server]'"
        ) from None
    given = {"host": host, "port": port, "data_dir": data_dir}
    try:
        run({name: value for name, value in given.items() if value is not None})
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
