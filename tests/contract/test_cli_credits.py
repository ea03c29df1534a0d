"""`tallybook accounts | credits | reservations | transactions | verify` against a real server."""

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallybook.cli.main import main
from tallybook.sdk import exact_json
from tests.contract.credit_calls import unique
from tests.serving import ADMIN_KEY, ServerProcess

Run = Callable[..., Result]


def runner(server: ServerProcess) -> Run:
    def command(*words: str, key: str = ADMIN_KEY) -> Result:
        return CliRunner().invoke(main, ["--url", server.url, "--key", key, *words])

    return command


@pytest.fixture
def run(server: ServerProcess) -> Run:
    """Runs a command as the cluster admin, or under another `key`."""
    return runner(server)


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return exact_json.loads(result.stdout)


def shown(result: Result) -> dict[str, str]:
    """The `name  value` lines of one record."""
    assert result.exit_code == 0, result.output
    return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())


def refusal(result: Result) -> str:
    assert result.exit_code == 1, result.output
    return result.stderr


def test_an_account_from_creation_to_its_books(run: Run) -> None:
    user = unique("cli")
    named = ("--external-id", user)
    account = answer(run("accounts", "create", *named, "--name", "Ada", "--metadata", '{"n": 1.10}', "--json"))
    assert (account["externalId"], account["balance"], account["metadata"]) == (user, 0, {"n": Decimal("1.10")})
    added = shown(run("credits", "add", "100.5", *named, "--payment-method", "stripe"))
    assert (added["balance"], added["added"]) == ("100.5", "100.5")
    assert shown(run("credits", "deduct", "0.5", *named, "--description", "fee"))["balance"] == "100"
    held = shown(run("reservations", "create", "60", *named, "--operation", "chat", "--seconds", "60"))
    assert (held["status"], held["amount"], held["metadata"]) == ("pending", "60", '{"operation":"chat"}')
    assert shown(run("accounts", "balance", *named)) == {
        "accountId": account["id"],
        "externalId": user,
        "balance": "100",
        "reserved": "60",
        "available": "40",
    }
    confirmed = answer(run("reservations", "confirm", held["id"], "45.000001", "--json"))
    assert (confirmed["balance"], confirmed["releasedAmount"]) == (Decimal("54.999999"), Decimal("14.999999"))
    entries = answer(run("transactions", "list", "--account", account["id"], "--json"))
    assert [(entry["type"], entry["amount"], entry["description"]) for entry in entries] == [
        ("debit", Decimal("45.000001"), "chat"),
        ("debit", Decimal("0.5"), "fee"),
        ("credit", Decimal("100.5"), None),
    ]
    assert "45.000001" in run("transactions", "list", *named).stdout
    for moment in (entry["createdAt"] for entry in entries):
        newer, older = (
            answer(run("transactions", "list", *named, "--json", bound, moment)) for bound in ("--start", "--end")
        )
        assert newer + older == entries
        assert newer[-1]["createdAt"] == moment
    assert shown(run("accounts", "get", "--account", account["id"]))["balance"] == "54.999999"
    listed = run("accounts", "list", "--limit", "1")
    assert user in listed.stdout
    assert len(answer(run("accounts", "list", "--limit", "1", "--json"))) == 1


def test_holds_are_cancelled_extended_and_listed(run: Run) -> None:
    user = unique("cli")
    named = ("--external-id", user)
    run("accounts", "create", *named)
    run("credits", "add", "10", *named)
    first, second = (answer(run("reservations", "create", "1", *named, "--json"))["id"] for _ in range(2))
    cancelled = shown(run("reservations", "cancel", first))
    assert (cancelled["status"], cancelled["releasedAmount"], cancelled["available"]) == ("cancelled", "1", "9")
    before = answer(run("reservations", "list", *named, "--json"))
    assert [(row["id"], row["status"]) for row in before] == [(second, "pending"), (first, "cancelled")]
    assert shown(run("reservations", "extend", second, "86400"))["expiresAt"] > before[0]["expiresAt"]
    active = run("reservations", "list", *named, "--active-only").stdout
    assert second in active
    assert first not in active
    assert [row["id"] for row in answer(run("reservations", "list", *named, "--limit", "1", "--json"))] == [second]


def test_refusals_say_why(run: Run) -> None:
    user = unique("cli")
    named = ("--external-id", user)
    run("accounts", "create", *named)
    run("credits", "add", "10", *named)
    poor = refusal(run("credits", "deduct", "10.000001", *named))
    assert "(402 insufficient_credits): required 10.000001, available 10" in poor
    assert "(402 insufficient_credits)" in refusal(run("reservations", "create", "11", *named))
    assert "(409 conflict)" in refusal(run("accounts", "create", *named))
    assert "(404 not_found)" in refusal(run("accounts", "balance", "--account", "acc_nobody"))
    assert "amount: must be greater than 0 (400 invalid_request)" in refusal(run("credits", "add", "0", *named))
    assert "(404 not_found)" in refusal(run("reservations", "confirm", "res_nobody", "0"))
    member = answer(run("keys", "create", "--name", "member", "--json"))["key"]
    assert "may not do that (403" in refusal(run("accounts", "list", key=member))
    assert "may not do that (403" in refusal(run("verify", key=member))


@pytest.mark.parametrize(
    "words",
    [
        ("accounts", "get"),
        ("accounts", "create", "--metadata", "[]"),
        ("accounts", "create", "--metadata", "{"),
        ("credits", "add", "5"),
        ("credits", "add", "--external-id", "u"),
        ("credits", "add", "five", "--external-id", "u"),
        ("credits", "add", "1.0000001", "--external-id", "u"),
        ("credits", "deduct", "1e3", "--external-id", "u"),
        ("reservations", "create", "1", "--external-id", "u", "--seconds", "0"),
        ("reservations", "extend", "res_1", "86401"),
        ("reservations", "list"),
    ],
)
def test_commands_that_cannot_be_meant(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_empty_lists(run: Run) -> None:
    user = unique("cli")
    run("accounts", "create", "--external-id", user)
    assert run("reservations", "list", "--external-id", user).stdout == "no reservations\n"
    assert run("transactions", "list", "--external-id", user).stdout == "no transactions\n"
    assert "first of all years" in run("transactions", "list", "--end", "0001-01-01").stderr
    run("orgs", "create", user)
    assert run("accounts", "list", "--org", user).stdout == "no accounts\n"


def test_verify_finds_the_first_difference(own_server: ServerProcess) -> None:
    own_server.start()
    run = runner(own_server)
    account = answer(run("accounts", "create", "--external-id", "u", "--json"))["id"]
    run("credits", "add", "10", "--external-id", "u")
    run("reservations", "create", "1", "--external-id", "u")
    assert (
        run("verify").stdout
        == "the books agree: 1 accounts, 1 transactions, 1 reservations, 0 usage records, 0 corrections\n"
    )
    run("orgs", "create", "acme")
    assert answer(run("verify", "--all-orgs", "--json"))["orgs"] == 2
    with sqlite3.connect(own_server.data_dir / "ledger.sqlite") as file:
        file.execute("UPDATE balances SET balance = balance + 1")
    found = run("verify")
    assert found.exit_code == 1
    difference = dict(line.split(maxsplit=1) for line in found.stdout.splitlines())
    assert (difference["account_id"], difference["what"]) == (account, "balance")
    assert (difference["expected"], difference["found"]) == ("10000000", "10000001")
    as_json = run("verify", "--all-orgs", "--json")
    assert as_json.exit_code == 1
    assert exact_json.loads(as_json.stdout)["difference"]["org_id"] == "default"
    assert run("verify", "--org", "acme").exit_code == 0
