"""`tallybook`: the command group. Commands are loaded when they are run, so that help answers at once."""

import errno
import os
import sys
from importlib import import_module
from typing import Any, TypeGuard

import click

from tallybook import __version__
from tallybook.cli.options import Options, shared_options
from tallybook.files import file_fault

COMMANDS = {
    "serve": ("tallybook.cli.serve:serve", "Start the server."),
    "import": ("tallybook.cli.import_:import_", "Import usage events from a CSV or NDJSON file."),
    "usage": ("tallybook.cli.usage:usage", "Show usage and cost in time buckets."),
    "keys": ("tallybook.cli.keys:keys", "Create, list and revoke keys."),
    "orgs": ("tallybook.cli.orgs:orgs", "Create and list orgs."),
    "prices": ("tallybook.cli.prices:prices", "List, set and explain prices; sync the catalogue."),
    "accounts": ("tallybook.cli.accounts:accounts", "Create and list accounts, and ask for their balances."),
    "credits": ("tallybook.cli.credits:credits_", "Add credits to an account and deduct them."),
    "reservations": (
        "tallybook.cli.reservations:reservations",
        "Hold credits, and settle, free, extend and list the holds.",
    ),
    "transactions": ("tallybook.cli.transactions:transactions", "Read the ledger."),
    "plans": ("tallybook.cli.plans:plans", "Create, list and archive plans, and put accounts on them."),
    "models": ("tallybook.cli.models:models", "List models and their prices, and estimate costs."),
    "audit": ("tallybook.cli.audit:audit", "Show who changed keys, prices, settings and events."),
    "explain": ("tallybook.cli.explain:explain", "Show why an event costs what it costs."),
    "unpriced": ("tallybook.cli.reprice:unpriced", "List events whose cost is not known, and why."),
    "reprice": ("tallybook.cli.reprice:reprice", "Rate stored events with the prices that are known now."),
    "undo": ("tallybook.cli.reprice:undo", "Take a correction back, of however many events."),
    "verify": ("tallybook.cli.verify:verify", "Rebuild balances and reservations from their facts."),
    "export": ("tallybook.cli.export:export", "Write events to a CSV, NDJSON or Parquet file."),
    "backup": ("tallybook.cli.backup:backup", "Write a consistent copy of everything while the server works."),
    "restore": ("tallybook.cli.restore:restore", "Put a backup into a data folder."),
    "settings": ("tallybook.cli.settings:settings", "Show and change the settings of an org."),
}
"""Name -> where the command is, and its line in the help."""

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:
        """As click's; an output that cannot be written becomes a message instead of a traceback."""
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            _discard_output()
            click.echo(f"Error: cannot write to standard output: {error.strerror}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; an error of the SDK or of a file becomes a message instead of a traceback."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = file_fault(error) if _names_file(error) else _client_message(error)
            if message is None:
                raise
            raise click.ClickException(message) from error


def _discard_output() -> None:
    # What is still buffered would fail once more, and aloud, when Python exits.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _names_file(error: Exception) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.filename is not None


def _client_message(error: Exception) -> str | None:
    # Imported only now: an error of the SDK can only arise where the SDK was loaded already.
    from tallybook.cli.messages import message_of
    from tallybook.sdk.errors import ClientError

    return message_of(error) if isinstance(error, ClientError) else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="tallybook %(version)s")
@shared_options
@click.pass_context
def main(ctx: click.Context, options: Options) -> None:
    """Tallybook: a self-hosted usage book for AI platforms.

    Every command but `serve` and `restore` speaks to a running server: the one named by --url or
    TALLYBOOK_BASE_URL, else the one that runs on the data folder. The key comes from --key or
    TALLYBOOK_API_KEY, else from the data folder.
    """
    ctx.obj = options
    if options.data_dir is not None:
        ctx.default_map = {name: {"data_dir": options.data_dir} for name in ("serve", "restore")}
