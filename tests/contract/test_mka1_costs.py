"""The cost reports and the statistics of mka1, by published clients and by hand, against sums in plain Python."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest

from tallybook.sdk import exact_json
from tests.clients.published import NEWEST, Client, Refused
from tests.contract.mka1_usage import DAY, START, Event, events_of_every_kind, to_send
from tests.contract.readers import Org, org_on, refused
from tests.serving import ServerProcess

LLM_COSTS = "/api/v1/llm/usage/costs"
COSTS = "/api/v1/budgeting/usage/costs"
LLM_DIMENSIONS = ("model", "api_key_id", "team_id", "external_user_id", "org_id")
DIMENSIONS = ("service", "task_type", "model", "api_key_id", "team_id", "user_id", "external_user_id", "org_id")
RANGE: dict[str, Any] = {"start_time": START + 1000, "end_time": START + DAY}
NANO = Decimal("1E-9")

Group = tuple[str | None, ...]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Of every kind; some cost a tiny bit, some nothing, and of some the cost is not known."""
    made = events_of_every_kind("acme")
    plain: Event = {"occurred_at": START + 5000, "org_id": "acme", "api_key_id": "key_a", "usage": {}}
    made += [
        {**plain, "id": "image", "kind": "image", "model": "painter", "cost_usd": "0.000000000300"},
        {**plain, "id": "speech", "kind": "audio_speech", "model": "speaker", "cost_usd": "0.000000000500"},
        {**plain, "id": "gift", "kind": "completion", "model": "free", "cost_usd": "0"},
        {**plain, "id": "call", "kind": "api_call", "cost_usd": "0.25"},
        {**plain, "id": "dear", "kind": "response", "model": "giant", "cost_usd": "9000000"},
        {**plain, "id": "unknown", "kind": "decision", "model": "new", "usage": {"input_tokens": 7, "requests": 3}},
    ]  # fmt: skip
    return made


@pytest.fixture(scope="module")
def org(server: ServerProcess, events: list[Event]) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        made.send(*map(to_send, events))
        other.send({"id": "1", "occurred_at": START + 5000, "cost_usd": "3"})
        yield made


@pytest.fixture(scope="module", params=[NEWEST, "0.8.39"])
def asker(request: pytest.FixtureRequest, published: Callable[[str], Client]) -> Client:
    return published(request.param)


def service(event: Event) -> str:
    return {"sandbox": "sandbox", "api_call": "api"}.get(event["kind"], "llm")


def in_range(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if RANGE["start_time"] <= event["occurred_at"] < RANGE["end_time"]]


def grouped(events: Sequence[Event], names: Sequence[str]) -> dict[Group, tuple[Decimal, int]]:
    """What was spent and how many requests are unpriced, where either is not 0."""
    sums: dict[Group, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))
    for event in in_range(events):
        told = {**event, "service": service(event), "task_type": event["kind"]}
        group = tuple(told.get(name) for name in names)
        cost, unpriced = sums[group]
        if "cost_usd" in event:
            sums[group] = cost + Decimal(event["cost_usd"]), unpriced
        else:
            sums[group] = cost, unpriced + event["usage"]["requests"]
    return {group: found for group, found in sums.items() if any(found)}


def exact(org: Org, path: str, **query: Any) -> Any:
    """The answer with its numbers as they are written."""
    answer = org.admin.get(path, params={**RANGE, **query})
    assert answer.status_code == 200, answer.text
    return exact_json.loads(answer.content)


@pytest.mark.parametrize("names", [(), ("model",), ("team_id", "model"), LLM_DIMENSIONS])
def test_llm_costs_add_up_in_nano_dollars(org: Org, events: list[Event], names: tuple[str, ...]) -> None:
    report = exact(org, LLM_COSTS, group_by=list(names))
    by = names or ("model",)
    expected = grouped([event for event in events if service(event) == "llm"], by)
    assert (report["object"], report["currency"], report["group_by"]) == ("usage.costs", "USD", list(by))
    assert (report["start_time"], report["end_time"]) == (RANGE["start_time"], RANGE["end_time"])
    total = sum((cost for cost, _ in expected.values()), Decimal(0)).quantize(NANO, ROUND_HALF_EVEN)
    assert report["total_cost_nano"] == str(int(total / NANO))
    assert Decimal(report["total_cost"]) == total
    assert sum(int(row["cost_nano"]) for row in report["data"]) == int(report["total_cost_nano"])
    for row in report["data"]:
        assert all(row[name] is None for name in LLM_DIMENSIONS if name not in by)
        cost, unpriced = expected.pop(tuple(row[name] for name in by))
        assert abs(Decimal(row["cost_nano"]) * NANO - cost) < NANO
        assert Decimal(row["cost"]) == Decimal(row["cost_nano"]) * NANO
        assert row["unpriced_requests"] == unpriced
    assert expected == {}
    order = [(-int(row["cost_nano"]), *((row[name] is None, row[name] or "") for name in by)) for row in report["data"]]
    assert order == sorted(order)


def test_the_total_of_nano_dollars_does_not_depend_on_the_grouping(org: Org) -> None:
    totals = {exact(org, LLM_COSTS, group_by=name)["total_cost_nano"] for name in LLM_DIMENSIONS}
    assert len(totals) == 1


@pytest.mark.parametrize(
    "names", [(), ("service",), ("task_type",), ("service", "task_type"), ("model", "service"), DIMENSIONS]
)
def test_costs_of_all_services_are_exact(org: Org, events: list[Event], names: tuple[str, ...]) -> None:
    report = exact(org, COSTS, group_by=",".join(names))
    expected = grouped(events, names)
    assert (report["currency"], report["group_by"]) == ("USD", list(names))
    found = {
        tuple(row[name] for name in names): (Decimal(row["cost"]), row["unpriced_requests"]) for row in report["data"]
    }
    assert found == expected
    assert list(found) == sorted(
        found, key=lambda group: (-found[group][0], [(value is None, value or "") for value in group])
    )
    assert Decimal(report["total_cost"]) == sum(cost for cost, _ in expected.values())
    for row in report["data"]:
        assert all(row[name] is None for name in DIMENSIONS if name not in names)


def test_nothing_spent_is_an_empty_report(org: Org) -> None:
    long_ago = {"start_time": 0, "end_time": 1}
    assert exact(org, COSTS, **long_ago) == {
        "currency": "USD", "start_time": 0, "end_time": 1, "group_by": [], "data": [], "total_cost": 0,
        "unpriced_requests": 0,
    }  # fmt: skip
    report = exact(org, LLM_COSTS, **long_ago)
    assert (report["data"], report["total_cost"], report["total_cost_nano"]) == ([], 0, "0")


def test_clients_read_both_reports(asker: Client, server: ServerProcess, org: Org) -> None:
    key = org.keys["admin"]
    for method, path in (("llm.usage.costs", LLM_COSTS), ("usage.costs", COSTS)):
        queries: list[dict[str, Any]] = [{}, {"group_by": "team_id"}, {"group_by": "model,org_id"}]
        for query in queries:
            report = asker.call(server.url, key, method, **RANGE, **query)
            shown = exact(org, path, **query)
            assert report["total_cost"] == float(shown["total_cost"])
            assert report["group_by"] == shown["group_by"]
            assert [row["cost"] for row in report["data"]] == [float(row["cost"]) for row in shown["data"]]
            assert report.get("total_cost_nano") == shown.get("total_cost_nano")
            assert asker.call(server.url, key, method, is_async=True, **RANGE, **query) == report
    listed = asker.call(server.url, key, "llm.usage.costs", **RANGE, group_by=["team_id", "model"])
    assert listed["group_by"] == ["team_id", "model"]


def test_clients_are_told_what_they_may_not(asker: Client, server: ServerProcess, org: Org) -> None:
    cluster = org.cluster.headers["Authorization"]
    there = asker.call(server.url, cluster, "llm.usage.costs", **RANGE, org_id="other")
    assert there["total_cost_nano"] == "3000000000"
    for method in ("llm.usage.costs", "usage.costs"):
        own = asker.call(server.url, org.keys["admin"], method, **RANGE, org_id="acme")
        assert own == asker.call(server.url, org.keys["admin"], method, **RANGE)
        refusals: list[tuple[str | None, dict[str, Any], int]] = [
            (org.keys["admin"], {"org_id": "other"}, 403),
            (org.keys["admin"], {"end_time": RANGE["start_time"]}, 400),
            (org.keys["admin"], {"group_by": "colour"}, 400),
            (None, {}, 401),
        ]
        for key, query, status in refusals:
            with pytest.raises(Refused) as caught:
                asker.call(server.url, key, method, **{**RANGE, **query})
            assert (caught.value.error, caught.value.status) == ("SDKDefaultError", status)
    with pytest.raises(Refused) as caught:
        asker.call(server.url, org.keys["ana"], "usage.costs", **RANGE)
    assert caught.value.status == 403


def test_members_and_end_users_see_their_own_costs(org: Org, events: list[Event]) -> None:
    def nano(kept: list[Event]) -> str:
        total = sum(cost for cost, _ in grouped([event for event in kept if service(event) == "llm"], ()).values())
        return str(int(Decimal(total).quantize(NANO, ROUND_HALF_EVEN) / NANO))

    mine = org.ana.get(LLM_COSTS, params=RANGE).json()
    assert mine["total_cost_nano"] == nano([event for event in events if event.get("user_id") == "ana"])
    theirs = org.admin.get(LLM_COSTS, params=RANGE, headers={"X-On-Behalf-Of": "eve"}).json()
    assert theirs["total_cost_nano"] == nano([event for event in events if event.get("external_user_id") == "eve"])


@pytest.mark.parametrize("path", [LLM_COSTS, COSTS])
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"start_time": ""}, "start_time"),
        ({"end_time": ""}, "end_time"),
        ({"start_time": "x"}, "start_time"),
        ({"end_time": 2**53}, "end_time"),
        ({"start_time": [1, 2]}, "start_time"),
        ({"group_by": ["model", "tea"]}, "group_by"),
        ({"org_id": ["a", "b"]}, "org_id"),
    ],
)
def test_a_fault_names_its_parameter(org: Org, path: str, query: dict[str, Any], name: str) -> None:
    body = refused(org.admin, path, 400, **{**RANGE, **query})
    assert [issue["path"] for issue in body["data"]["issues"]] == [[name]]


def test_llm_costs_begin_in_1970(org: Org) -> None:
    assert refused(org.admin, LLM_COSTS, 400, start_time=-1, end_time=1)["data"]["issues"][0]["path"] == ["start_time"]
    assert exact(org, COSTS, start_time=-(2**53) + 1, end_time=2**53 - 1)["data"]


# --- statistics of a user


def stats(org: Org, user_id: str, **query: Any) -> Any:
    answer = org.admin.get(f"/api/v1/llm/usage/users/{user_id}/stats", params=query)
    assert answer.status_code == 200, answer.text
    return exact_json.loads(answer.content)


def figures(events: Sequence[Event]) -> dict[str, Any]:
    prompt = sum(event["usage"].get("input_tokens", 0) for event in events)
    completion = sum(event["usage"].get("output_tokens", 0) for event in events)
    return {
        "requests": sum(event["usage"].get("requests", 1) for event in events),
        "promptTokens": prompt,
        "completionTokens": completion,
        "totalTokens": prompt + completion,
        "costUsd": sum((Decimal(event["cost_usd"]) for event in events), Decimal(0)),
        "unpricedRequests": 0,
    }


def test_statistics_add_up_at_all_three_levels(org: Org, events: list[Event]) -> None:
    of_ana = [
        event
        for event in events
        if service(event) == "llm" and "ana" in (event.get("user_id"), event.get("external_user_id"))
    ]
    shown = stats(org, "ana")
    whole = figures(of_ana)
    assert shown["userId"] == "ana"
    assert (shown["startDate"], shown["endDate"]) == (None, None)
    assert shown["totalRequests"] == whole.pop("requests")
    assert shown["totalCostUsd"] == whole.pop("costUsd")
    assert {name: shown[name] for name in whole} == whole
    by_model = {row["model"]: {name: row[name] for name in row if name != "model"} for row in shown["modelUsage"]}
    assert by_model == {
        model: figures([event for event in of_ana if event["model"] == model])
        for model in {event["model"] for event in of_ana}
    }
    tokens = [row["totalTokens"] for row in shown["modelUsage"]]
    assert tokens == sorted(tokens, reverse=True)
    dates = [row["date"] for row in shown["dailyUsage"]]
    assert dates == sorted({f"{day:%Y-%m-%d}" for day in map(day_of, of_ana)})
    for name in ("requests", "totalTokens", "costUsd"):
        total = shown[{"requests": "totalRequests", "costUsd": "totalCostUsd"}.get(name, name)]
        for rows in (shown["modelUsage"], shown["dailyUsage"]):
            assert sum(row[name] for row in rows) == total


def day_of(event: Event) -> Any:
    return datetime.fromtimestamp(event["occurred_at"], UTC)


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ({"startDate": "2026-02-01"}, 3),
        ({"startDate": "2026-02-02"}, 2),
        ({"endDate": "2026-02-01"}, 1),
        ({"startDate": "2026-02-02", "endDate": "2026-02-02"}, 1),
        ({"startDate": "2026-02-02T00:00:00Z", "endDate": "2026-02-02T12:00:00Z"}, 1),
        ({"startDate": "2026-02-02T12:00:00.000001Z", "endDate": "2026-02-03T00:00:00+00:00"}, 1),
        ({"startDate": "0001-01-01", "endDate": "9999-12-31"}, 3),
        ({"startDate": "1980-01-01", "endDate": "1999-12-31"}, 0),
        ({"startDate": "2400-01-01", "endDate": "9999-12-31"}, 0),
        ({"startDate": "2400-01-01"}, 0),
        ({"startDate": "", "endDate": ""}, 3),
    ],
)
def test_both_dates_count(org: Org, query: dict[str, str], requests: int) -> None:
    for number, instant in enumerate(["2026-02-01T23:59:59.999999Z", "2026-02-02T12:00:00Z", "2026-02-03T00:00:00Z"]):
        org.cluster.post("/v1/events", json={"id": f"dated-{number}", "occurred_at": instant, "user_id": "dated"})
    shown = stats(org, "dated", **query)
    assert shown["totalRequests"] == sum(row["requests"] for row in shown["dailyUsage"]) == requests


def test_a_user_without_usage_has_zeros(org: Org) -> None:
    shown = stats(org, "nobody", startDate="2026-01-01", endDate="2026-01-02T00:00:00Z")
    assert shown == {
        "userId": "nobody", "startDate": "2026-01-01", "endDate": "2026-01-02T00:00:00Z", "totalRequests": 0,
        "totalCostUsd": 0, "promptTokens": 0, "completionTokens": 0, "totalTokens": 0, "unpricedRequests": 0,
        "modelUsage": [], "dailyUsage": [],
    }  # fmt: skip
    assert stats(org, "a/b%2Fc d")["userId"] == "a/b/c d"
    assert stats(org, "https:%2F%2Fidp%2Fa")["userId"] == "https://idp/a"  # what is encoded is no slash of the path


def test_nobody_sees_the_statistics_of_others(org: Org) -> None:
    path = "/api/v1/llm/usage/users/{}/stats"
    mine = org.ana.get(path.format("ana")).json()
    assert mine["totalRequests"] <= stats(org, "ana")["totalRequests"]
    assert org.ana.get(path.format("bob")).json()["code"] == "FORBIDDEN"
    assert org.ana.get(path.format("bob")).status_code == 403
    on_behalf = {"X-On-Behalf-Of": "eve"}
    assert org.ana.get(path.format("eve"), headers=on_behalf).status_code == 200
    assert org.ana.get(path.format("bob"), headers=on_behalf).status_code == 403


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"startDate": "yesterday"}, "startDate"),
        ({"startDate": "2026-02-30"}, "startDate"),
        ({"endDate": "2026-01-01T10:00:00"}, "endDate"),
        ({"startDate": "2026-01-02", "endDate": "2026-01-01"}, "endDate"),
        ({"startDate": ["2026-01-02", "2026-01-03"]}, "startDate"),
    ],
)
def test_a_bad_date_is_named(org: Org, query: dict[str, Any], name: str) -> None:
    body = refused(org.admin, "/api/v1/llm/usage/users/ana/stats", 400, **query)
    assert [issue["path"] for issue in body["data"]["issues"]] == [[name]]
