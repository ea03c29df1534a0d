"""`tallybook keys | orgs | prices | settings` against a real server."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallybook.cli.main import main
from tests.serving import ADMIN_KEY, ServerProcess

Run = Callable[..., Result]


@pytest.fixture
def run(server: ServerProcess) -> Run:
    """Runs a command as the cluster admin, or under another `key`."""

    def command(*words: str, key: str = ADMIN_KEY) -> Result:
        return CliRunner().invoke(main, ["--url", server.url, "--key", key, *words])

    return command


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_key_from_creation_to_revocation(run: Run) -> None:
    words = ("--name", "ci", "--user", "ana", "--scope", "read", "--expires", "2100-01-01")
    made = answer(run("keys", "create", *words, "--json"))
    assert (made["role"], made["scopes"], made["user_id"]) == ("member", ["read"], "ana")
    assert made["expires_at"] == "2100-01-01T00:00:00Z"
    assert made["id"] in [key["id"] for key in answer(run("keys", "list", "--json"))]
    denied = run("keys", "list", key=made["key"])
    assert denied.exit_code == 1
    assert "this key may not do that (403" in denied.stderr
    assert run("keys", "revoke", made["id"]).stdout == f"revoked {made['id']}\n"
    assert "does not accept this key" in run("prices", "list", key=made["key"]).stderr


def test_the_text_of_a_key_is_shown_when_it_is_made_only(run: Run) -> None:
    made = run("keys", "create", "--name", "shown once")
    assert "key     tb_" in made.stdout
    assert "not shown again" in made.stderr
    listed = run("keys", "list").stdout
    assert "shown once" in listed
    assert made.stdout.split()[-1] not in listed


def test_orgs_and_their_settings(run: Run) -> None:
    assert answer(run("settings", "get", "--json"))["store_messages"] is False
    assert run("orgs", "create", "acme", "--name", "Acme Inc").exit_code == 0
    assert "Acme Inc" in run("orgs", "list").stdout
    assert "name the org with --org" in run("settings", "get").stderr
    changed = run("--org", "acme", "settings", "set", "markup_percent=12.50", "store_messages=true", "--json")
    assert (answer(changed)["markup_percent"], answer(changed)["store_messages"]) == ("12.50", True)
    assert run("settings", "get", "markup_percent", "--org", "acme").stdout == "markup_percent  12.50\n"
    assert "there is no setting" in run("settings", "get", "nope", "--org", "acme").stderr
    refused = run("settings", "set", "markup_percent=abc", "nope=1", "--org", "acme")
    assert refused.exit_code == 1
    assert "body.markup_percent: " in refused.stderr
    assert "body.nope: " in refused.stderr


def test_a_key_of_another_org(run: Run) -> None:
    run("orgs", "create", "other")
    made = answer(run("keys", "create", "--name", "admin", "--role", "org_admin", "--org", "other", "--json"))
    assert made["org_id"] == "other"
    assert [org["id"] for org in answer(run("orgs", "list", "--json", key=made["key"]))] == ["other"]
    assert run("settings", "get", key=made["key"]).exit_code == 0


def test_prices(run: Run) -> None:
    words = ("--model", "voice", "--input", "2.50", "--rate", "audio_seconds=0.0001/1", "output_tokens=10")
    made = answer(run("prices", "set", *words, "--from", "2026-01-01", "--provider", "acme", "--json"))
    assert made["rates"]["audio_seconds"] == {"usd": "0.0001", "per": 1}
    assert made["rates"]["input_tokens"]["per"] == made["rates"]["output_tokens"]["per"] == 1_000_000
    assert made["effective_from"] == "2026-01-01T00:00:00Z"
    assert "audio_seconds=0.0001/1" in run("prices", "list").stdout
    repeated = run("prices", "set", *words, "--from", "2026-01-01", "--provider", "acme")
    assert repeated.exit_code == 1
    assert "409" in repeated.stderr
    again = ("--from", "2026-01-01", "--provider", "acme", "--supersedes", made["id"])
    assert run("prices", "set", *words, *again).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--model", "m"),
        ("--model", "m", "--input", "two"),
        ("--model", "m", "--input", "1", "--rate", "input_tokens=2"),
        ("--model", "m", "--input", "1", "--from", "someday"),
        ("--input", "1"),
    ],
)
def test_prices_that_are_none(run: Run, words: tuple[str, ...]) -> None:
    assert run("prices", "set", *words).exit_code == 2
