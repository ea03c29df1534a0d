"""`tallybook explain`, `unpriced`, `reprice` and `undo` as they are typed, against a running server."""

import json
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner, Result

from tallybook.cli.main import main
from tests.contract.correction_calls import recorded
from tests.contract.settlement_calls import put_price
from tests.serving import ADMIN_KEY, ServerProcess

SINCE = "2024-01-01T00:00:00Z"
MARCH = "2024-03-01T12:00:00Z"


class Shell:
    def __init__(self, server: ServerProcess) -> None:
        self._options = ["--url", server.url, "--key", ADMIN_KEY]

    def __call__(self, *words: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, [*self._options, *words], input=typed)


@pytest.fixture(scope="module")
def shell(server: ServerProcess) -> Shell:
    return Shell(server)


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_unpriced_usage_is_repriced_and_undone(shell: Shell, http: httpx.Client) -> None:
    uid = recorded(http, model="late", usage={"input_tokens": 1000}, occurred_at=MARCH)
    listed = shell("unpriced", "--model", "late")
    assert uid in listed.output
    assert "no price for 'late' was known for its time" in listed.output
    assert shell("reprice", "--model", "late").output == "of 1 events none would change\n"
    put_price(http, "late", {"input_tokens": "2"}, SINCE)
    refused = shell("reprice", "--model", "late", typed="n\n")
    assert refused.exit_code == 0
    assert "2024-03-01" in refused.output
    assert "Correct 1 of 1 events?" in refused.output
    assert http.get(f"/v1/events/{uid}").json()["revision"] == 1
    done = shell("reprice", "--model", "late", "--reason", "priced late", typed="y\n")
    assert "1 events corrected as cor_" in done.output
    correction_id = done.output.split()[-1]
    assert http.get(f"/v1/events/{uid}").json()["cost_usd"] == "0.002"
    explained = shell("explain", uid)
    assert "priced: every reported unit has a rate" in explained.output
    assert "priced late" in explained.output
    undone = shell("undo", correction_id, "--yes")
    assert "1 events corrected as cor_" in undone.output
    assert http.get(f"/v1/events/{uid}").json()["pricing"] == "unpriced"


def test_json_needs_yes_to_act(shell: Shell, http: httpx.Client) -> None:
    uid = recorded(http, model="later", usage={"input_tokens": 1000}, occurred_at=MARCH)
    assert shell("reprice", "--model", "later", "--json").exit_code == 0  # there is nothing to agree to
    put_price(http, "later", {"input_tokens": "2"}, SINCE)
    told = shell("reprice", "--model", "later", "--json")
    assert_yes_is_missing(told)
    assert json.loads(told.stdout)["correction_id"] is None
    assert http.get(f"/v1/events/{uid}").json()["revision"] == 1
    done = json.loads(shell("reprice", "--model", "later", "--json", "--yes").stdout)
    assert done["changed"] == 1
    assert http.get(f"/v1/events/{uid}").json()["revision"] == 2
    undo = ("undo", done["correction_id"], "--json")
    assert_yes_is_missing(shell(*undo))
    assert json.loads(shell(*undo, "--yes").stdout)["changed"] == 1


def test_without_anyone_to_ask_yes_is_needed(shell: Shell, http: httpx.Client) -> None:
    uid = recorded(http, model="alone", usage={"input_tokens": 1000}, occurred_at=MARCH)
    put_price(http, "alone", {"input_tokens": "2"}, SINCE)
    told = shell("reprice", "--model", "alone", typed="")
    assert_yes_is_missing(told)
    assert "2024-03-01" in told.stdout
    assert http.get(f"/v1/events/{uid}").json()["revision"] == 1


def assert_yes_is_missing(told: Result) -> None:
    assert told.exit_code == 1
    assert told.stderr == "Error: nothing was done: to correct 1 events without being asked, give --yes\n"


def test_what_is_not_there_is_said(shell: Shell) -> None:
    for words in (("explain", "nonsense"), ("undo", "cor_nonsense", "--yes")):
        result = shell(*words)
        assert result.exit_code == 1
        assert "no " in result.output
