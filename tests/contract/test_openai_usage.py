"""`/v1/organization/…` by the published `openai` client, unmodified, sync and async, lenient and strict."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tallybook.http.openai.operations import COST_GROUPS, COSTS_PATH, OPERATIONS, PREFIX, Operation
from tests.contract.readers import Org, answered, org_on, refused
from tests.serving import ServerProcess

HOUR, DAY = 3_600, 86_400
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
END = START + 3 * DAY
RANGE: dict[str, Any] = {"start_time": START, "end_time": END}
COMPLETIONS = f"{PREFIX}/usage/completions"
METHODS = [*(operation.name for operation in OPERATIONS), "costs"]

TOKENS = {
    "input_tokens": 1000,
    "output_tokens": 500,
    "cache_read_tokens": 400,
    "cache_write_tokens": 100,
    "cache_write_30m_tokens": 60,
    "cache_write_12h_tokens": 30,
    "input_audio_tokens": 200,
    "cache_read_audio_tokens": 50,
    "input_image_tokens": 90,
    "cache_read_image_tokens": 20,
    "output_audio_tokens": 70,
    "output_image_tokens": 30,
    "reasoning_tokens": 10,
}
WHO: dict[str, Any] = {"project_id": "proj", "user_id": "ana", "api_key_id": "key_1", "model": "gpt-x"}


def event(number: int, kind: str, usage: dict[str, Any], at: int = START, **fields: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "kind": kind, "occurred_at": at, "usage": usage, "cost_usd": "0.25", **fields}


EVENTS = [
    event(1, "completion", TOKENS, **WHO, batch=True, service_tier="default", api_source="agents_api"),
    event(2, "response", {"input_tokens": 10, "output_tokens": 1}, START + HOUR, **(WHO | {"user_id": "bob"})),
    event(3, "completion", {"input_tokens": 5, "requests": 3}, START + 2 * DAY, model="a,b", api_source="other"),
    event(4, "decision", {"input_tokens": 7, "output_tokens": 2}, **WHO),
    event(5, "embedding", {"input_tokens": 11}, **WHO),
    event(6, "moderation", {"input_tokens": 12, "requests": 2}, **WHO),
    event(7, "image", {"images": 3}, **WHO, image_size="1024x1024", image_operation="image.edit"),
    event(8, "image", {"images": 1}, **WHO, image_size="512x512", image_operation="edit"),
    event(9, "image", {"images": 2}, **WHO, image_size="512x512", image_operation="generation"),
    event(10, "audio_speech", {"characters": 45}, **WHO),
    event(11, "audio_transcription", {"audio_seconds": 10.4}, **WHO),
    event(12, "audio_transcription", {"audio_seconds": 10.3}, START + 1, **WHO),
    event(13, "vector_store", {"bytes": 2**40}, project_id="proj"),
    event(14, "vector_store", {"bytes": 1}, project_id="other"),
    event(15, "code_interpreter", {}, project_id="proj", session_id="s1"),
    event(16, "code_interpreter", {}, START + 1, project_id="proj", session_id="s1"),
    event(17, "code_interpreter", {}, project_id="other"),
    event(18, "file_search", {"requests": 4}, **WHO, vector_store_id="vs_1"),
    event(19, "file_search", {}, **WHO, vector_store_id="vs_2"),
    event(20, "web_search", {"web_searches": 3}, **WHO, context_level="low"),
    event(21, "web_search", {}, **WHO, context_level="high", api_source="agents_api"),
    event(22, "sandbox", {"operations": 9}, project_id="proj"),
]


@pytest.fixture(scope="module")
def org(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "acme") as made, org_on(server, "other") as other:
        made.send(*EVENTS)
        other.send(event(1, "completion", {"input_tokens": 7}))
        yield made


@pytest.fixture(scope="module", params=[False, True], ids=["lenient", "strict"])
def client(org: Org, server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[OpenAI]:
    with client_of(server, org.keys["admin"], strict=request.param) as made:
        yield made


def client_of(server: ServerProcess, key: str | None, *, strict: bool = True) -> OpenAI:
    return OpenAI(admin_api_key=key, base_url=f"{server.url}/v1", max_retries=0, _strict_response_validation=strict)


def usage_of(client: OpenAI | AsyncOpenAI) -> Any:
    """The resource; its results are unions of eleven classes, so the tests take them untyped."""
    return client.admin.organization.usage


def asked(client: OpenAI, name: str, **query: Any) -> list[list[dict[str, Any]]]:
    """The results of each bucket, as the client read them."""
    page = getattr(usage_of(client), name)(**{**RANGE, **query})
    assert page.object == "page"
    assert page.has_more == (page.next_page is not None)
    return [[result.model_dump() for result in bucket.results] for bucket in page.data]


def first(client: OpenAI, name: str, **query: Any) -> list[dict[str, Any]]:
    return asked(client, name, **query)[0]


# --- every endpoint


def test_completions_tell_every_token_once(client: OpenAI) -> None:
    (result,) = first(client, "completions", end_time=START + 1)
    assert result == {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "output_tokens": 500,
        "num_model_requests": 1,
        "input_cached_tokens": 400,
        "input_cache_write_tokens": 100,
        "input_cache_write_30m_tokens": 60,
        "input_cache_write_12h_tokens": 30,
        "input_uncached_tokens": 500,
        "input_text_tokens": 280,
        "input_audio_tokens": 150,
        "input_image_tokens": 70,
        "input_cached_text_tokens": 330,
        "input_cached_audio_tokens": 50,
        "input_cached_image_tokens": 20,
        "output_text_tokens": 400,
        "output_audio_tokens": 70,
        "output_image_tokens": 30,
        **dict.fromkeys(["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]),
    }


@pytest.mark.parametrize(
    ("name", "object_", "counts"),
    [
        ("completions", "completions", {"input_tokens": 1010, "output_tokens": 501, "num_model_requests": 2}),
        ("decisions", "decisions", {"input_tokens": 7, "output_tokens": 2, "num_model_requests": 1}),
        ("embeddings", "embeddings", {"input_tokens": 11, "num_model_requests": 1}),
        ("moderations", "moderations", {"input_tokens": 12, "num_model_requests": 2}),
        ("images", "images", {"images": 6, "num_model_requests": 3}),
        ("audio_speeches", "audio_speeches", {"characters": 45, "num_model_requests": 1}),
        ("audio_transcriptions", "audio_transcriptions", {"seconds": 21, "num_model_requests": 2}),
        ("vector_stores", "vector_stores", {"usage_bytes": 2**40 + 1}),
        ("code_interpreter_sessions", "code_interpreter_sessions", {"num_sessions": 2}),
        ("file_search_calls", "file_searches", {"num_requests": 5}),
        ("web_search_calls", "web_searches", {"num_requests": 4, "num_model_requests": 2}),
    ],
)
def test_every_endpoint_counts_its_own_kind(client: OpenAI, name: str, object_: str, counts: dict[str, int]) -> None:
    day, empty, _ = asked(client, name)
    (result,) = day
    assert result["object"] == f"organization.usage.{object_}.result"
    assert {field: result[field] for field in counts} == counts
    assert empty == []


def test_every_operation_is_the_clients_and_answers_its_own_class(client: OpenAI) -> None:
    usage = usage_of(client)
    assert set(METHODS) == {name for name in dir(usage) if not name.startswith("_")} - {
        "with_raw_response",
        "with_streaming_response",
    }
    for operation in OPERATIONS:
        page = getattr(usage, operation.name)(**RANGE)
        (result,) = page.data[0].results
        named = "".join(word.title() for word in operation.object.split(".")[-2].split("_"))
        if operation.name != "decisions":
            assert type(result).__name__ == f"DataResultOrganizationUsage{named}Result"
        assert not result.model_extra


def test_sync_and_async_answer_alike(org: Org, server: ServerProcess) -> None:
    async def all_of_them() -> list[Any]:
        async with AsyncOpenAI(admin_api_key=org.keys["admin"], base_url=f"{server.url}/v1") as client:
            usage = usage_of(client)
            return [await getattr(usage, name)(**RANGE, group_by=["project_id"]) for name in METHODS]

    with client_of(server, org.keys["admin"]) as client:
        usage = usage_of(client)
        assert asyncio.run(all_of_them()) == [
            getattr(usage, name)(**RANGE, group_by=["project_id"]) for name in METHODS
        ]


# --- groups and filters


@pytest.mark.parametrize(
    ("name", "key", "groups"),
    [
        ("completions", "model", ["gpt-x"]),
        ("completions", "user_id", ["ana", "bob"]),
        ("completions", "batch", [False, True]),
        ("completions", "service_tier", ["default", None]),
        ("completions", "api_source", ["agents_api", "unlabeled"]),
        ("images", "size", ["1024x1024", "512x512"]),
        ("images", "source", ["image.edit", "image.generation"]),
        ("vector_stores", "project_id", ["other", "proj"]),
        ("code_interpreter_sessions", "project_id", ["other", "proj"]),
        ("file_search_calls", "vector_store_id", ["vs_1", "vs_2"]),
        ("web_search_calls", "context_level", ["high", "low"]),
        ("web_search_calls", "api_source", ["agents_api", "unlabeled"]),
        ("costs", "user_id", ["ana", "bob", None]),
        ("costs", "api_source", ["agents_api", "unlabeled"]),
        ("costs", "line_item", ["gpt-x, given", "given"]),
    ],
)
def test_each_group_is_named(client: OpenAI, name: str, key: str, groups: list[Any]) -> None:
    results = first(client, name, group_by=[key])
    assert [result[key] for result in results] == groups


def test_different_words_of_events_are_one_group_where_the_dialect_knows_one(client: OpenAI) -> None:
    results = first(client, "images", group_by=["source"])
    assert {result["source"]: result["images"] for result in results} == {"image.edit": 4, "image.generation": 2}
    (result,) = asked(client, "completions", group_by=["api_source"])[2]
    assert (result["api_source"], result["num_model_requests"]) == ("unlabeled", 3)


@pytest.mark.parametrize("name", METHODS)
def test_groups_add_up_to_the_whole(client: OpenAI, name: str) -> None:
    operation = next((each for each in OPERATIONS if each.name == name), None)
    groups = [*COST_GROUPS, "line_item"] if operation is None else list(operation.groups)
    whole = asked(client, name)
    for group_by in ([group] for group in groups):
        check_split(whole, asked(client, name, group_by=group_by), groups, group_by)
    check_split(whole, asked(client, name, group_by=groups), groups, groups)


def check_split(whole: Any, split: Any, groups: list[str], group_by: list[str]) -> None:
    for bucket, parts in zip(whole, split, strict=True):
        assert sum_of(parts) == sum_of(bucket)
        keys = [tuple(result[name] for name in group_by) for result in parts]
        assert len(set(keys)) == len(keys)
        for result in parts:
            assert all(result[name] is None for name in set(groups) - set(group_by))


def sum_of(results: list[dict[str, Any]]) -> dict[str, float]:
    """What adds up in results; money is in quarters here, which floats hold exactly."""
    total: dict[str, float] = {}
    for result in results:
        numbers = {name: value for name, value in result.items() if isinstance(value, int) and value is not True}
        if "amount" in result:
            numbers = {"amount": result["amount"]["value"]}
        for name, value in numbers.items():
            if name != "batch":
                total[name] = total.get(name, 0) + value
    return total


@pytest.mark.parametrize(
    ("name", "query", "counts"),
    [
        ("completions", {"models": ["gpt-x"]}, {"num_model_requests": 2}),
        ("completions", {"models": ["nobody"]}, {}),
        ("completions", {"user_ids": ["ana"]}, {"input_tokens": 1000}),
        ("completions", {"user_ids": ["ana", "bob"]}, {"input_tokens": 1010}),
        ("completions", {"user_ids": []}, {"input_tokens": 1010}),
        ("completions", {"api_key_ids": ["key_1"], "project_ids": ["proj"]}, {"input_tokens": 1010}),
        ("completions", {"project_ids": ["other"]}, {}),
        ("completions", {"batch": True}, {"input_tokens": 1000}),
        ("completions", {"batch": False}, {"input_tokens": 10}),
        ("images", {"sizes": ["512x512"]}, {"images": 3}),
        ("images", {"sources": ["image.edit"]}, {"images": 4}),
        ("images", {"sources": ["image.edit", "image.variation"], "sizes": ["1024x1024"]}, {"images": 3}),
        ("file_search_calls", {"vector_store_ids": ["vs_1"]}, {"num_requests": 4}),
        ("web_search_calls", {"context_levels": ["low"]}, {"num_requests": 3, "num_model_requests": 1}),
        ("web_search_calls", {"models": ["gpt-x"], "context_levels": ["high"]}, {"num_requests": 1}),
        ("vector_stores", {"project_ids": ["other"]}, {"usage_bytes": 1}),
        ("code_interpreter_sessions", {"project_ids": ["proj"]}, {"num_sessions": 1}),
    ],
)
def test_filters(client: OpenAI, name: str, query: dict[str, Any], counts: dict[str, int]) -> None:
    results = first(client, name, **query)
    assert [{field: result[field] for field in counts} for result in results] == ([counts] if counts else [])


# --- costs


PRICE = {"provider": "maker", "model": "gpt-y", "match": "equals", "effective_from": "2020-01-01T00:00:00Z"}
RATES = {
    "input_tokens": {"per": 1_000_000, "usd": "2.5"},
    "cache_read_tokens": {"per": 1_000_000, "usd": "1.25"},
    "output_tokens": {"per": 1_000_000, "usd": "10"},
    "audio_seconds": {"per": 60, "usd": "0.006"},
    "requests": {"per": 1, "usd": "0.000000000001"},
}


@pytest.fixture(scope="module")
def billed(server: ServerProcess) -> Iterator[Org]:
    with org_on(server, "billed") as made:
        made.cluster.put("/v1/prices", json={**PRICE, "rates": RATES, "source": "test"}).raise_for_status()

        def called(number: int, usage: dict[str, Any], **fields: Any) -> dict[str, Any]:
            wanted = {"id": f"b{number}", "occurred_at": START, "provider": "maker", "model": "gpt-y", "usage": usage}
            return {**wanted, **fields}

        made.send(
            called(1, {"input_tokens": 1000, "cache_read_tokens": 400, "output_tokens": 10}, project_id="p"),
            called(2, {"input_tokens": 1000, "requests": 2}, user_id="ana", api_key_id="k"),
            called(3, {"audio_seconds": 1.5}, occurred_at=START + DAY),
            called(4, {"input_tokens": 10**6}, model="gpt-unknown"),  # unpriced
            called(5, {}, cost_usd="0.5", model=None),
            called(6, {}, cost_usd="0.000000000003", model="x, y"),
        )
        yield made


def costs_of(org: Org, **query: Any) -> list[list[dict[str, Any]]]:
    """As they stand on the wire, with exact amounts."""
    body = answered(org.admin, COSTS_PATH, **{**RANGE, **query})
    return [bucket["results"] for bucket in body["data"]]


def test_costs_are_exact_sums_of_the_lines(billed: Org) -> None:
    text = billed.admin.get(COSTS_PATH, params=RANGE).text
    # 600 × 2.5 µ + 400 × 1.25 µ + 10 × 10 µ + 1000 × 2.5 µ, the requests at a picodollar each, and what was given
    assert '"amount":{"value":0.504600000006,"currency":"usd"}' in text
    (result,) = costs_of(billed)[0]
    assert result == {
        "object": "organization.costs.result",
        "amount": {"value": 0.504600000006, "currency": "usd"},
        **dict.fromkeys(["line_item", "project_id", "user_id", "api_key_id", "api_source"]),
        **dict.fromkeys(["quantity", "quantity_unit"]),
        "unpriced_requests": 1,
    }


def test_line_items_carry_quantities_and_units(billed: Org) -> None:
    day, following, _ = costs_of(billed, **{"group_by[]": "line_item"})
    assert {
        result["line_item"]: (result["amount"]["value"], result["quantity"], result["quantity_unit"])
        for result in day + following
        if "requests" not in result["line_item"]
    } == {
        "gpt-y, input_tokens": (0.004, 1600, "tokens"),
        "gpt-y, cache_read_tokens": (0.0005, 400, "tokens"),
        "gpt-y, output_tokens": (0.0001, 10, "tokens"),
        "gpt-y, audio_seconds": (0.00015, 1.5, "duration_seconds"),
        "x, y, given": (3e-12, None, None),
        "given": (0.5, None, None),
    }
    requests = [result for result in day if result["line_item"] == "gpt-y, requests"]
    assert [(row["amount"]["value"], row["quantity"], row["quantity_unit"]) for row in requests] == [
        (3e-12, 3, "requests")
    ]


@pytest.mark.parametrize(
    ("line_items", "amount"),
    [
        (["gpt-y, input_tokens"], 0.004),
        (["gpt-y, input_tokens", "gpt-y, output_tokens"], 0.0041),
        (["x, y, given"], 3e-12),
        (["given"], 0.5),
        (["gpt-y"], None),
        (["input_tokens"], None),
    ],
)
def test_line_items_are_filtered_whole_and_never_split(billed: Org, line_items: list[str], amount: Any) -> None:
    for spelling in ("line_items", "line_items[]"):
        results = costs_of(billed, **{spelling: line_items})[0]
        assert [result["amount"]["value"] for result in results] == ([] if amount is None else [amount])
        assert all(result["line_item"] is None and result["quantity"] is None for result in results)
        split = costs_of(billed, **{spelling: line_items, "group_by": "line_item"})[0]
        assert {result["line_item"] for result in split} == (set() if amount is None else set(line_items))


def test_costs_by_the_client(billed: Org, server: ServerProcess) -> None:
    with client_of(server, billed.keys["admin"]) as client:
        usage = usage_of(client)
        page = usage.costs(**RANGE, group_by=["line_item", "project_id"], project_ids=["p"], bucket_width="1d")
        (result,) = [each for each in page.data[0].results if each.line_item == "gpt-y, cache_read_tokens"]
        assert type(result).__name__ == "DataResultOrganizationCostsResult"
        assert result.amount is not None
        assert (result.amount.value, result.amount.currency) == (0.0005, "usd")
        assert (result.quantity, result.quantity_unit, result.project_id) == (400, "tokens", "p")
        page = usage.costs(**RANGE, line_items=["gpt-y, input_tokens"], api_key_ids=["k"], group_by=["user_id"])
        assert [(each.user_id, each.amount and each.amount.value) for each in page.data[0].results] == [("ana", 0.0025)]


# --- the ten facts (contract section 1)


def test_fact_1_the_client_sends_brackets_encoded_and_repeated(org: Org, server: ServerProcess) -> None:
    sent: list[str] = []
    recorder = openai.DefaultHttpxClient(
        event_hooks={"request": [lambda request: sent.append(request.url.query.decode())]}
    )
    with OpenAI(admin_api_key=org.keys["admin"], base_url=f"{server.url}/v1", http_client=recorder) as client:
        page = usage_of(client).completions(**RANGE, group_by=["model", "project_id"])
    assert "group_by%5B%5D=model&group_by%5B%5D=project_id" in sent[0]
    assert [(result.model, result.project_id) for result in page.data[0].results] == [("gpt-x", "proj")]


@pytest.mark.parametrize("name", ["group_by", "user_ids", "models"])
def test_fact_2_four_spellings_of_a_list_are_one(org: Org, name: str) -> None:
    values = {"group_by": ("model", "user_id"), "user_ids": ("ana", "bob"), "models": ("gpt-x", "gpt-z")}[name]
    head = f"{COMPLETIONS}?start_time={START}&end_time={END}"
    one, two = values
    answers = [
        org.admin.get(f"{head}&{tail}").raise_for_status().json()
        for tail in (
            f"{name}%5B%5D={one}&{name}%5B%5D={two}",
            f"{name}[]={one}&{name}[]={two}",
            f"{name}={one}&{name}={two}",
            f"{name}={one},{two}",
            f"{name}%5B%5D={one}%2C{two}",
        )
    ]
    assert len(answers[0]["data"][0]["results"]) == (2 if name == "group_by" else 1)
    assert all(answer == answers[0] for answer in answers)


def test_fact_3_the_admin_key_is_what_is_sent(org: Org, server: ServerProcess) -> None:
    with OpenAI(api_key=org.keys["admin"], base_url=f"{server.url}/v1") as client, pytest.raises(TypeError):
        usage_of(client).completions(**RANGE)
    with OpenAI(api_key="sk-other", admin_api_key=org.keys["admin"], base_url=f"{server.url}/v1") as client:
        assert usage_of(client).completions(**RANGE).data


def test_fact_4_a_walk_by_hand_is_complete_and_ends(client: OpenAI) -> None:
    usage = usage_of(client)
    query: dict[str, Any] = {"start_time": START + 60, "bucket_width": "1h", "group_by": ["model"]}
    whole = usage.completions(**query, end_time=END - 60, limit=168)
    walked: list[Any] = []
    page = usage.completions(**query, end_time=END - 60, limit=5)
    while True:
        walked += page.data
        assert len(page.data) <= 5
        if not page.has_more:
            break
        assert page.next_page is not None
        page = usage.completions(**query, end_time=END - 60, limit=5, page=page.next_page)
    assert page.next_page is None
    assert walked == whole.data
    assert len(walked) == 72


def test_fact_5_no_object_is_unknown_to_the_client(client: OpenAI) -> None:
    for name in METHODS:
        for bucket in asked(client, name, limit=7):
            objects = {result["object"] for result in bucket}
            assert objects <= {*(operation.object for operation in OPERATIONS), "organization.costs.result"}


def test_fact_6_two_objects_do_not_follow_their_path(client: OpenAI) -> None:
    (searches,) = first(client, "file_search_calls")
    (web,) = first(client, "web_search_calls")
    assert searches["object"] == "organization.usage.file_searches.result"
    assert web["object"] == "organization.usage.web_searches.result"


@pytest.mark.parametrize("width", ["1m", "1h", "1d"])
def test_fact_7_the_outer_buckets_are_clipped_and_empty_ones_are_there(client: OpenAI, width: Any) -> None:
    seconds = {"1m": 60, "1h": HOUR, "1d": DAY}[width]
    start, end = START + 17, START + 3 * seconds + 5
    data = usage_of(client).completions(start_time=start, end_time=end, bucket_width=width).data
    edges = [start, *(START + n * seconds for n in (1, 2, 3)), end]
    assert [(bucket.start_time, bucket.end_time) for bucket in data] == list(pairwise(edges))
    counted = sum(result.num_model_requests for bucket in data for result in bucket.results)
    assert counted == {"1m": 0, "1h": 1, "1d": 4}[width]
    assert any(bucket.results == [] for bucket in data)


def test_fact_8_modalities_of_the_input_count_uncached_tokens(client: OpenAI) -> None:
    for (result, *_), *_ in [asked(client, name) for name in ("completions", "decisions")]:
        count = result.__getitem__
        assert count("input_tokens") == sum(
            map(count, ("input_uncached_tokens", "input_cached_tokens", "input_cache_write_tokens"))
        )
        assert count("input_uncached_tokens") == sum(
            map(count, ("input_text_tokens", "input_audio_tokens", "input_image_tokens"))
        )
        assert count("input_cached_tokens") == sum(
            map(count, ("input_cached_text_tokens", "input_cached_audio_tokens", "input_cached_image_tokens"))
        )
        assert count("output_tokens") == sum(
            map(count, ("output_text_tokens", "output_audio_tokens", "output_image_tokens"))
        )


def test_fact_9_an_amount_is_a_number_on_the_wire(org: Org) -> None:
    (result,) = answered(org.admin, COSTS_PATH, **RANGE)["data"][0]["results"]
    assert isinstance(result["amount"]["value"], int | float)
    assert result["amount"] == {"value": 5.25, "currency": "usd"}


@pytest.mark.parametrize(("text", "tokens"), [("false", 10), ("False", 10), ("FALSE", 10), ("True", 1000)])
def test_fact_10_booleans_are_read_in_any_case(org: Org, text: str, tokens: int) -> None:
    body = answered(org.admin, COMPLETIONS, **RANGE, batch=text)
    assert body["data"][0]["results"][0]["input_tokens"] == tokens


# --- time and pages


def test_a_walk_without_an_end_ends_at_the_moment_it_began(org: Org) -> None:
    now = int(time.time())
    org.send(event(900, "moderation", {"input_tokens": 1}, now))
    query: dict[str, Any] = {"start_time": now - 3 * DAY, "limit": 1, "bucket_width": "1d"}
    body = answered(org.admin, f"{PREFIX}/usage/moderations", **query)
    buckets = body["data"]
    while body["next_page"]:
        body = answered(org.admin, f"{PREFIX}/usage/moderations", **query, page=body["next_page"])
        buckets += body["data"]
    assert buckets[0]["start_time"] == now - 3 * DAY
    assert now <= buckets[-1]["end_time"] <= time.time() + 1
    assert len(buckets) in (4, 5)
    assert all(left["end_time"] == right["start_time"] for left, right in pairwise(buckets))
    assert sum(row["input_tokens"] for bucket in buckets for row in bucket["results"]) == 1


@pytest.mark.parametrize(
    ("path", "width", "default", "most"),
    [
        (COMPLETIONS, "1m", 60, 1440),
        (COMPLETIONS, "1h", 24, 168),
        (COMPLETIONS, "1d", 7, 31),
        (f"{PREFIX}/usage/images", "1d", 7, 31),
        (COSTS_PATH, "1d", 7, 180),
    ],
)
def test_limits_by_width(org: Org, path: str, width: str, default: int, most: int) -> None:
    query = {"start_time": START, "end_time": START + 400 * DAY, "bucket_width": width}
    assert len(answered(org.admin, path, **query)["data"]) == default
    assert len(answered(org.admin, path, **query, limit=most)["data"]) == most
    for limit in (most + 1, 10**9):
        error = refused(org.admin, path, 400, **query, limit=limit)["error"]
        assert error == {
            "message": f"Invalid limit provided: {limit}. Limit must be less than or equal to {most}.",
            "type": "invalid_request_error",
            "param": "limit",
            "code": "integer_above_max_value",
        }
    for limit in (0, -1):
        assert refused(org.admin, path, 400, **query, limit=limit)["error"]["param"] == "limit"


def test_a_cursor_serves_its_own_question_only(org: Org) -> None:
    query: dict[str, Any] = {**RANGE, "limit": 1, "group_by": "model"}
    page = answered(org.admin, COMPLETIONS, **query)["next_page"]
    assert all(character.isalnum() or character in "-_" for character in page)
    answered(org.admin, COMPLETIONS, **query, page=page)
    for other in ({"group_by": "user_id"}, {"end_time": END + 1}, {"bucket_width": "1h"}, {"models": "gpt-x"}):
        assert refused(org.admin, COMPLETIONS, 400, **{**query, **other}, page=page)["error"]["param"] == "page"
    for path in (f"{PREFIX}/usage/embeddings", COSTS_PATH):
        sent = {**query, "group_by": "user_id"}
        assert refused(org.admin, path, 400, **sent, page=page)["error"]["param"] == "page"


@pytest.mark.parametrize("at", [-(2**53) + 1, 0, 4_000_000_000, 2**53 - 40 * DAY])
def test_any_integer_is_a_time(org: Org, at: int) -> None:
    body = answered(org.admin, COMPLETIONS, start_time=at, end_time=at + DAY)
    assert [bucket["results"] for bucket in body["data"]] == [[]] * len(body["data"])
    assert (body["data"][0]["start_time"], body["data"][-1]["end_time"]) == (at, at + DAY)


# --- refusals


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({}, "start_time", "missing_required_parameter"),
        ({"start_time": "1.5"}, "start_time", "invalid_value"),
        ({"start_time": ""}, "start_time", "invalid_value"),
        ({"start_time": "2026-01-01"}, "start_time", "invalid_value"),
        ({"start_time": 2**60}, "start_time", "integer_above_max_value"),
        ({"start_time": "1e400"}, "start_time", "invalid_value"),
        ({"start_time": 7, "end_time": 7}, "end_time", "invalid_value"),
        ({"start_time": 7, "end_time": 6}, "end_time", "invalid_value"),
        ({"start_time": 7, "bucket_width": "1w"}, "bucket_width", "invalid_value"),
        ({"start_time": 7, "group_by": "line_item"}, "group_by", "invalid_value"),
        ({"start_time": 7, "group_by[]": ["model", "nonsense"]}, "group_by", "invalid_value"),
        ({"start_time": 7, "batch": "perhaps"}, "batch", "invalid_value"),
        ({"start_time": 7, "limit": "many"}, "limit", "invalid_value"),
        ({"start_time": 7, "page": "nonsense"}, "page", "invalid_value"),
        ({"start_time": 7, "user_ids": ""}, "user_ids", "invalid_value"),
        ({"start_time": 7, "models": "a,,b"}, "models", "invalid_value"),
        ({"start_time": 7, "line_items": "x"}, "line_items", "invalid_value"),
    ],
)
def test_bad_input_names_its_parameter(org: Org, query: dict[str, Any], param: str, code: str) -> None:
    answer = org.admin.get(COMPLETIONS, params=query)
    assert answer.status_code == 400
    assert answer.headers["x-request-id"]
    (error,) = answer.json().values()
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert param in error["message"]


def test_every_fault_is_told(org: Org) -> None:
    error = refused(org.admin, COMPLETIONS, 400, group_by="x", limit=2000, bucket_width="1m")["error"]
    assert error["message"].startswith("Missing required parameter: 'start_time'.")
    assert "Invalid limit provided: 2000" in error["message"]
    assert "'group_by'" in error["message"]


def test_a_filter_of_another_operation_is_refused_and_unknown_keys_are_not(org: Org) -> None:
    for path, name in [(COSTS_PATH, "models"), (COSTS_PATH, "user_ids[]"), (f"{PREFIX}/usage/vector_stores", "models")]:
        error = refused(org.admin, path, 400, **RANGE, **{name: "x"})["error"]
        assert error["param"] == name.removesuffix("[]")
    answered(org.admin, COMPLETIONS, **RANGE, something="else")


def test_the_client_raises_the_class_of_each_refusal(org: Org, server: ServerProcess) -> None:
    with client_of(server, org.keys["admin"]) as client:
        with pytest.raises(openai.BadRequestError) as bad:
            usage_of(client).completions(start_time=START, limit=32)
        assert (bad.value.param, bad.value.code, bad.value.type) == (
            "limit",
            "integer_above_max_value",
            "invalid_request_error",
        )
        assert bad.value.request_id
        with pytest.raises(openai.NotFoundError) as lost:
            usage_of(client.with_options(base_url=f"{server.url}/v1/organization/nowhere")).costs(start_time=0)
        assert lost.value.code == "not_found"
    with client_of(server, "nonsense") as client, pytest.raises(openai.AuthenticationError) as unknown:
        usage_of(client).costs(start_time=0)
    assert unknown.value.code == "invalid_api_key"
    for name in ("ana", "device"):
        with client_of(server, org.keys[name]) as client, pytest.raises(openai.PermissionDeniedError) as denied:
            usage_of(client).embeddings(start_time=0)
        assert "api.usage.read" in str(denied.value)
        assert (denied.value.type, denied.value.code) == ("invalid_request_error", None)


def test_an_admin_key_needs_the_scope(org: Org) -> None:
    wanted = {"name": "ledger", "role": "org_admin", "scopes": ["ledger"]}
    key = org.cluster.post("/v1/keys", json=wanted).raise_for_status().json()["key"]
    answer = org.admin.get(COMPLETIONS, params=RANGE, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 403
    assert "api.usage.read" in answer.json()["error"]["message"]


# --- walls


def test_orgs_are_walls_and_end_users_play_no_part(org: Org) -> None:
    def tokens(client: httpx.Client, **headers: str) -> int:
        body = client.get(COMPLETIONS, params=RANGE, headers=headers).raise_for_status().json()
        return int(body["data"][0]["results"][0]["input_tokens"])

    assert tokens(org.admin) == tokens(org.cluster) == 1010
    assert tokens(org.admin, **{"X-On-Behalf-Of": "nobody"}) == 1010
    assert tokens(org.cluster, **{"X-Org-Id": "other"}) == 7


def test_the_organization_of_the_client_is_ignored(org: Org, server: ServerProcess) -> None:
    with OpenAI(
        admin_api_key=org.keys["admin"], base_url=f"{server.url}/v1", organization="org-x", project="proj-x"
    ) as client:
        assert first(client, "completions")[0]["input_tokens"] == 1010


def test_an_answer_over_its_bound_is_refused(own_server: ServerProcess) -> None:
    server = ServerProcess(own_server.data_dir, query_rows_max=2).start()
    try:
        with server.client() as client:
            for n in range(3):
                client.post("/v1/events", json=event(n, "completion", {}, model=f"m{n}")).raise_for_status()
            error = refused(client, COMPLETIONS, 413, **RANGE, group_by="model")["error"]
            assert error["type"] == "invalid_request_error"
            refused(client, COSTS_PATH, 413, **RANGE, group_by="line_item")
            answered(client, COMPLETIONS, **RANGE)
    finally:
        server.stop()


def test_counts_stay_whole_and_below_2_to_the_53(org: Org) -> None:
    """Every count of every operation is an integer on the wire."""

    def counts(operation: Operation) -> list[Any]:
        body = answered(org.admin, operation.path, **RANGE)
        return [row[name] for bucket in body["data"] for row in bucket["results"] for name in operation.numbers]

    for operation in OPERATIONS:
        assert all(type(count) is int and 0 <= count < 2**53 for count in counts(operation))
