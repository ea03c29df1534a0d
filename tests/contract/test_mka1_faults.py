"""What mka1 refuses, on every operation: in its own words, naming the parameter, and quickly."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.mka1_usage import OPERATIONS, START, Operation
from tests.contract.readers import Org, answered, org_on, refused
from tests.serving import ServerProcess

TIMES_MAX = 2**53 - 1
PAGED = [operation for operation in OPERATIONS if operation.name != "sandbox"]


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made:
        yield made


def named(org: Org, operation: Operation, **query: Any) -> list[str]:
    """The parameters that a refusal names."""
    if operation.name == "sandbox":
        details = refused(org.admin, operation.path, 422, **query)["detail"]
        assert all(set(detail) == {"loc", "msg", "type"} and detail["loc"][0] == "query" for detail in details)
        return [detail["loc"][1] for detail in details]
    body = refused(org.admin, operation.path, 400, **query)
    assert (body["defined"], body["code"], body["status"]) == (False, "BAD_REQUEST", 400)
    return [issue["path"][0] for issue in body["data"]["issues"]]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"start_time": ""}, "start_time"),
        ({"start_time": "1.5"}, "start_time"),
        ({"start_time": [START, START]}, "start_time"),
        ({"start_time": TIMES_MAX + 1}, "start_time"),
        ({"end_time": START}, "end_time"),
        ({"end_time": -TIMES_MAX - 1}, "end_time"),
        ({"bucket_width": "1w"}, "bucket_width"),
        ({"bucket_width": ["1d", "1h"]}, "bucket_width"),
        ({"all_orgs": "perhaps"}, "all_orgs"),
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": ["user_id", "user_id,tea"]}, "group_by"),
    ],
)
def test_a_bad_parameter_is_named(org: Org, operation: Operation, query: dict[str, Any], name: str) -> None:
    assert named(org, operation, **{"start_time": START, **query}) == [name]


@pytest.mark.parametrize("operation", PAGED, ids=lambda operation: operation.name)
def test_pages_have_bounds_and_own_cursors(org: Org, operation: Operation) -> None:
    for query, name in (
        ({"limit": 0}, "limit"),
        ({"limit": 1441}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": [1, 2]}, "limit"),
        ({"page": "cursor_abc123"}, "page"),
        ({"page": "é" * 2000}, "page"),
    ):
        assert named(org, operation, start_time=START, **query) == [name]
    query = {"start_time": START, "end_time": START + 3 * 86_400, "limit": 1}
    page = answered(org.admin, operation.path, **query)["next_page"]
    other = PAGED[PAGED.index(operation) - 1]
    assert named(org, other, **query, page=page) == ["page"]
    assert named(org, operation, **query, page=page[:-2]) == ["page"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_empty_lists_and_unknown_names_are_nothing(org: Org, operation: Operation) -> None:
    plain = answered(org.admin, operation.path, start_time=START, end_time=START + 1)
    empty = {"group_by": "", "org_ids": ["", ""], "user_ids": "", "external_user_ids": "", "models": "", "page": ""}
    assert answered(org.admin, operation.path, start_time=START, end_time=START + 1, unknown="1", **empty) == plain


def test_kinds_of_faults_of_the_sandbox(org: Org) -> None:
    query = {"end_time": "x", "all_orgs": "x", "bucket_width": "x", "group_by": "x"}
    details = refused(org.admin, "/api/v1/sandbox/usage", 422, **query)["detail"]
    assert {detail["loc"][1]: detail["type"] for detail in details} == {
        "start_time": "missing",
        "end_time": "int_parsing",
        "all_orgs": "bool_parsing",
        "bucket_width": "enum",
        "group_by": "value_error",
    }


def test_sandbox_usage_has_at_most_50_000_buckets(org: Org) -> None:
    minutes = {"start_time": START, "bucket_width": "1m"}
    page = answered(org.admin, "/api/v1/sandbox/usage", **minutes, end_time=START + 50_000 * 60)
    assert (len(page["data"]), page["has_more"], page["next_page"]) == (50_000, False, None)
    for end_time in (START + 50_000 * 60 + 1, TIMES_MAX):
        (detail,) = refused(org.admin, "/api/v1/sandbox/usage", 422, **minutes, end_time=end_time)["detail"]
        assert detail["loc"] == ["query", "start_time"]
        assert "50000" in detail["msg"]
    everything = {"start_time": -TIMES_MAX, "end_time": TIMES_MAX, "bucket_width": "1m"}
    assert refused(org.admin, "/api/v1/sandbox/usage", 422, **everything)["detail"][0]["loc"] == ["query", "start_time"]


@pytest.mark.parametrize("operation", PAGED, ids=lambda operation: operation.name)
@pytest.mark.parametrize("start_time", [-TIMES_MAX, TIMES_MAX - 61])
def test_any_time_is_answered(org: Org, operation: Operation, start_time: int) -> None:
    query = {"start_time": start_time, "end_time": TIMES_MAX, "bucket_width": "1m", "limit": 1440}
    page = answered(org.admin, operation.path, **query)
    assert all(bucket["results"] == [] for bucket in page["data"])
    assert page["data"][0]["start_time"] <= start_time < page["data"][0]["end_time"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_wider_scope_and_a_wrong_method_are_told(org: Org, operation: Operation) -> None:
    wider = refused(org.admin, operation.path, 403, start_time=START, all_orgs="true")
    assert "detail" in wider if operation.name == "sandbox" else wider["code"] == "FORBIDDEN"
    assert org.admin.post(operation.path).status_code == 405
    on_behalf = org.admin.get(operation.path, params={"start_time": START}, headers={"X-On-Behalf-Of": "*"})
    assert on_behalf.status_code == 400
