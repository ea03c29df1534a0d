"""`tallybook restore`: a backup into a data folder, in this process."""

from pathlib import Path

import click

from tallybook.cli.options import PathType

_FOLDER = PathType(file_okay=False, path_type=Path)


@click.command()
@click.argument("backup", type=_FOLDER)
@click.option("--data-dir", type=_FOLDER, required=True, metavar="DIR", help="Data folder to restore into.")
@click.option("--force", is_flag=True, help="Also where there is data; it is moved aside into a folder of its own.")
def restore(backup: Path, data_dir: Path, force: bool) -> None:
    """Put a backup into a data folder that no server holds, and finish it.

    Every file is compared with the manifest first. Then the usage that was on its way from the ledger to the event
    store is delivered, as at a start. Start the server afterwards, and run `tallybook verify`.
    """
    try:
        from tallybook.server import CannotStart
        from tallybook.server import restore as restored_to
    except ModuleNotFoundError as missing:
        raise click.ClickException(
            f"the server is not installed ({missing}): pip install 'tallybook[server]'"
        ) from None
    try:
        made, replaced = restored_to(backup, data_dir, force=force)
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    counts = ", ".join(f"{count} {name}" for name, count in made.counts.items())
    click.echo(f"restored to {data_dir}: the backup of {made.created_at} with {counts}")
    if replaced is not None:
        click.echo(f"what was there is in {replaced}")
