"""`tallybook backup`: a consistent copy of everything that a server on this machine holds."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import click

from tallybook.cli.connection import open_client
from tallybook.cli.options import Options, PathType, shared_options
from tallybook.cli.output import json_option, print_json
from tallybook.files import file_fault


@click.command()
@click.argument("directory", metavar="DIR", type=PathType(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an earlier backup in DIR.")
@shared_options
@json_option
def backup(options: Options, directory: Path, force: bool, as_json: bool) -> None:
    """Write a consistent copy of everything to DIR, which must be new or empty, while the server works.

    It holds all that was acknowledged before it began. The server writes it into its own folder of backups, from where
    this command moves it to DIR. It has the secret in it: keep it as safe as the data folder.
    """
    directory = directory.absolute()
    _check_free(directory, force=force)
    with open_client(options) as client:
        made = client.backup(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    written = Path(made["path"])
    if not (written / _MANIFEST).is_file():
        raise click.ClickException(f"the backup is not in {directory}, but on the server's machine: {written}")
    try:
        _move(written, directory)
    except OSError as error:
        raise click.ClickException(f"{file_fault(error)}; the backup stays in {written}") from None
    made["path"] = str(directory)
    if as_json:
        print_json(made)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in made["counts"].items())
        size = sum(file["bytes"] for file in made["files"].values())
        click.echo(f"wrote {directory}: {counts}, {size} bytes, as of {made['created_at']}")


_MANIFEST = "manifest.json"


def _check_free(directory: Path, *, force: bool) -> None:
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not force:
        raise click.ClickException(f"{directory} is not empty; name another, or give --force to replace a backup")
    if not (directory / _MANIFEST).is_file():
        raise click.ClickException(f"{directory} is no backup, and not replaced even by force")


def _move(written: Path, directory: Path) -> None:
    """A rename, or where that is another disk a copy that gets its name when it is whole."""
    draft = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        written.rename(draft)
    except OSError:  # as where that is another disk
        _copy(written, draft)
        shutil.rmtree(written)
    if directory.exists():
        shutil.rmtree(directory)
    draft.rename(directory)


def _copy(written: Path, draft: Path) -> None:
    draft.mkdir(mode=0o700)
    try:
        for file in written.iterdir():
            shutil.copy2(file, draft / file.name)
    except BaseException:
        shutil.rmtree(draft)
        raise
