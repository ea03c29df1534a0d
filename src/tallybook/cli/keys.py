"""`tallybook keys`: create, list and revoke keys."""

import click

from tallybook.cli.connection import open_client
from tallybook.cli.instants import instant_option
from tallybook.cli.options import Options, shared_options
from tallybook.cli.output import json_option, print_json, print_record, print_rows

COLUMNS = (
    "id",
    "name",
    "role",
    "scopes",
    "user_id",
    "project_id",
    "hint",
    "created_at",
    "expires_at",
    "revoked_at",
)
ROLES = ("member", "org_admin", "cluster_admin")
SCOPES = ("ingest", "read", "ledger", "correct", "admin")


@click.group()
def keys() -> None:
    """Create, list and revoke keys."""


@keys.command("create")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True, help="What the key may do.")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, help="Repeatable. Default: the role's.")
@click.option("--user", "--user-id", "user_id", metavar="USER", help="User whose usage the key writes and reads.")
@click.option("--project", "--project-id", "project_id", metavar="PROJECT", help="Project of events sent with it.")
@click.option(
    "--expires",
    "--expires-at",
    "expires_at",
    metavar="INSTANT",
    callback=instant_option,
    help="It is refused from this date or instant on.",
)
@shared_options
@json_option
def create(
    options: Options,
    name: str,
    role: str,
    scopes: tuple[str, ...],
    user_id: str | None,
    project_id: str | None,
    expires_at: str | None,
    as_json: bool,
) -> None:
    """Make a key. Its text is shown this once."""
    with open_client(options) as client:
        key = client.keys.create(
            name,
            role=role,
            scopes=list(scopes) or None,
            user_id=user_id,
            project_id=project_id,
            expires_at=expires_at,
        )
    if as_json:
        print_json(key)
        return
    print_record({name: key.get(name) for name in ("id", "org_id", "name", "role", "scopes", "key")})
    click.echo("Keep the key now: it is not shown again.", err=True)


@keys.command("list")
@shared_options
@json_option
def list_keys(options: Options, as_json: bool) -> None:
    """List the org's keys, revoked ones too."""
    with open_client(options) as client:
        rows = list(client.keys.all())
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, COLUMNS, empty="no keys")


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@shared_options
@json_option
def revoke(options: Options, key_id: str, as_json: bool) -> None:
    """Revoke a key: it stops working at once."""
    with open_client(options) as client:
        key = client.keys.revoke(key_id)
    if as_json:
        print_json(key)
    else:
        click.echo(f"revoked {key['id']}")
