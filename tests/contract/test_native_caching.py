"""`ETag` and `If-None-Match` of usage queries: a tag changes with everything that may change the answer."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.correction_calls import amend, correct
from tests.contract.credit_calls import Ledger, done
from tests.contract.readers import Org, org_on
from tests.contract.settlement_calls import confirm_with, put_price
from tests.serving import ServerProcess

PATH = "/v1/usage/query"
QUERY = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z", "group_by": "model"}


def event(number: int, **fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10}
    return {"id": f"{number}", "occurred_at": "2026-01-01T10:00:00Z", "cost_usd": "0.5", "usage": usage, **fields}


@pytest.fixture
def org(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Org]:
    with org_on(server, f"org-{abs(hash(request.node.name))}") as made:
        made.send(event(1, user_id="ana"), event(2, user_id="bob"))
        yield made


def asked(client: httpx.Client, known: str = "", **query: Any) -> httpx.Response:
    headers = {"If-None-Match": known} if known else {}
    return client.get(PATH, params={**QUERY, **query}, headers=headers)


def tag_of(client: httpx.Client, **query: Any) -> str:
    return str(asked(client, **query).raise_for_status().headers["etag"])


def test_an_answer_that_is_known_is_not_sent_again(org: Org) -> None:
    whole = asked(org.admin)
    tag = whole.headers["etag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert whole.headers["cache-control"] == "private, no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}', f'{tag},"other"'):
        same = asked(org.admin, known)
        assert same.status_code == 304
        assert same.content == b""
        assert same.headers["etag"] == tag
    for unknown in ('"other"', "", "*", tag.strip('"')):
        answer = asked(org.admin, unknown)
        assert (answer.status_code, answer.content) == (200, whole.content)
    assert org.admin.head(PATH, params=QUERY, headers={"If-None-Match": tag}).status_code == 304


def test_every_commit_of_the_org_changes_the_tag_and_no_other(org: Org, server: ServerProcess) -> None:
    tags = [tag_of(org.admin)]

    def changed() -> None:
        tags.append(tag_of(org.admin))
        assert len(set(tags)) == len(tags)
        assert asked(org.admin, tags[-2]).status_code == 200
        assert asked(org.admin, tags[-1]).status_code == 304

    (uid,) = org.send(event(3))
    changed()
    amend(org.admin, uid, 1, cost_usd="0.25").raise_for_status()
    changed()
    correct(org.admin, uid, "void", expected_revision=2).raise_for_status()
    changed()
    correct(org.admin, uid, "restore", expected_revision=2).raise_for_status()
    changed()

    org.admin.post("/v1/events", json=event(1, user_id="ana")).raise_for_status()  # a duplicate
    put_price(org.admin, "gpt-4o", {"input_tokens": "1"}, "2020-01-01T00:00:00Z")
    with org_on(server, f"{org.id}-neighbour") as other:
        other.send(event(9))
        assert asked(org.admin, tags[-1]).status_code == 304


def test_usage_confirmed_in_the_ledger_is_never_hidden_by_a_tag(org: Org) -> None:
    put_price(org.admin, "gpt-4o", {"input_tokens": "2.5", "output_tokens": "10"}, "2020-01-01T00:00:00Z")
    ledger = Ledger(org.admin)
    account = ledger.account(100)
    for _ in range(5):
        query = {"start": "2026-01-01T00:00:00Z", "end": "2199-01-01T00:00:00Z", "bucket": "all"}
        known = tag_of(org.admin, **query)
        done(confirm_with(ledger, ledger.hold(account, 5)))
        assert asked(org.admin, known, **query).status_code == 200


def test_every_question_and_caller_has_tags_of_its_own(org: Org) -> None:
    queries: list[dict[str, Any]] = [
        {},
        {"start": "2026-01-01T00:00:01Z"},
        {"end": "2026-01-02T00:00:00Z"},
        {"bucket": "1h"},
        {"timezone": "Europe/Berlin"},
        {"group_by": "user_id"},
        {"measures": "requests"},
        {"model": "m"},
        {"user_id": "ana"},
        {"limit": 1},
        {"format": "csv"},
        {"as_of": "2026-01-02T00:00:00Z"},
    ]
    tags = [tag_of(org.admin, **query) for query in queries]
    tags.append(tag_of(org.admin, limit=1, page=asked(org.admin, limit=1).json()["next_page"]))
    assert len(set(tags)) == len(tags)
    # A member sees other rows: what an admin was told is no answer for it.
    assert asked(org.ana, tags[0]).json()["data"][0]["results"][0]["requests"] == 1
    assert asked(org.cluster, tags[0]).status_code == 200
    assert asked(org.cluster, tags[0]).headers["etag"] not in tags


def test_csv_and_json_are_told_apart_by_the_accept_header(org: Org) -> None:
    tag = tag_of(org.admin)
    answer = org.admin.get(PATH, params=QUERY, headers={"If-None-Match": tag, "Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert "Accept" in answer.headers["vary"]


def test_an_answer_that_depends_on_the_clock_has_no_tag(org: Org) -> None:
    answer = org.admin.get(PATH, params={"start": QUERY["start"]})
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_a_refused_question_is_refused_whatever_is_known(org: Org) -> None:
    assert asked(org.admin, "*", limit=0).status_code == 422
    assert asked(org.admin, tag_of(org.admin), page="nonsense").status_code == 422
    assert org.device.get(PATH, params={**QUERY, "all_orgs": "true"}).status_code == 403


def test_foreign_dialects_have_no_tags(org: Org) -> None:
    times = {"start_time": 1767225600, "end_time": 1767312000}
    for path in ("/v1/organization/usage/completions", "/api/v1/llm/usage/completions"):
        assert "etag" not in org.admin.get(path, params=times).raise_for_status().headers
