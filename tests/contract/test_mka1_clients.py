"""Every usage operation of mka1 by published clients, old and new, unmodified, against a running server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.published import NEWEST, Client, Refused
from tests.conftest import LONG
from tests.contract.mka1_usage import (
    DAY,
    DAYS,
    NOT_ADDED,
    OPERATIONS,
    START,
    Event,
    Operation,
    events_of_every_kind,
    to_send,
)
from tests.contract.readers import Org, org_on
from tests.serving import ServerProcess

VERSIONS = (NEWEST, "0.8.39", *(("0.6.0", "0.5.25") if LONG else ()))
END = START + DAYS * DAY
OPERATION_BY_NAME = {operation.name: operation for operation in OPERATIONS}


@dataclass
class Asker:
    """A client version with the key of an admin, on an org with usage of every kind."""

    client: Client
    url: str
    org: Org
    events: list[Event]
    others: list[Event]

    def ask(self, operation: Operation, *, by: str | None = "admin", **query: Any) -> Any:
        key = by if by is None else self.org.keys.get(by, by)
        return self.client.call(
            self.url, key, self._method(operation), **{"start_time": START, "end_time": END, **query}
        )

    def offers(self, name: str) -> bool:
        """0.6.0 brought files, 0.8.39 the costs."""
        return self.client.release >= {"files": (0, 6, 0), "costs": (0, 8, 39)}.get(name, ())

    def _method(self, operation: Operation) -> str:
        if operation.name == "sandbox" and self.client.release < (0, 8, 39):
            return "sandbox_usage.get_usage_api_v1_sandbox_usage_get"
        return operation.method


@pytest.fixture(scope="module")
def orgs(server: ServerProcess) -> Iterator[tuple[Org, list[Event], list[Event]]]:
    with org_on(server, "acme") as org, org_on(server, "other") as other:
        events, others = events_of_every_kind("acme"), events_of_every_kind("other", seed=2)
        org.send(*map(to_send, events))
        other.send(*map(to_send, others))
        yield org, events, others


@pytest.fixture(scope="module", params=VERSIONS)
def asker(
    request: pytest.FixtureRequest,
    published: Callable[[str], Client],
    server: ServerProcess,
    orgs: tuple[Org, list[Event], list[Event]],
) -> Asker:
    return Asker(published(request.param), server.url, *orgs)


@pytest.fixture(params=OPERATIONS, ids=lambda operation: operation.name)
def operation(request: pytest.FixtureRequest, asker: Asker) -> Operation:
    wanted: Operation = request.param
    if asker.offers(wanted.name):
        return wanted
    # What a version lacks, it must really lack.
    with pytest.raises(Refused) as caught:
        asker.ask(wanted)
    assert caught.value.error == "AttributeError"
    return OPERATION_BY_NAME["completions"]


def total(rows: list[dict[str, Any]], operation: Operation) -> dict[str, int]:
    return {field: sum(row[field] for row in rows) for field in operation.numbers if field not in NOT_ADDED}


def test_every_grouping_says_what_the_events_say(asker: Asker, operation: Operation) -> None:
    for names in ((), *((name,) for name in operation.dimensions), tuple(reversed(operation.dimensions))):
        page = asker.ask(operation, group_by=list(names))
        assert page == {
            "object": "page",
            "data": operation.buckets(asker.events, names),
            "has_more": False,
            "next_page": None,
        }
        assert page["data"][-1]["results"] == []


def test_groups_add_up_to_the_ungrouped_row(asker: Asker, operation: Operation) -> None:
    whole = asker.ask(operation)
    parts = asker.ask(operation, group_by=list(operation.dimensions))
    for bucket, split in zip(whole["data"], parts["data"], strict=True):
        assert total(bucket["results"], operation) == total(split["results"], operation)


def test_sync_and_async_answer_alike(asker: Asker, operation: Operation) -> None:
    query: dict[str, Any] = {"group_by": list(operation.dimensions), "bucket_width": "1h"}
    assert asker.ask(operation, is_async=True, **query) == asker.ask(operation, **query)


def test_every_filter_keeps_its_events(asker: Asker, operation: Operation) -> None:
    for name, looked_at in operation.filters.items():
        for values in (["ana"], ["eve", "bob", "nobody"], ["e,v e"], ["meetkai:small", "none"]):
            kept = [event for event in asker.events if any(event[field] in values for field in looked_at)]
            query: dict[str, Any] = {name: values}
            assert asker.ask(operation, **query)["data"] == operation.buckets(kept)
    if operation.name == "responses":
        for background in (True, False):
            kept = [event for event in asker.events if event["background"] is background]
            assert asker.ask(operation, background=background)["data"] == operation.buckets(kept)


def test_an_end_user_sees_the_usage_on_their_behalf(asker: Asker, operation: Operation) -> None:
    kept = [event for event in asker.events if event["external_user_id"] == "eve"]
    assert asker.ask(operation, x_on_behalf_of="eve")["data"] == operation.buckets(kept)
    assert asker.ask(operation, x_on_behalf_of="nobody")["data"] == operation.buckets([])


def test_members_see_their_own_usage(asker: Asker, operation: Operation) -> None:
    kept = [event for event in asker.events if event["user_id"] == "ana"]
    assert asker.ask(operation, by="ana")["data"] == operation.buckets(kept)
    assert asker.ask(operation, by="device")["data"] == operation.buckets([])


def test_other_orgs_are_for_cluster_admins(asker: Asker, operation: Operation) -> None:
    true: Any = True if operation.name == "sandbox" else "true"
    both = [*asker.events, *asker.others]
    cluster = asker.org.cluster.headers["Authorization"]
    groups = ["org_id"] if "org_id" in operation.dimensions else []
    everywhere = asker.ask(operation, by=cluster, all_orgs=true, group_by=groups)
    assert everywhere["data"] == operation.buckets(both, groups)
    assert asker.ask(operation, by=cluster, org_ids=["other"])["data"] == operation.buckets(asker.others)
    assert asker.ask(operation, by=cluster, org_ids=["other", "acme"])["data"] == operation.buckets(both)
    wider: dict[str, Any]
    for wider in ({"all_orgs": true}, {"org_ids": ["other"]}):
        with pytest.raises(Refused) as caught:
            asker.ask(operation, **wider)
        assert caught.value.status == 403


def test_a_walk_with_limit_1_is_the_large_page(asker: Asker, operation: Operation) -> None:
    if operation.name == "sandbox":  # has no pages: everything at once
        page = asker.ask(operation, bucket_width="1h")
        assert (len(page["data"]), page["has_more"], page["next_page"]) == (24 * DAYS, False, None)
        return
    query: dict[str, Any] = {"end_time": START + DAY // 3, "bucket_width": "1h", "group_by": ["user_id"]}
    whole = asker.ask(operation, **query, limit=1440)
    walked: list[Any] = []
    page_name = None
    while page_name or not walked:
        page = asker.ask(operation, **query, limit=1, page=page_name)
        assert len(page["data"]) == 1
        assert page["has_more"] == (page["next_page"] is not None)
        walked += page["data"]
        page_name = page["next_page"]
    assert walked == whole["data"]
    assert len(walked) == 8


def test_the_minimal_call_is_answered(asker: Asker, operation: Operation) -> None:
    page = asker.ask(operation, end_time=None)
    assert page["data"][0]["results"] == operation.rows(
        [event for event in asker.events if START <= event["occurred_at"] < START + DAY]
    )


def test_the_largest_query_comes_before_the_client_gives_up(asker: Asker, operation: Operation) -> None:
    """It waits for 5 seconds."""
    if operation.name == "sandbox":
        page = asker.ask(operation, bucket_width="1m", end_time=START + 50_000 * 60, group_by=["operation"])
        assert len(page["data"]) == 50_000
    else:
        page = asker.ask(operation, bucket_width="1m", limit=1440, group_by=list(operation.dimensions))
        assert (len(page["data"]), page["has_more"]) == (1440, True)


def test_a_fault_names_its_parameter(asker: Asker, operation: Operation) -> None:
    with pytest.raises(Refused) as caught:
        asker.ask(operation, end_time=START)
    if operation.name == "sandbox":
        assert (caught.value.error, caught.value.status) == ("HTTPValidationError", 422)
        (detail,) = caught.value.data["detail"]
        assert (detail["loc"], detail["type"]) == (["query", "end_time"], "value_error")
    else:
        assert (caught.value.error, caught.value.status) == ("SDKDefaultError", 400)
        assert '"path":["end_time"]' in caught.value.body


def test_without_a_key_the_client_is_told(asker: Asker, operation: Operation) -> None:
    for key in (None, "wrong"):
        with pytest.raises(Refused) as caught:
            asker.ask(operation, by=key)
        assert (caught.value.status, caught.value.body) == (401, '{"error":"Unauthorized"}')
