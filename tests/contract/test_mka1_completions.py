"""`GET /api/v1/llm/usage/completions`: by the published client, unmodified, and what that cannot send."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from meetkai_mka1 import SDK, errors
from meetkai_mka1.models import GetCompletionsUsageResponse
from meetkai_mka1.utils import BackoffStrategy, RetryConfig

from tallybook.http.mka1.operations import OPERATIONS
from tests.contract.readers import Org, answered, org_on, refused
from tests.serving import ServerProcess

PATH = "/api/v1/llm/usage/completions"
DAY = 86_400
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
TIMES_MAX = 2**53 - 1
NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), False)


def completion(number: int, at: int, **fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 40}
    return {"id": f"{number}", "occurred_at": at, "model": "meetkai:small", "usage": usage, **fields}


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        made.send(
            completion(1, START, user_id="ana"),
            completion(2, START + 3600, user_id="bob", model="other"),
            completion(3, START + 3601, user_id="bob", external_user_id="eve"),
            completion(4, START + DAY - 1, user_id="ana"),
            completion(5, START + DAY, external_user_id="eve,ana", usage={"input_tokens": 2**53 - 1, "requests": 5}),
            completion(6, START + 3 * DAY, user_id="ana", model=None),
            completion(7, START, kind="response"),
            completion(8, START, kind="embedding"),
        )
        made.send(completion(9, START + 5 * DAY), by=made.device)
        other.send(completion(1, START, user_id="ana"))
        yield made


@pytest.fixture
def sdk(org: Org, server: ServerProcess) -> Iterator[SDK]:
    with client_of(server, org.keys["admin"]) as made:
        yield made


def client_of(server: ServerProcess, key: str | None) -> SDK:
    return SDK(bearer_auth=key, server_url=server.url, retry_config=NO_RETRIES)


def rows_of(bucket: Any) -> list[dict[str, Any]]:
    """The client leaves rows as free JSON."""
    rows: list[dict[str, Any]] = bucket.results
    return rows


def requests_of(page: GetCompletionsUsageResponse) -> list[int]:
    """The number of requests of each bucket, which must have one row at most."""
    found = []
    for bucket in page.data:
        assert len(bucket.results) <= 1
        found.append(sum(row["num_model_requests"] for row in rows_of(bucket)))
    return found


def counted(sdk: SDK, **query: Any) -> int:
    """Requests over the first week of the year."""
    page = sdk.llm.usage.completions(start_time=START, end_time=START + 7 * DAY, **query)
    return sum(requests_of(page))


# --- the published client


def test_the_client_reads_a_page(sdk: SDK) -> None:
    page = sdk.llm.usage.completions(start_time=START, end_time=START + 3 * DAY)
    assert (page.object, page.has_more, page.next_page) == ("page", False, None)
    assert [(bucket.start_time, bucket.end_time) for bucket in page.data] == [
        (START + n * DAY, START + (n + 1) * DAY) for n in range(3)
    ]
    assert page.data[0].results == [
        {
            "object": "organization.usage.completions.result",
            "input_tokens": 400,
            "output_tokens": 40,
            "input_cached_tokens": 160,
            "num_model_requests": 4,
            "user_id": None,
            "api_key_id": None,
            "org_id": None,
            "model": None,
            "batch": None,
            "service_tier": None,
            "project_id": None,
        }
    ]
    assert rows_of(page.data[1])[0]["input_tokens"] == 2**53 - 1
    assert page.data[2].results == []


def test_sync_and_async_answer_alike(sdk: SDK) -> None:
    query: dict[str, Any] = {"start_time": START, "end_time": START + 7 * DAY, "group_by": ["model", "user_id"]}

    async def asked() -> GetCompletionsUsageResponse:
        return await sdk.llm.usage.completions_async(**query)

    assert asyncio.run(asked()) == sdk.llm.usage.completions(**query)


@pytest.mark.parametrize("group_by", [None, ["model"]])
def test_a_walk_with_limit_1_is_the_large_page(sdk: SDK, group_by: Any) -> None:
    query: dict[str, Any] = {"start_time": START + 5, "end_time": START + 6 * DAY + 1, "group_by": group_by}
    whole = sdk.llm.usage.completions(**query, limit=1440)
    walked: list[Any] = []
    page: str | None = None
    while True:
        answer = sdk.llm.usage.completions(**query, limit=1, page=page)
        assert len(answer.data) == 1
        assert answer.has_more == (answer.next_page is not None)
        walked += answer.data
        page = answer.next_page
        if page is None:
            break
        assert len(page) <= 512
    assert walked == whole.data
    assert len(walked) == 7


def test_an_async_walk_is_complete(sdk: SDK) -> None:
    async def walk() -> list[int]:
        found, page = [], None
        while True:
            answer = await sdk.llm.usage.completions_async(
                start_time=START, end_time=START + 6 * DAY, limit=1, page=page
            )
            found += requests_of(answer)
            page = answer.next_page
            if page is None:
                return found

    assert asyncio.run(walk()) == [4, 5, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ({}, 11),
        ({"user_ids": ["ana"]}, 3),
        ({"user_ids": ["ana", "bob"]}, 5),
        ({"user_ids": ["", "bob"]}, 2),
        ({"user_ids": []}, 11),
        ({"user_ids": ["eve"]}, 1),  # also finds delegated users
        ({"user_ids": ["eve,ana"]}, 5),  # ids are not split
        ({"external_user_ids": ["eve"]}, 1),
        ({"external_user_ids": ["ana"]}, 0),
        ({"external_user_ids": ["eve", "eve,ana"]}, 6),
        ({"models": ["meetkai:small"]}, 9),
        ({"models": ["meetkai:small", "other"]}, 10),
        ({"models": ["meetkai:"]}, 0),
        ({"user_ids": ["bob"], "models": ["other"]}, 1),
        ({"all_orgs": "false"}, 11),
        ({"all_orgs": "FALSE"}, 11),
        ({"all_orgs": "0"}, 11),
        ({"x_on_behalf_of": "eve"}, 1),
        ({"x_on_behalf_of": "nobody"}, 0),
    ],
)
def test_filters(sdk: SDK, query: dict[str, Any], requests: int) -> None:
    assert counted(sdk, **query) == requests


@pytest.mark.parametrize(
    "dimensions", [["user_id"], ["api_key_id"], ["org_id"], ["model"], ["model", "user_id", "org_id"]]
)
def test_groups_add_up_to_the_whole(sdk: SDK, dimensions: list[Any]) -> None:
    query: dict[str, Any] = {"start_time": START, "end_time": START + 7 * DAY}
    whole = sdk.llm.usage.completions(**query)
    split = sdk.llm.usage.completions(**query, group_by=dimensions)
    for bucket, parts in zip(whole.data, split.data, strict=True):
        for name in ("input_tokens", "output_tokens", "input_cached_tokens", "num_model_requests"):
            assert sum(row[name] for row in rows_of(parts)) == sum(row[name] for row in rows_of(bucket))
        for row in rows_of(parts):
            others = {"user_id", "api_key_id", "org_id", "model", "batch", "service_tier", "project_id"} - {*dimensions}
            assert all(row[name] is None for name in others)
        groups = [tuple((row[name] is None, row[name] or "") for name in dimensions) for row in rows_of(parts)]
        assert groups == sorted(set(groups))


def test_grouped_values_are_those_of_the_events(sdk: SDK) -> None:
    (bucket,) = sdk.llm.usage.completions(start_time=START, end_time=START + 1, group_by=["user_id", "org_id"]).data
    assert [(row["user_id"], row["org_id"], row["num_model_requests"]) for row in rows_of(bucket)] == [
        ("ana", "acme", 2),
        ("bob", "acme", 2),
    ]


@pytest.mark.parametrize(("width", "seconds", "limit"), [("1m", 60, 60), ("1h", 3600, 24), ("1d", DAY, 7)])
def test_widths_widen_the_range_and_have_their_own_limit(sdk: SDK, width: Any, seconds: int, limit: int) -> None:
    page = sdk.llm.usage.completions(start_time=START + 1, end_time=START + seconds + 1, bucket_width=width)
    assert [(bucket.start_time, bucket.end_time) for bucket in page.data] == [
        (START, START + seconds),
        (START + seconds, START + 2 * seconds),
    ]
    assert (
        len(sdk.llm.usage.completions(start_time=START, end_time=START + 1440 * seconds, bucket_width=width).data)
        == limit
    )


def test_what_lies_in_an_outer_bucket_counts_in_full(sdk: SDK) -> None:
    page = sdk.llm.usage.completions(start_time=START + 3601, end_time=START + 3602)
    assert requests_of(page) == [4]


def test_an_open_end_is_now(sdk: SDK) -> None:
    now = int(time.time())
    page = sdk.llm.usage.completions(start_time=now - 120, bucket_width="1m")
    assert page.data[-1].start_time <= int(time.time()) < page.data[-1].end_time + 60
    assert sdk.llm.usage.completions(start_time=now + 10 * DAY).data == []


@pytest.mark.parametrize("start", [-TIMES_MAX, -1, 0, TIMES_MAX - 100_000, TIMES_MAX - 1])
def test_any_time_is_answered_quickly(sdk: SDK, start: int) -> None:
    started = time.perf_counter()
    page = sdk.llm.usage.completions(start_time=start, end_time=TIMES_MAX, bucket_width="1m", limit=1440)
    assert time.perf_counter() - started < 2
    assert all(bucket.results == [] for bucket in page.data)
    assert page.data[0].start_time <= start < page.data[0].end_time
    assert page.has_more == (page.data[-1].end_time < TIMES_MAX)


def test_a_wider_scope_is_for_cluster_admins(org: Org, server: ServerProcess, sdk: SDK) -> None:
    for wider in ({"all_orgs": "true"}, {"org_ids": ["other"]}, {"org_ids": ["acme"]}):
        for name in ("admin", "ana"):
            with client_of(server, org.keys[name]) as asking, pytest.raises(errors.SDKDefaultError) as caught:
                counted(asking, **wider)
            assert caught.value.status_code == 403
            assert '"code":"FORBIDDEN"' in caught.value.body
    headers = {"http_headers": {"X-Org-Id": "acme"}}
    with client_of(server, org.cluster.headers["Authorization"]) as cluster:
        assert counted(cluster, **headers) == 11
        assert counted(cluster, all_orgs="true", **headers) == 12
        assert counted(cluster, org_ids=["other"], **headers) == 1
        assert counted(cluster, org_ids=["other", "acme", "nowhere"], **headers) == 12


def test_members_see_their_own_and_nothing_of_others(org: Org, server: ServerProcess) -> None:
    with client_of(server, org.keys["ana"]) as ana:
        assert counted(ana) == 3
        assert counted(ana, user_ids=["ana"]) == 3
        assert counted(ana, user_ids=["bob"]) == 0
        assert counted(ana, x_on_behalf_of="eve") == 0
    with client_of(server, org.keys["device"]) as device:
        assert counted(device) == 1


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"start_time": TIMES_MAX + 1}, "start_time"),
        ({"start_time": 5, "end_time": 5}, "end_time"),
        ({"start_time": 5, "end_time": 4}, "end_time"),
        ({"start_time": 5, "end_time": -TIMES_MAX - 1}, "end_time"),
        ({"start_time": 5, "limit": 0}, "limit"),
        ({"start_time": 5, "limit": 1441}, "limit"),
        ({"start_time": 5, "page": "cursor_abc123"}, "page"),
        ({"start_time": 5, "all_orgs": "perhaps"}, "all_orgs"),
    ],
)
def test_the_client_shows_what_was_wrong(sdk: SDK, query: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.SDKDefaultError) as caught:
        sdk.llm.usage.completions(**query)
    assert caught.value.status_code == 400
    assert f'"path":["{name}"]' in caught.value.body


@pytest.mark.parametrize("key", [None, "wrong", "tb_wrong"])
def test_without_a_valid_key_the_client_is_told(org: Org, server: ServerProcess, key: str | None) -> None:
    with client_of(server, key) as stranger, pytest.raises(errors.SDKDefaultError) as caught:
        stranger.llm.usage.completions(start_time=START)
    assert (caught.value.status_code, caught.value.body) == (401, '{"error":"Unauthorized"}')


# --- what the client cannot send


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ("user_ids[]=ana&user_ids[]=bob", 5),
        ("user_ids[0]=ana&user_ids[1]=bob", 5),
        ("user_ids=ana&user_ids=ana", 3),
        ("group_by=", 11),
        ("page=&limit=&all_orgs=&org_ids=&bucket_width=&end_time=&models=", 11),
        ("unknown=1&group=2&kind=x", 11),
        ("bucket_width=1d&all_orgs=False", 11),
    ],
)
def test_encodings(org: Org, query: str, requests: int) -> None:
    text = f"{PATH}?start_time={START}&{query}"
    if "end_time" not in query:
        text += f"&end_time={START + 7 * DAY}"
    data = org.admin.get(text).raise_for_status().json()["data"]
    assert sum(row["num_model_requests"] for bucket in data for row in bucket["results"]) == requests


@pytest.mark.parametrize(
    "query", ["group_by=model,user_id", "group_by=user_id&group_by=model", "group_by[]=model&group_by[]=user_id,model"]
)
def test_groupings_are_repeated_or_joined(org: Org, query: str) -> None:
    (bucket,) = (
        org.admin.get(f"{PATH}?start_time={START}&end_time={START + 1}&{query}").raise_for_status().json()["data"]
    )
    assert {(row["model"], row["user_id"]) for row in bucket["results"]} == {
        ("meetkai:small", "ana"),
        ("meetkai:small", "bob"),
        ("other", "bob"),
    }


def test_all_faults_are_listed(org: Org) -> None:
    query = {"end_time": "x", "bucket_width": "1w", "limit": "1e3", "group_by": "colour,project_id", "all_orgs": "x"}
    assert refused(org.admin, PATH, 400, **query) == {
        "defined": False,
        "code": "BAD_REQUEST",
        "status": 400,
        "message": "Input validation failed",
        "data": {
            "issues": [
                {"path": ["start_time"], "message": "Field required"},
                {
                    "path": ["end_time"],
                    "message": "Input should be a valid integer, unable to parse string as an integer",
                },
                {"path": ["bucket_width"], "message": "Input should be '1m', '1h' or '1d'"},
                {"path": ["all_orgs"], "message": "Input should be a valid boolean, unable to interpret input"},
                {
                    "path": ["group_by"],
                    "message": "colour, project_id: must be one of user_id, api_key_id, org_id, model",
                },
                {"path": ["limit"], "message": "Input should be a valid integer, unable to parse string as an integer"},
            ]
        },
    }


@pytest.mark.parametrize("start", ["1.5", "", "NaN", "1e999999999", "9" * 5000, "0x10", "2026-01-01"])
def test_a_time_that_is_no_integer_is_refused(org: Org, start: str) -> None:
    body = refused(org.admin, PATH, 400, start_time=start)
    assert body["data"]["issues"][0]["path"] == ["start_time"]


def test_a_cursor_belongs_to_its_question_and_caller(org: Org) -> None:
    query = {"start_time": START, "end_time": START + 5 * DAY, "limit": 1}
    page = answered(org.admin, PATH, **query)["next_page"]
    assert len(answered(org.admin, PATH, **{**query, "limit": 3}, page=page)["data"]) == 3
    for client, other in (
        (org.cluster, {}),
        (org.ana, {}),
        (org.admin, {"start_time": START + DAY}),
        (org.admin, {"group_by": "model"}),
        (org.admin, {"bucket_width": "1h"}),
        (org.admin, {"models": "x"}),
    ):
        body = refused(client, PATH, 400, **{**query, **other}, page=page)
        assert body["data"]["issues"][0]["path"] == ["page"]


@pytest.mark.parametrize("name", ["é", "*", "x" * 151])
def test_a_delegated_user_must_be_nameable(org: Org, name: str) -> None:
    answer = org.admin.get(PATH, params={"start_time": START}, headers=[(b"X-On-Behalf-Of", name.encode())])
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_an_unknown_operation_and_a_wrong_method_are_told_in_the_dialect(org: Org) -> None:
    assert refused(org.admin, "/api/v1/llm/usage/nothing", 404)["code"] == "NOT_FOUND"
    answer = org.admin.post(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["code"] == "METHOD_NOT_SUPPORTED"


def test_every_answer_has_a_request_id(org: Org) -> None:
    assert httpx.get(f"{org.admin.base_url}{PATH}").headers["x-request-id"]
    assert org.admin.get(PATH, params={"start_time": START}).headers["x-request-id"]


def test_the_openapi_document_has_every_parameter(org: Org) -> None:
    paths = org.admin.get("/openapi.json").json()["paths"]
    for operation in OPERATIONS:
        listed = {parameter["name"] for parameter in paths[operation.path]["get"]["parameters"]}
        assert listed >= set(operation.params.model_fields)
