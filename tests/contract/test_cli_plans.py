"""`tallybook plans` against a real server."""

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


@pytest.fixture
def run(server: ServerProcess) -> Run:
    def command(*words: str) -> Result:
        return CliRunner().invoke(main, ["--url", server.url, "--key", ADMIN_KEY, *words])

    return command


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return exact_json.loads(result.stdout)


def shown(result: Result) -> dict[str, str]:
    """The `name  value` lines of one record."""
    assert result.exit_code == 0, result.output
    return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())


def test_a_plan_from_creation_to_its_archive(run: Run) -> None:
    words = ("--occurrences", "12", "--no-accumulate", "--price", "49.99", "--description", "for teams")
    plan = answer(run("plans", "create", "Team", "100.5", "month", *words, "--json"))
    said = [plan[name] for name in ("name", "credits", "interval", "occurrences", "accumulate", "price", "isActive")]
    assert said == ["Team", Decimal("100.5"), "month", 12, False, Decimal("49.99"), True]
    assert plan == answer(run("plans", "list", "--limit", "1", "--json"))[0]
    assert plan["id"] in run("plans", "list").stdout
    user = ("--external-id", unique("cli"))
    run("accounts", "create", *user)
    assigned = shown(run("plans", "assign", plan["id"], *user))
    assert (assigned["balance"], assigned["grants"], assigned["active"]) == ("100.5", "1", "true")
    (line,) = answer(run("plans", "of", *user, "--json"))
    assert (line["planId"], line["plan"]["name"]) == (plan["id"], "Team")
    assert "Team" in run("plans", "of", *user).stdout
    assert shown(run("plans", "archive", plan["id"]))["isActive"] == "false"
    refused = run("plans", "assign", plan["id"], *user)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the plan is not active" in refused.stderr


def test_a_deferred_plan_is_assigned_and_ended(run: Run) -> None:
    plan = answer(run("plans", "create", "Daily", "1", "1d", "--json"))
    user = ("--external-id", unique("cli"))
    run("accounts", "create", *user)
    made = answer(run("plans", "assign", plan["id"], *user, "--deferred", "--json"))
    assert (made["balance"], made["accountPlan"]["grants"]) == (0, 0)
    assert answer(run("plans", "unassign", *user, "--plan", plan["id"], "--json"))["active"] is False
    assert run("plans", "unassign", *user).stdout == "no active plan\n"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_plan_of_an_account_is_not_ended_by_the_name_of_another(run: Run, form: tuple[str, ...]) -> None:
    plan, other = (answer(run("plans", "create", name, "1", "1d", "--json"))["id"] for name in ("One", "Other"))
    user = ("--external-id", unique("cli"))
    run("accounts", "create", *user)
    run("plans", "assign", plan, *user)
    refused = run("plans", "unassign", *user, "--plan", other, *form)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "Error: the account is not on this plan\n"
    assert answer(run("plans", "unassign", *user, "--plan", plan, "--json"))["active"] is False
    assert run("plans", "unassign", *user, "--plan", other).stdout == "no active plan\n"


@pytest.mark.parametrize(
    "words",
    [
        ("create", "Pro", "0.0000001", "month"),
        ("create", "Pro", "1", "year"),
        ("create", "Pro", "1", "month", "--occurrences", "0"),
        ("assign", "plan_1"),
        ("of",),
    ],
)
def test_nonsense_is_refused_before_it_is_sent(run: Run, words: tuple[str, ...]) -> None:
    assert run("plans", *words).exit_code == 2
