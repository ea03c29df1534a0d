"""`GET /v1/usage/query` over HTTP: sums, groups, filters, pages, CSV, walls and refusals."""

import csv
import io
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tallybook.analytics.query import DEFAULT_MEASURES, MEASURES, Dimension
from tallybook.core.time_window import parse_instant
from tallybook.http.native.filters import Filters
from tests.contract.readers import Org, answered, org_on, refused
from tests.serving import ServerProcess

PATH = "/v1/usage/query"
JANUARY = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}

EVENTS: list[dict[str, Any]] = [
    {
        "id": "1",
        "occurred_at": "2026-01-01T10:00:00Z",
        "model": "gpt",
        "user_id": "ana",
        "batch": True,
        "usage": {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 40, "audio_seconds": 1.25},
        "cost_usd": "0.0000000001",
    },
    {
        "id": "2",
        "occurred_at": "2026-01-01T11:00:00Z",
        "model": "gpt",
        "user_id": "bob",
        "external_user_id": "eve",
        "usage": {"input_tokens": 50, "requests": 3},
        "cost_usd": "8999999.999999999999",
    },
    {"id": "3", "occurred_at": "2026-01-02T00:00:00Z", "user_id": "ana", "usage": {"input_tokens": 2**53 - 1}},
    {
        "id": "4",
        "occurred_at": "2026-01-04T23:59:59.999999Z",
        "model": 'a,"b"',
        "kind": "image",
        "usage": {"images": 2},
        "cost_usd": "0",
    },
]
"""Everything is in January; the third is unpriced."""


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        made.send(*EVENTS)
        made.send({"id": "5", "occurred_at": "2026-01-20T00:00:00Z", "cost_usd": "0"}, by=made.device)
        other.send({"id": "6", "occurred_at": "2026-01-20T00:00:00Z", "cost_usd": "0"})
        yield made


def rows(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """Of one bucket over January."""
    (bucket,) = answered(client, PATH, **{**JANUARY, "bucket": "all", "measures": "requests", **query})["data"]
    results: list[dict[str, Any]] = bucket["results"]
    return results


def test_one_bucket_holds_exact_sums(org: Org) -> None:
    answer = answered(org.admin, PATH, **JANUARY, bucket="all")
    assert answer == {
        "object": "page",
        "data": [
            {
                "start": "2026-01-01T00:00:00Z",
                "end": "2026-02-01T00:00:00Z",
                "results": [
                    {
                        "requests": 7,
                        "input_tokens": 2**53 + 149,
                        "output_tokens": 10,
                        "cache_read_tokens": 40,
                        "cache_write_tokens": 0,
                        "cost_usd": "9000000.000000000099",
                        "unpriced_requests": 1,
                    }
                ],
            }
        ],
        "has_more": False,
        "next_page": None,
    }


def test_decimals_are_numbers_in_plain_digits(org: Org) -> None:
    text = org.admin.get(PATH, params={**JANUARY, "bucket": "all", "measures": "audio_seconds,known_cost_usd"}).text
    row = json.loads(text, parse_float=Decimal)["data"][0]["results"][0]
    assert row == {"audio_seconds": Decimal("1.25"), "known_cost_usd": "9000000.000000000099"}


def test_days_are_clipped_and_empty_ones_are_there(org: Org) -> None:
    query = {"start": "2026-01-01T10:30:00Z", "end": "2026-01-05T00:00:00+00:00", "measures": "requests"}
    data = answered(org.admin, PATH, **query)["data"]
    assert [(bucket["start"], bucket["end"], bucket["results"]) for bucket in data] == [
        ("2026-01-01T10:30:00Z", "2026-01-02T00:00:00Z", [{"requests": 3}]),
        ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", [{"requests": 1}]),
        ("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", []),
        ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z", [{"requests": 1}]),
    ]


def test_buckets_follow_a_zone(org: Org) -> None:
    data = answered(
        org.admin, PATH, start="2025-12-31T23:00:00Z", end="2026-01-02T23:00:00Z", timezone="Europe/Berlin"
    )["data"]
    assert [bucket["start"] for bucket in data] == ["2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z"]
    weeks = answered(org.admin, PATH, **JANUARY, bucket="1w")["data"]
    assert [bucket["start"][:10] for bucket in weeks] == [
        "2026-01-01", "2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26",
    ]  # fmt: skip
    assert len(answered(org.admin, PATH, start=0, end="2026-02-01T00:00:00Z", bucket="1mo", limit=1000)["data"]) == 673


def test_seconds_and_text_name_the_same_instant(org: Org) -> None:
    assert rows(org.admin, start="1767265200") == rows(org.admin, start="2026-01-01T12:00:00+01:00")
    assert rows(org.admin, start="1767265200.0") == [{"requests": 6}]
    unescaped = org.admin.get(f"{PATH}?start=2026-01-01T12:00:00+01:00&end=1769904000&bucket=all&measures=requests")
    assert unescaped.json()["data"][0]["results"] == [{"requests": 6}]


def test_groups(org: Org) -> None:
    assert rows(org.admin, group_by=["model", "batch"]) == [
        {"requests": 1, "model": 'a,"b"', "batch": False},
        {"requests": 3, "model": "gpt", "batch": False},
        {"requests": 1, "model": "gpt", "batch": True},
        {"requests": 2, "model": None, "batch": False},
    ]
    assert rows(org.admin, group_by="model,batch") == rows(org.admin, group_by=["model", "batch", "model"])


@pytest.mark.parametrize(
    ("filters", "requests"),
    [
        ({"model": "gpt"}, 4),
        ({"model": ["gpt", 'a,"b"']}, 5),
        ({"model": "gpt", "user_id": "ana"}, 1),
        ({"batch": "true"}, 1),
        ({"batch": "1"}, 1),
        ({"batch": "false"}, 6),
        ({"batch": "0", "background": "False"}, 6),
        ({"kind": "image"}, 1),
        ({"external_user_id": "eve"}, 3),
        ({"org_id": "acme"}, 7),
    ],
)
def test_filters(org: Org, filters: dict[str, Any], requests: int) -> None:
    assert rows(org.admin, **filters) == [{"requests": requests}]


def test_a_filter_that_nothing_meets_leaves_the_bucket_empty(org: Org) -> None:
    assert rows(org.admin, model="") == []


def test_every_dimension_is_a_filter() -> None:
    assert set(Dimension) == set(Filters.model_fields) - {"org_ids", "all_orgs", "as_of"}


def test_every_dimension_and_measure_at_once(org: Org) -> None:
    dimensions = [dimension for dimension in Dimension if dimension != "org_id"]
    found = rows(org.admin, group_by=dimensions, measures=list(MEASURES))
    assert all(set(row) == {*dimensions, *MEASURES} for row in found)
    assert sum(row["requests"] for row in found) == 7
    assert found[0]["peak_memory_mib"] is None


def test_pages_of_one_bucket_are_the_large_page(org: Org) -> None:
    query = {**JANUARY, "group_by": "model"}
    whole = answered(org.admin, PATH, **query)
    assert len(whole["data"]) == 31
    assert not whole["has_more"]
    walked: list[Any] = []
    page = ""
    while True:
        answer = answered(org.admin, PATH, **query, limit=1, page=page)
        walked += answer["data"]
        assert answer["has_more"] == (answer["next_page"] is not None)
        if not answer["has_more"]:
            break
        page = answer["next_page"]
    assert walked == whole["data"]


def test_an_open_end_is_frozen_over_the_walk(org: Org) -> None:
    start = str(time.time() - 120)
    first = answered(org.admin, PATH, start=start, bucket="1m", limit=1)
    begun = time.time_ns() // 1000
    time.sleep(1.1)
    rest = answered(org.admin, PATH, start=start, bucket="1m", limit=5, page=first["next_page"])
    assert parse_instant(rest["data"][-1]["end"]) <= begun


def test_a_start_in_the_future_is_an_empty_page(org: Org) -> None:
    assert answered(org.admin, PATH, start="2199-01-01T00:00:00Z")["data"] == []


# --- CSV


def csv_of(answer: httpx.Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.text)))


@pytest.mark.parametrize("ask", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
def test_csv_has_the_same_numbers(org: Org, ask: dict[str, Any]) -> None:
    query = {**JANUARY, "group_by": ["model", "batch"]}
    data = answered(org.admin, PATH, **query)["data"]
    table = csv_of(org.admin.get(PATH, **{**ask, "params": {**query, **ask.get("params", {})}}))
    assert table[0] == ["start", "end", "model", "batch", *DEFAULT_MEASURES]

    def text(value: Any) -> str:
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    assert table[1:] == [
        [bucket["start"], bucket["end"], *(text(row[name]) for name in table[0][2:])]
        for bucket in data
        for row in bucket["results"]
    ]


def test_csv_without_a_limit_is_whole_or_refused(org: Org) -> None:
    query = {"start": "2026-01-01T00:00:00Z", "end": "2026-03-02T00:00:00Z", "bucket": "1h", "format": "csv"}
    assert len(csv_of(org.admin.get(PATH, params=query))) == 6
    over = refused(org.admin, PATH, 413, **{**query, "end": "2026-03-02T00:00:01Z"})
    assert over["code"] == "answer_too_large"
    assert "limit" in over["detail"]


def test_a_bucket_of_very_many_rows_has_each_once(server: ServerProcess) -> None:
    """They are read and written a part at a time."""
    users = [f"user {number:04}" for number in range(2_001)]
    costs = [f"0.{number + 1:012}".rstrip("0") for number in range(2_001)]
    with org_on(server, "many") as many:
        sent = zip(users, costs, strict=True)
        many.send(*({"occurred_at": JANUARY["start"], "user_id": user, "cost_usd": cost} for user, cost in sent))
        query = {**JANUARY, "bucket": "all", "group_by": "user_id", "measures": "requests,cost_usd"}
        shown = rows(many.admin, **query)
        table = csv_of(many.admin.get(PATH, params={**query, "format": "csv"}))
    expected = [{"requests": 1, "cost_usd": cost, "user_id": user} for user, cost in zip(users, costs, strict=True)]
    assert shown == expected
    assert [list(row) for row in shown] == [list(row) for row in expected]
    assert [row[2:] for row in table[1:]] == [[row["user_id"], "1", row["cost_usd"]] for row in expected]


def test_csv_pages_by_a_header(org: Org) -> None:
    query = {**JANUARY, "format": "csv", "limit": "16"}
    first = org.admin.get(PATH, params=query)
    assert len(csv_of(first)) == 4
    second = org.admin.get(PATH, params={**query, "page": first.headers["x-next-page"]})
    assert len(csv_of(second)) == 2
    assert "x-next-page" not in second.headers


def test_json_wins_when_it_is_named_first(org: Org) -> None:
    for accept in ("application/json, text/csv", "*/*", "text/html"):
        answer = org.admin.get(PATH, params=JANUARY, headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"
    answer = org.admin.get(PATH, params={**JANUARY, "format": "json"}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "application/json"


# --- walls


def test_a_member_sees_the_rows_of_its_user_or_key(org: Org) -> None:
    assert rows(org.ana, group_by="user_id") == [{"requests": 2, "user_id": "ana"}]
    assert rows(org.ana, user_id="ana") == [{"requests": 2}]
    assert rows(org.device) == [{"requests": 1}]
    assert rows(org.device, user_id="ana") == []


@pytest.mark.parametrize("filters", [{"user_id": "bob"}, {"user_id": ["ana", "bob"]}, {"org_id": "other"}])
def test_a_members_filter_for_somebody_else_is_refused(org: Org, filters: dict[str, Any]) -> None:
    assert refused(org.ana, PATH, 403, **JANUARY, **filters)["code"] == "forbidden"


def test_a_keys_filter_for_another_key_is_refused(org: Org) -> None:
    refused(org.device, PATH, 403, **JANUARY, api_key_id="key_other")


@pytest.mark.parametrize(
    "wider",
    [{"all_orgs": "true"}, {"org_ids": "acme"}, {"org_ids": ["other"]}, {"group_by": "org_id"}, {"org_id": "other"}],
)
def test_only_cluster_admins_look_beyond_their_org(org: Org, wider: dict[str, Any]) -> None:
    for client in (org.admin, org.ana, org.device):
        refused(client, PATH, 403, **JANUARY, **wider)
    answered(org.cluster, PATH, **JANUARY, **wider)


def test_cluster_admins_choose_orgs(org: Org) -> None:
    assert rows(org.cluster) == [{"requests": 7}]
    assert rows(org.cluster, group_by="org_id", org_ids=["other", "acme"]) == [
        {"requests": 7, "org_id": "acme"},
        {"requests": 1, "org_id": "other"},
    ]
    assert rows(org.cluster, org_ids="nowhere") == []
    assert rows(org.cluster, all_orgs="true", org_id=["other", "acme"]) == [{"requests": 8}]
    assert rows(org.admin, all_orgs="false") == [{"requests": 7}]


def test_on_behalf_of_narrows(org: Org) -> None:
    for client in (org.cluster, org.admin):
        answer = client.get(
            PATH, params={**JANUARY, "bucket": "all", "measures": "requests"}, headers={"X-On-Behalf-Of": "eve"}
        )
        assert answer.json()["data"][0]["results"] == [{"requests": 3}]


def test_a_cursor_serves_only_who_got_it(org: Org) -> None:
    cursor = answered(org.admin, PATH, **JANUARY, limit=1)["next_page"]
    for client, query in ((org.cluster, JANUARY), (org.ana, JANUARY), (org.admin, {**JANUARY, "model": "gpt"})):
        body = refused(client, PATH, 422, **query, limit=1, page=cursor)
        assert body["errors"][0]["loc"] == ["query", "page"]


# --- refusals


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({}, "start"),
        ({"start": ""}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-01-01"}, "start"),
        ({"start": "NaN"}, "start"),
        ({"start": "1e999999999"}, "start"),
        ({"start": "-1"}, "start"),
        ({"start": "0", "end": "7289654401"}, "end"),
        ({"start": "9" * 40}, "start"),
        ({"start": "2", "end": "2"}, "end"),
        ({"start": "2", "end": "1"}, "end"),
        ({"start": "1", "bucket": "2d"}, "bucket"),
        ({"start": "1", "timezone": "Mars/Olympus"}, "timezone"),
        ({"start": "1", "timezone": "../../../etc/passwd"}, "timezone"),
        ({"start": "1", "group_by": "colour"}, "group_by"),
        ({"start": "1", "measures": "happiness"}, "measures"),
        ({"start": "1", "limit": "0"}, "limit"),
        ({"start": "1", "limit": "1441"}, "limit"),
        ({"start": "1", "limit": "ten"}, "limit"),
        ({"start": "1", "page": "garbage"}, "page"),
        ({"start": "1", "page": "é" * 600}, "page"),
        ({"start": "1", "batch": "maybe"}, "batch"),
        ({"start": "1", "as_of": "x"}, "as_of"),
        ({"start": "1", "format": "xml"}, "format"),
        ({"start": "1", "models": "gpt"}, "models"),
    ],
)
def test_a_fault_names_its_parameter(org: Org, query: dict[str, str], name: str) -> None:
    started = time.perf_counter()
    body = refused(org.admin, PATH, 422, **query)
    assert time.perf_counter() - started < 2
    assert [fault["loc"][:2] for fault in body["errors"]] == [["query", name]]


def test_all_faults_are_listed(org: Org) -> None:
    body = refused(org.admin, PATH, 422, start="x", bucket="y", limit="z", timezone="t", measures="m", group_by="g")
    assert {fault["loc"][1] for fault in body["errors"]} == {
        "start", "bucket", "limit", "timezone", "measures", "group_by",
    }  # fmt: skip


def test_as_of_before_anything_was_recorded_is_empty(org: Org) -> None:
    assert rows(org.admin, as_of="2020-01-01T00:00:00Z") == []
    assert rows(org.admin, as_of="2199-01-01T00:00:00Z") == [{"requests": 7}]


def test_without_a_key_nothing_is_told(org: Org, server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url) as nobody:
        assert nobody.get(PATH, params=JANUARY).status_code == 401
