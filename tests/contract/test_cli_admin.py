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
    changed = run("--org", "acme", "settings", "set", "markup_percent=12.50", "store_messages=true", "--json")
    assert (answer(changed)["markup_percent"], answer(changed)["store_messages"]) == ("12.50", True)
    assert run("settings", "get", "markup_percent", "--org", "acme").stdout == "markup_percent  12.50\n"
    assert "there is no setting" in run("settings", "get", "nope", "--org", "acme").stderr
    assert run("settings", "get", "markup_percent").stdout == "markup_percent  0\n"  # that of the key's own org
    assert answer(run("settings", "set", "markup_percent=1.5", "--json"))["markup_percent"] == "1.5"
    assert run("settings", "get", "markup_percent", "--org", "acme").stdout == "markup_percent  12.50\n"
    assert answer(run("settings", "set", "markup_percent=2", "credits_per_usd=50", "--json"))["markup_percent"] == "2"
    assert run("settings", "set", "markup_percent=null", "credits_per_usd=null").exit_code == 0
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
        ("--model", "m", "--input", "1", "--tier", "input_tokens=200000"),
        ("--model", "m", "--input", "1", "--tier", "output_tokens=200000:1"),
        ("--model", "m", "--input", "1", "--daily", "16:30"),
    ],
)
def test_prices_that_are_none(run: Run, words: tuple[str, ...]) -> None:
    assert run("prices", "set", *words).exit_code == 2


def test_a_price_with_tiers_and_a_daily_window(run: Run) -> None:
    words = ("--model", "night", "--input", "2", "--output", "8", "--daily", "16:30-00:30", "--per", "1000")
    tiers = ("--tier", "input_tokens=200000:4", "input_tokens=1000000:0.5", "--source", "contract 17")
    made = answer(run("prices", "set", *words, *tiers, "--from", "2026-01-01T08:00:00Z", "--json"))
    assert made["daily"] == {"from": "16:30", "to": "00:30"}
    assert made["rates"]["input_tokens"] == {
        "usd": "2",
        "per": 1000,
        "tiers": [{"above": 200_000, "usd": "4"}, {"above": 1_000_000, "usd": "0.5"}],
    }
    (heading, line) = run("prices", "list", "--model", "night").stdout.splitlines()
    assert heading.split() == ["id", "models", "mode", "from", "daily", "rates", "source"]
    assert " ".join(line.split()) == (
        f"{made['id']} night standard 2026-01-01T08:00:00Z 16:30-00:30 "
        "input_tokens=2/1000,200000:4,1000000:0.5 output_tokens=8/1000 contract 17"
    )
    refused = run("prices", "set", "--model", "m", "--input", "1", "--daily", "25:00-26:00", "--from", "2026-01-01")
    assert "body.daily.from: " in refused.stderr


def test_why_a_price_was_taken(run: Run) -> None:
    first = answer(run("prices", "set", "--model", "why", "--input", "2", "--from", "2026-01-01", "--json"))
    wide = ("--model", "wh", "--match", "prefix", "--provider", "acme", "--input", "3", "--tier", "input_tokens=9:1")
    second = answer(run("prices", "set", *wide, "--json"))
    lines = run("prices", "explain", "WHY", "--at", "2025-01-01").stdout.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "model WHY",
        "provider -",
        "mode standard",
        "at 2025-01-01T00:00:00Z",
        f"price {second['id']} (org)",
        "because in force, and none in force comes before it",
        "source -",
        "modes standard",
        "",
        "rate usd per",
        "input_tokens 3 1000000",
        "above 9 input tokens 1 1000000",
        "",
        "id origin models from standing",
        f"{first['id']} org why 2026-01-01 not in force yet",
        f"{second['id']} org prefix acme:wh 2000-01-01 taken: in force, and none in force comes before it",
    ]
    assert answer(run("prices", "explain", "why", "--json"))["price"] == first
    unknown = run("prices", "explain", "why", "--mode", "flex").stdout
    assert "because   there is no price for the mode flex, but for standard\n" in unknown
    assert "no candidates" in unknown
    assert run("prices", "explain", "why", "--mode", "cheap").exit_code == 2


def test_the_catalogue_is_compared_and_taken_over(run: Run) -> None:
    before = run("prices", "diff", "--limit", "2").stdout
    assert before.startswith("recorded   no catalogue\ninstalled  genai-prices ")
    assert before.splitlines()[3].split() == ["models", "mode", "from", "change"]
    assert "new: input_tokens=" in before
    assert "\nand " in before
    assert run("prices", "list", "--origin", "catalogue").stdout == "no prices\n"
    assert " (the first sync): " in run("prices", "sync").stdout
    assert run("prices", "sync").stdout.endswith(" (no newer version): 0 prices recorded\n")
    assert run("prices", "diff").stdout.endswith("\na sync would record nothing\n")
    assert (
        answer(run("prices", "sync", "--json"))["recorded"] == answer(run("prices", "diff", "--json"))["changes_total"]
    )
    listed = run("prices", "list", "--origin", "catalogue", "--provider", "openai", "--model", "gpt-4o").stdout
    assert "input_tokens=2.5/1000000 output_tokens=10/1000000 cache_read_tokens=1.25/1000000" in listed
    explained = run("prices", "explain", "openai:gpt-4o-2024-08-06").stdout
    assert "catalogue  openai:gpt-4o, found by: " in explained
    assert "(catalogue)\n" in explained
    made = answer(run("keys", "create", "--name", "member", "--json"))
    assert "403" in run("prices", "sync", key=made["key"]).stderr
    assert run("prices", "explain", "gpt-4o", key=made["key"]).exit_code == 0
