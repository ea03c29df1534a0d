"""`GET /v1/audit` and `tallybook audit`: every change with its actor, from what, to what; walls, filters, pages."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tallybook.cli.main import main
from tests.contract.correction_calls import amend, correct, corrected
from tests.contract.readers import Org, answered, org_on, refused
from tests.contract.settlement_calls import MODEL, put_price
from tests.serving import ServerProcess

PATH = "/v1/audit"


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other"):
        yield made


def lines(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(client, PATH, limit=1000, **query)["data"]
    return found


def told(client: httpx.Client, subject: str) -> list[tuple[Any, ...]]:
    """Action, before and after of what became of it, oldest first."""
    found = reversed(lines(client, subject=subject))
    return [(line["action"], line["before"], line["after"]) for line in found]


def test_keys_orgs_settings_and_prices_with_what_they_were(org: Org) -> None:
    key = org.cluster.post("/v1/keys", json={"name": "ci", "role": "member", "user_id": "eve"}).json()
    org.admin.delete(f"/v1/keys/{key['id']}").raise_for_status()
    org.admin.delete(f"/v1/keys/{key['id']}").raise_for_status()  # changes nothing
    (made, before_made, after_made), revoked = told(org.admin, key["id"])
    assert (made, before_made) == ("key.created", None)
    assert (after_made["name"], after_made["user_id"], after_made["revoked_at"]) == ("ci", "eve", None)
    assert key["key"] not in json.dumps(lines(org.cluster))
    assert revoked[0] == "key.revoked"
    assert revoked[1] == {"revoked_at": None}
    assert revoked[2]["revoked_at"].startswith("20")

    org.admin.patch("/v1/orgs/acme/settings", json={"markup_percent": "5"}).raise_for_status()
    org.admin.patch("/v1/orgs/acme/settings", json={"markup_percent": "7"}).raise_for_status()
    created, *changed = told(org.admin, "acme")
    assert created[0] == "org.created"
    assert changed == [
        ("org.settings_changed", {"markup_percent": None}, {"markup_percent": "5"}),
        ("org.settings_changed", {"markup_percent": "5"}, {"markup_percent": "7"}),
    ]

    put_price(org.admin, MODEL, {"input_tokens": "2.5"}, "2020-01-01T00:00:00Z")
    (line,) = lines(org.admin, action="price.recorded")
    assert line["after"]["rates"] == {"input_tokens": {"usd": "2.5", "per": 1000000}}
    assert line["after"]["effective_from"] == "2020-01-01T00:00:00Z"
    assert line["after"]["daily"] is None


@pytest.mark.parametrize(
    "daily",
    [{"from": "22:00", "to": "06:30:15"}, {"from": "00:00", "to": "12:00", "weekdays": ["mon", "sun"]}],
)
def test_a_daily_window_is_told_as_it_is_given(org: Org, daily: dict[str, Any]) -> None:
    price = {"model": "nightly", "effective_from": "2021-01-01T00:00:00Z", "daily": daily}
    rates = {"input_tokens": {"usd": "1", "per": 1000}}
    made = org.admin.put("/v1/prices", json={**price, "rates": rates}).raise_for_status().json()
    ((_, _, after),) = told(org.admin, made["id"])
    assert after["daily"] == made["daily"] == daily


def test_corrections_with_both_revisions_and_their_reasons(org: Org) -> None:
    (uid,) = org.send({"id": "corrected", "kind": "embedding", "user_id": "ana", "usage": {"audio_seconds": 2}})
    corrected(
        correct(
            org.admin,
            uid,
            "amend",
            expected_revision=1,
            set={"user_id": "bob", "usage": {"audio_seconds": 1.5}},
            reason="miscounted",
        )
    )
    corrected(correct(org.admin, uid, "void", expected_revision=2, reason="never happened"))
    corrected(correct(org.admin, uid, "restore", expected_revision=2, reason="it did"))
    amended, voided, restored = told(org.admin, uid)
    assert amended == (
        "event.amended",
        {"revision": 1, "user_id": "ana", "usage.audio_seconds": "2"},
        {"revision": 2, "user_id": "bob", "usage.audio_seconds": "1.5"},
    )
    assert (voided[0], voided[1]["revision"], voided[2]) == ("event.voided", 2, None)
    assert (restored[0], restored[1], restored[2]["revision"]) == ("event.restored", None, 3)
    found = lines(org.admin, subject=uid)
    undone = org.admin.post(f"/v1/corrections/{found[0]['correction_id']}/undo", json={"dry_run": True})
    assert undone.raise_for_status().json()["changed"] == 1
    assert [line["reason"] for line in found] == ["it did", "never happened", "miscounted"]
    (admin_id,) = {line["actor"] for line in found}
    assert lines(org.admin, actor=admin_id, action="event.voided", subject=uid) == [found[1]]


def test_a_correction_of_paid_usage_is_there_at_once(org: Org) -> None:
    account = org.admin.post("/v1/accounts/create", json={"name": "a"}).json()
    account_id = account.get("account", account)["id"]
    org.admin.post("/v1/accounts/credits/add", json={"accountId": account_id, "amount": 10}).raise_for_status()
    paid = org.admin.post("/v1/accounts/credits/deduct", json={"accountId": account_id, "amount": 1}).json()
    (uid,) = org.send({"id": "paid", "transaction_id": paid["transactionId"], "usage": {"input_tokens": 5}})
    corrected(amend(org.admin, uid, 1, usage={"input_tokens": 4}))
    ((action, before, after),) = told(org.admin, uid)
    assert (action, before["usage.input_tokens"], after["usage.input_tokens"]) == ("event.amended", "5", "4")


def test_pages_are_complete_and_newest_first(org: Org) -> None:
    everything = lines(org.cluster)
    assert [line["at"] for line in everything] == sorted((line["at"] for line in everything), reverse=True)
    assert len({line["id"] for line in everything}) == len(everything)
    walked: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True, "next_page": None}
    while page["has_more"]:
        after = {} if page["next_page"] is None else {"page": page["next_page"]}
        page = answered(org.cluster, PATH, limit=1, **after)
        walked += page["data"]
    assert walked == everything
    middle = everything[len(everything) // 2]["at"]
    newer, older = lines(org.cluster, start=middle), lines(org.cluster, end=middle)
    assert newer + older == everything


def test_walls(org: Org) -> None:
    assert {line["org_id"] for line in lines(org.admin)} == {"acme"}
    foreign = {"X-Org-Id": "other"}
    assert org.admin.get(PATH, headers=foreign).status_code == 403
    others = org.cluster.get(PATH, headers=foreign).json()["data"]
    assert {line["org_id"] for line in others} == {"other"}
    refused(org.ana, PATH, 403)
    refused(org.device, PATH, 403)


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ({"limit": 0}, ["query", "limit"]),
        ({"limit": 1001}, ["query", "limit"]),
        ({"page": "nonsense"}, ["query", "page"]),
        ({"start": "yesterday"}, ["query", "start"]),
        ({"actor": ""}, ["query", "actor"]),
        ({"acton": "key.created"}, ["query", "acton"]),
    ],
)
def test_faults_are_named(org: Org, query: dict[str, Any], loc: list[str]) -> None:
    assert [fault["loc"] for fault in refused(org.admin, PATH, 422, **query)["errors"]] == [loc]


def test_what_concerns_every_org_is_for_cluster_admins(own_server: ServerProcess) -> None:
    own_server.start()
    with own_server.client() as cluster, org_on(own_server, "acme") as org:
        cluster.post("/v1/prices/sync").raise_for_status()
        (synced,) = lines(cluster, action="prices.synced")
        assert (synced["org_id"], synced["before"], synced["subject"]) == (None, None, "catalogue")
        assert lines(org.admin, action="prices.synced") == []


def test_the_command(org: Org, server: ServerProcess) -> None:
    words = ["--url", server.url, "--key", org.keys["admin"], "audit", "--action", "org.created"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "org.created  acme" in shown.stdout
    told_as_json = CliRunner().invoke(main, [*words, "--limit", "1", "--json"])
    assert [line["subject"] for line in json.loads(told_as_json.stdout)] == ["acme"]
    none = CliRunner().invoke(main, [*words[:-1], "no.such"])
    assert none.stdout == "no changes\n"
