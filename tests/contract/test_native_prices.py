"""An org's own prices over HTTP, and what they do to the events that come after them. No catalogue is recorded here."""

import itertools
import time
from typing import Any

import httpx
import pytest

COUNT = itertools.count(1)
PER_MILLION = 10**6
DAYS = ("2023-12-31", "2024-01-31", "2024-02-01", "2025-01-01")


def new_model() -> str:
    """A model no other test has prices for."""
    return f"model-{next(COUNT)}-"  # which begins no other


def sheet(**fields: Any) -> dict[str, Any]:
    return {
        "model": new_model(),
        "effective_from": "2023-01-01T00:00:00Z",
        "rates": {
            "input_tokens": {"per": PER_MILLION, "usd": "2.5"},
            "output_tokens": {"per": PER_MILLION, "usd": "10"},
        },
        **fields,
    }


def tiered(tiers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"per": 1, "usd": "1", "tiers": tiers}


def put(client: httpx.Client, wanted: Any, **options: Any) -> httpx.Response:
    return client.put("/v1/prices", json=wanted, **options)


def recorded(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = put(client, sheet(**fields))
    assert answer.status_code == 201, answer.text
    price: dict[str, Any] = answer.json()
    return price


def rating(client: httpx.Client, model: str, **fields: Any) -> tuple[str, str | None]:
    event = {"model": model, "usage": {"input_tokens": 1200, "output_tokens": 380}, **fields}
    answer = client.post("/v1/events", json={"events": [event]}).raise_for_status().json()
    (result,) = answer["results"]
    return result["pricing"], result["cost_usd"]


def key_of(admin: httpx.Client, org_id: str, role: str = "org_admin", **fields: Any) -> dict[str, str]:
    admin.post("/v1/orgs", json={"id": org_id, "name": org_id})
    wanted = {"name": org_id, "role": role, "org_id": org_id, **fields}
    key: str = admin.post("/v1/keys", json=wanted).raise_for_status().json()["key"]
    return {"Authorization": f"Bearer {key}"}


def faults(answer: httpx.Response) -> list[list[str | int]]:
    assert answer.status_code == 422, answer.text
    return [fault["loc"] for fault in answer.json()["errors"]]


def test_a_price_is_answered_as_it_was_sent(admin: httpx.Client) -> None:
    wanted = sheet(
        provider="openai",
        match="prefix",
        mode="batch",
        effective_from="2026-01-31T12:00:00+02:00",
        effective_to="2027-01-01T00:00:00.000001Z",
        source="https://openai.com/api/pricing",
        daily={"from": "16:30", "to": "00:30:05", "weekdays": ["mon", "sun"]},
        when={"image_quality": "hd", "image_size": "1024x1024"},
        rates={
            "input_tokens": {
                "per": 1000,
                "usd": "2.50",
                "tiers": [{"above": 200000, "usd": "5.0"}, {"above": 1000000, "usd": "0"}],
            },
            "audio_seconds": {"per": 3600, "usd": "1e-7", "at_least": 10},
        },
    )
    answer = put(admin, wanted)
    assert answer.status_code == 201
    price = answer.json()
    assert price.pop("id").startswith("price_")
    assert price.pop("recorded_at").endswith("Z")
    assert price == {
        **wanted,
        "object": "price",
        "org_id": "default",
        "origin": "org",
        "effective_from": "2026-01-31T10:00:00Z",
        "supersedes": None,
        "rates": {**wanted["rates"], "audio_seconds": {"per": 3600, "usd": "0.0000001", "at_least": 10}},
    }


def test_defaults(admin: httpx.Client) -> None:
    price = recorded(admin)
    assert {name: price[name] for name in ("provider", "match", "mode", "effective_to", "daily", "source")} == {
        "provider": None,
        "match": "equals",
        "mode": "standard",
        "effective_to": None,
        "daily": None,
        "source": None,
    }


def test_a_price_takes_part_at_once_and_only_from_its_date(admin: httpx.Client) -> None:
    model = new_model()
    assert rating(admin, model) == ("unpriced", None)
    recorded(admin, model=model, effective_from="2024-01-01T00:00:00Z")
    assert rating(admin, model, occurred_at="2024-01-01T00:00:00Z") == ("priced", "0.0068")
    assert rating(admin, model, occurred_at="2023-12-31T23:59:59.999999Z") == ("unpriced", None)


def test_a_new_price_leaves_yesterday_alone(admin: httpx.Client) -> None:
    model = recorded(admin)["model"]
    yesterday = {"id": f"{model} yesterday", "occurred_at": "2026-01-30T12:00:00Z"}
    assert rating(admin, model, **yesterday) == ("priced", "0.0068")
    free = {"input_tokens": {"per": 1, "usd": "0"}, "output_tokens": {"per": 1, "usd": "0"}}
    recorded(admin, model=model, effective_from="2026-01-31T00:00:00Z", rates=free)
    assert rating(admin, model, occurred_at="2026-01-31T00:00:00Z") == ("free", "0")
    assert rating(admin, model, occurred_at="2026-01-30T23:59:59Z") == ("priced", "0.0068")
    # A resend is answered with the first rating, whatever was recorded since.
    recorded(admin, model=model, effective_from="2026-01-30T00:00:00Z", rates=free)
    assert rating(admin, model, **yesterday) == ("priced", "0.0068")


def test_modes_and_service_tiers(admin: httpx.Client) -> None:
    model = recorded(admin)["model"]
    half = {
        "input_tokens": {"per": PER_MILLION, "usd": "1.25"},
        "output_tokens": {"per": PER_MILLION, "usd": "5"},
    }
    recorded(admin, model=model, mode="batch", rates=half)
    assert rating(admin, model, service_tier="default") == ("priced", "0.0068")
    assert rating(admin, model, batch=True) == ("priced", "0.0034")
    assert rating(admin, model, service_tier="flex") == ("unpriced", None)
    assert rating(admin, model, service_tier="prioirty") == ("unpriced", None)


def test_a_daily_window_goes_over_midnight_in_utc(admin: httpx.Client) -> None:
    model = recorded(admin)["model"]
    half = {"input_tokens": {"per": PER_MILLION, "usd": "1.25"}, "output_tokens": {"per": PER_MILLION, "usd": "5"}}
    night = {"model": model, "daily": {"from": "16:30", "to": "00:30"}, "rates": half}
    recorded(admin, **night)
    assert put(admin, sheet(**night)).json()["code"] == "price_exists"
    costs = {
        time_of_day: rating(admin, model, occurred_at=f"2026-01-31T{time_of_day}Z")[1]
        for time_of_day in ("00:29:59.999999", "00:30:00", "16:29:59.999999", "16:30:00", "23:59:59")
    }
    assert list(costs.values()) == ["0.0034", "0.0068", "0.0068", "0.0034", "0.0034"]
    assert rating(admin, model, occurred_at="2026-01-31T17:30:00+02:00") == ("priced", "0.0068")


def test_a_long_context_has_its_own_tier_for_all_units(admin: httpx.Client) -> None:
    tiers = [{"above": 1200, "usd": "5"}, {"above": 2400, "usd": "50"}]
    rates = {
        "input_tokens": {"per": PER_MILLION, "usd": "2.5", "tiers": tiers},
        "output_tokens": {"per": PER_MILLION, "usd": "10", "tiers": [{"above": 1200, "usd": "20"}]},
    }
    model = recorded(admin, rates=rates)["model"]
    costs = {
        tokens: rating(admin, model, usage={"input_tokens": tokens, "output_tokens": 380})[1]
        for tokens in (1200, 1201, 2400, 2401)
    }
    assert costs == {1200: "0.0068", 1201: "0.013605", 2400: "0.0196", 2401: "0.12765"}


def test_a_price_for_a_closed_day_reprices_nothing(admin: httpx.Client) -> None:
    model = recorded(admin)["model"]
    event = {"id": f"{model} closed", "occurred_at": "2024-03-01T12:00:00Z"}
    assert rating(admin, model, **event) == ("priced", "0.0068")
    asked = {"start": "2024-03-01T00:00:00Z", "end": "2024-03-02T00:00:00Z", "bucket": "1d", "model": model}
    before = admin.get("/v1/usage/query", params=asked).raise_for_status().json()
    assert before["data"][0]["results"][0]["cost_usd"] == "0.0068"
    dear = {"input_tokens": {"per": 1, "usd": "1"}, "output_tokens": {"per": 1, "usd": "1"}}
    recorded(admin, model=model, effective_from="2024-03-01T00:00:00Z", rates=dear)
    assert admin.get("/v1/usage/query", params=asked).json() == before
    assert rating(admin, model, **event) == ("priced", "0.0068")
    assert rating(admin, model, occurred_at="2024-03-01T12:00:00Z") == ("priced", "1580")


def test_overlapping_ranges_are_allowed_and_the_later_beginning_counts(admin: httpx.Client) -> None:
    model = recorded(admin, effective_to="2025-01-01T00:00:00Z")["model"]
    free = {"input_tokens": {"per": 1, "usd": "0"}, "output_tokens": {"per": 1, "usd": "0"}}
    recorded(admin, model=model, effective_from="2024-01-01T00:00:00Z", effective_to="2024-02-01T00:00:00Z", rates=free)
    found = [rating(admin, model, occurred_at=f"{day}T00:00:00Z")[0] for day in DAYS]
    assert found == ["priced", "free", "priced", "unpriced"]


def test_the_same_key_and_date_is_a_conflict_unless_superseded(admin: httpx.Client) -> None:
    first = recorded(admin)
    model = first["model"]
    again = put(admin, sheet(model=model.upper()))
    assert again.status_code == 409
    assert again.json()["code"] == "price_exists"
    assert first["id"] in again.json()["detail"]
    # Another provider, match, mode or date is another price.
    for other in (
        {"provider": "openai"},
        {"match": "prefix"},
        {"mode": "flex"},
        {"effective_from": "2023-01-01T00:00:00.000001Z"},
    ):
        recorded(admin, model=model, **other)
    right = recorded(admin, model=model, supersedes=first["id"], rates={"requests": {"per": 1, "usd": "1"}})
    assert right["supersedes"] == first["id"]
    assert put(admin, sheet(model=model)).status_code == 409
    twice = put(admin, sheet(model=model, supersedes=first["id"]))
    assert (twice.status_code, twice.json()["code"]) == (409, "price_superseded")
    assert rating(admin, model, occurred_at="2023-01-01T00:00:00Z") == ("unpriced", None)


def test_a_repeat_is_answered_byte_for_byte(admin: httpx.Client) -> None:
    wanted, key = sheet(), {"Idempotency-Key": f"price {next(COUNT)}"}
    first = put(admin, wanted, headers=key)
    assert first.status_code == 201
    assert put(admin, wanted, headers=key).content == first.content
    assert len(listed(admin, model=wanted["model"])) == 1
    other = put(admin, sheet(), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    refused_key = {"Idempotency-Key": f"price {next(COUNT)}"}
    refusals = [put(admin, wanted, headers=refused_key) for _ in range(2)]
    assert [refusal.json()["code"] for refusal in refusals] == ["price_exists"] * 2


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        pytest.param({"rates": {}}, [["rates"]], id="no rates"),
        pytest.param({"rates": {"tokens": {"per": 1, "usd": "1"}}}, [["rates", "tokens"]], id="unknown unit"),
        pytest.param({"match": "regex", "model": "a("}, [["model"]], id="bad pattern"),
        pytest.param({"match": "regex", "model": r"(a)\1"}, [["model"]], id="pattern beyond linear time"),
        pytest.param({"effective_to": "2023-01-01T00:00:00Z"}, [["effective_to"]], id="over before it begins"),
        pytest.param({"effective_from": "1969-12-31T23:59:59Z"}, [["effective_from"]], id="too early"),
        pytest.param({"effective_from": "0001-01-01T00:00:00+23:59"}, [["effective_from"]], id="before all"),
        pytest.param({"effective_from": "9999-12-31T23:59:59-23:59"}, [["effective_from"]], id="after all"),
        pytest.param({"effective_from": "2023-01-01"}, [["effective_from"]], id="no instant"),
        pytest.param({"effective_from": 1672531200}, [["effective_from"]], id="number for an instant"),
        pytest.param({"effective_from": None}, [["effective_from"]], id="null for an instant"),
        pytest.param({"model": ""}, [["model"]], id="empty model"),
        pytest.param({"model": "x" * 256}, [["model"]], id="long model"),
        pytest.param({"model": "a\u0000b"}, [["model"]], id="control character"),
        pytest.param({"provider": 5}, [["provider"]], id="wrong type"),
        pytest.param({"match": "glob", "mode": "cheap"}, [["match"], ["mode"]], id="unknown words"),
        pytest.param({"rates": []}, [["rates"]], id="rates of the wrong type"),
        pytest.param({"tiers": [], "org_id": "other"}, [["tiers"], ["org_id"]], id="unknown fields"),
        pytest.param({"daily": {"from": "24:00", "to": "1:00"}}, [["daily", "from"], ["daily", "to"]], id="no times"),
        pytest.param({"daily": {"from": 5}}, [["daily", "from"], ["daily", "to"]], id="half a window"),
        pytest.param({"daily": {"from": "08:00", "to": "08:00"}}, [["daily", "to"]], id="empty window"),
        pytest.param({"daily": "08:00-09:00"}, [["daily"]], id="window of the wrong type"),
        pytest.param(
            {"rates": {"images": tiered([{"above": 0, "usd": "1"}, {"above": 5, "usd": "-1"}])}},
            [["rates", "images", "tiers", 0, "above"], ["rates", "images", "tiers", 1, "usd"]],
            id="tiers out of bounds",
        ),
        pytest.param(
            {"rates": {"images": tiered([{"above": 9, "usd": "1"}, {"above": 9, "usd": "1"}])}},
            [["rates", "images", "tiers", 1, "above"]],
            id="tiers that do not rise",
        ),
        pytest.param(
            {"rates": {"images": tiered([{"above": "9", "usd": 1}, {"more": 9}])}},
            [
                ["rates", "images", "tiers", 0, "above"],
                ["rates", "images", "tiers", 0, "usd"],
                ["rates", "images", "tiers", 1, "above"],
                ["rates", "images", "tiers", 1, "usd"],
                ["rates", "images", "tiers", 1, "more"],
            ],
            id="tiers of the wrong types",
        ),
        pytest.param(
            {"rates": {"images": tiered([{"above": 10**30, "usd": "NaN"}])}},
            [["rates", "images", "tiers", 0, "usd"]],
            id="no number in a tier",
        ),
        pytest.param(
            {"rates": {"images": tiered([{"above": above, "usd": "1"} for above in range(1, 12)])}},
            [["rates", "images", "tiers"]],
            id="too many tiers",
        ),
        pytest.param(
            {"match": "regex", "model": "(", "rates": {"x": {"per": 0, "usd": "-1"}}},
            [["model"], ["rates", "x"], ["rates", "x", "usd"], ["rates", "x", "per"]],
            id="all at once",
        ),
    ],
)
def test_every_fault_is_named(admin: httpx.Client, fields: dict[str, Any], places: list[list[str | int]]) -> None:
    assert faults(put(admin, sheet(**fields))) == [["body", *place] for place in places]


@pytest.mark.parametrize(
    "usd",
    [
        "-1", "-0", "NaN", "Infinity", "1e400", "1e999999999", "1e-999999999", "9" * 39, "1" * 201, "", " 1",
        "1_0", "0x10", "abc", "9000000.01", 2.5, 2, None, True, [],
    ],
)  # fmt: skip
def test_a_rate_is_a_decimal_string_within_bounds(admin: httpx.Client, usd: object) -> None:
    started = time.perf_counter()
    answer = put(admin, sheet(rates={"images": {"per": 1, "usd": usd}}))
    assert time.perf_counter() - started < 1
    assert faults(answer) == [["body", "rates", "images", "usd"]]


@pytest.mark.parametrize("per", [0, -1, 10**12 + 1, 2**63, 10**30, "1000000", 1.5, 1.0, True, None])
def test_per_is_a_whole_number_within_bounds(admin: httpx.Client, per: object) -> None:
    assert faults(put(admin, sheet(rates={"images": {"per": per, "usd": "1"}}))) == [["body", "rates", "images", "per"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b"\xff",
        b'{"model": NaN}',
        b'{"rates": ' + b"[" * 100_000,
        b'{"model": "\\ud800", "effective_from": "2023-01-01T00:00:00Z", "rates": {"\\ud800": {}}}',
        b'{"model": "m", "effective_from": "2023-01-01T00:00:00Z", "rates": {"images": {"usd": "1", "per": 1'
        + b"0" * 5_000
        + b"}}}",
    ],
)
def test_bodies_that_are_no_price(admin: httpx.Client, body: bytes) -> None:
    answer = admin.put("/v1/prices", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    return client.get("/v1/prices", params=query).raise_for_status().json()["data"]  # type: ignore[no-any-return]


def test_pages_walk_newest_first(admin: httpx.Client) -> None:
    model = new_model()
    made = [recorded(admin, model=model, effective_from=f"20{year}-01-01T00:00:00Z") for year in range(10, 17)]
    walked: list[dict[str, Any]] = []
    page: str | None = None
    while True:
        query = {"model": model, "limit": "3"} | ({"page": page} if page else {})
        answer = admin.get("/v1/prices", params=query).raise_for_status().json()
        assert answer["object"] == "list"
        assert answer["has_more"] is (answer["next_page"] is not None)
        walked += answer["data"]
        page = answer["next_page"]
        if page is None:
            break
    assert walked == made[::-1]
    assert listed(admin, model=model, limit=7) == walked


def test_lists_narrow_to_model_and_provider(admin: httpx.Client) -> None:
    model = new_model()
    plain, openai = recorded(admin, model=model), recorded(admin, model=model, provider="openai")
    assert listed(admin, model=model) == [openai, plain]
    assert listed(admin, model=model, provider="OpenAI") == [openai]
    assert listed(admin, model=model, provider="azure") == []
    assert faults(admin.get("/v1/prices", params={"modle": model})) == [["query", "modle"]]


def test_a_page_belongs_to_its_list(admin: httpx.Client) -> None:
    model = new_model()
    for year in (2021, 2022):
        recorded(admin, model=model, effective_from=f"{year}-01-01T00:00:00Z")
    page = admin.get("/v1/prices", params={"model": model, "limit": 1}).json()["next_page"]
    for query in ({"page": page}, {"page": page, "model": f"{model}x"}, {"page": f"{page}x", "model": model}):
        assert faults(admin.get("/v1/prices", params=query)) == [["query", "page"]]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "1.5", ""])
def test_limits(admin: httpx.Client, limit: str) -> None:
    assert faults(admin.get("/v1/prices", params={"limit": limit})) == [["query", "limit"]]


def test_orgs_are_walls(admin: httpx.Client) -> None:
    model = new_model()
    ours = recorded(admin, model=model)
    other = key_of(admin, "prices-other")
    assert admin.get("/v1/prices", headers=other).json()["data"] == []
    event = {"model": model, "usage": {"input_tokens": 1}}
    answer = admin.post("/v1/events", json=event, headers=other).raise_for_status().json()
    assert answer["results"][0]["pricing"] == "unpriced"
    foreign = put(admin, sheet(model=model, supersedes=ours["id"]), headers=other)
    unknown = put(admin, sheet(model=model, supersedes="price_0"), headers=other)
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json()["detail"] == unknown.json()["detail"]
    theirs = put(admin, sheet(model=model), headers=other)
    assert (theirs.status_code, theirs.json()["org_id"]) == (201, "prices-other")
    assert listed(admin, model=model) == [ours]
    # A cluster admin reaches the other org by naming it.
    assert admin.get("/v1/prices", headers={"X-Org-Id": "prices-other"}).json()["data"] == [theirs.json()]


def test_who_may_record_and_read(admin: httpx.Client) -> None:
    member = key_of(admin, "prices-members", role="member", user_id="ana")
    reader = key_of(admin, "prices-members", role="org_admin", scopes=["read"])
    writer = key_of(admin, "prices-members", role="org_admin", scopes=["admin"])
    statuses = [
        (put(admin, sheet(), headers=key).status_code, admin.get("/v1/prices", headers=key).status_code)
        for key in (member, reader, writer, {"Authorization": "Bearer nobody"})
    ]
    assert statuses == [(403, 200), (403, 200), (201, 403), (401, 401)]


def resolve(client: httpx.Client, **query: Any) -> dict[str, Any]:
    return client.get("/v1/prices/resolve", params=query).raise_for_status().json()  # type: ignore[no-any-return]


def test_a_resolution_tells_which_price_and_why(admin: httpx.Client) -> None:
    first = recorded(admin)
    model = first["model"]
    second = recorded(admin, model=model, effective_from="2026-01-01T00:00:00Z")
    general = recorded(admin, model=model, match="prefix")
    later = recorded(admin, model=model, effective_from="2199-01-01T00:00:00Z")
    found = resolve(admin, model=model.upper(), at="2026-01-31T00:00:00+01:00")
    assert found == {
        "object": "price_resolution",
        "model": model.upper(),
        "provider": None,
        "mode": "standard",
        "at": "2026-01-30T23:00:00Z",
        "price": second,
        "reason": None,
        "matched": None,
        "candidates": [
            {"price": later, "standing": "not in force yet", "won": False},
            {"price": second, "standing": "in force, and none in force comes before it", "won": True},
            {
                "price": first,
                "standing": "in force, but another for the same models began or was recorded later",
                "won": False,
            },
            {"price": general, "standing": "in force, but equals comes before prefix", "won": False},
        ],
        "candidates_total": 4,
        "modes": ["standard"],
    }
    assert resolve(admin, model=model)["price"] == second
    assert resolve(admin, model=model, at="1767225599")["price"] == first
    few = resolve(admin, model=model, limit=1)
    assert [each["won"] for each in few["candidates"]] == [False, True]
    assert few["candidates_total"] == 4


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"mode": "flex"}, "there is no price for the mode flex, but for standard"),
        ({"at": "2001-01-01T00:00:00Z"}, "there are prices, and none of them is in force at that time"),
        ({"provider": "nobody", "model": "nothing"}, "no price names it, and no catalogue is recorded"),
        ({"model": "nothing"}, "no price names it, and no catalogue is recorded"),
    ],
)
def test_an_unknown_model_is_answered_with_the_reason(admin: httpx.Client, query: dict[str, str], reason: str) -> None:
    found = resolve(admin, **{"model": recorded(admin)["model"]} | query)
    assert (found["price"], found["reason"]) == (None, reason)
    assert not any(candidate["won"] for candidate in found["candidates"])


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": "x" * 256}, "model"),
        ({"model": "a\u0000"}, "model"),
        ({"model": "m", "provider": ""}, "provider"),
        ({"model": "m", "mode": "cheap"}, "mode"),
        ({"model": "m", "at": "yesterday"}, "at"),
        ({"model": "m", "at": "1969-12-31T23:59:59Z"}, "at"),
        ({"model": "m", "at": "9" * 400}, "at"),
        ({"model": "m", "limit": "0"}, "limit"),
        ({"model": "m", "limit": "1001"}, "limit"),
        ({"model": "m", "modle": "n"}, "modle"),
    ],
)
def test_questions_that_are_none(admin: httpx.Client, query: dict[str, str], place: str) -> None:
    assert faults(admin.get("/v1/prices/resolve", params=query)) == [["query", place]]


def test_a_member_may_ask_and_sees_no_other_org(admin: httpx.Client) -> None:
    model = recorded(admin)["model"]
    member = key_of(admin, "prices-askers", role="member", user_id="ana")
    answer = admin.get("/v1/prices/resolve", params={"model": model}, headers=member).raise_for_status().json()
    assert (answer["price"], answer["candidates"]) == (None, [])
    for method, path in (("POST", "/v1/prices/sync"), ("GET", "/v1/prices/diff")):
        for key in (member, key_of(admin, "prices-askers")):
            assert admin.request(method, path, headers=key).status_code == 403


@pytest.mark.parametrize("origin", ["", "ORG", "mine"])
def test_origins(admin: httpx.Client, origin: str) -> None:
    assert faults(admin.get("/v1/prices", params={"origin": origin})) == [["query", "origin"]]


def test_without_a_catalogue_there_are_no_common_prices(admin: httpx.Client) -> None:
    assert listed(admin, origin="catalogue") == listed(admin, origin="overlay") == []


def test_an_image_costs_what_its_size_and_quality_cost(admin: httpx.Client) -> None:
    for size, usd in (("1024x1024", "0.04"), ("1792x1024", "0.08")):
        when = {"image_size": size, "image_quality": "standard"}
        rates = {"images": {"usd": usd, "per": 1}}
        assert put(admin, sheet(model="painter", when=when, rates=rates)).status_code == 201
    about = {"model": "painter", "usage": {"images": 2}, "image_quality": "Standard"}
    events = [about, {**about, "image_size": "1792X1024"}]
    results = admin.post("/v1/events", json={"events": events}).raise_for_status().json()["results"]
    assert [(each["pricing"], each["cost_usd"]) for each in results] == [("unpriced", None), ("priced", "0.16")]
    said = {"image_size": "1024x1024", "image_quality": "standard"}
    found = admin.get("/v1/prices/resolve", params={"model": "painter", **said}).raise_for_status().json()
    assert found["price"]["when"] == {"image_quality": "standard", "image_size": "1024x1024"}


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"when": {"colour": "red"}}, ["body", "when", "colour"]),
        ({"when": {"image_size": ""}}, ["body", "when", "image_size"]),
        ({"daily": {"from": "01:00", "to": "02:00", "weekdays": ["monday"]}}, ["body", "daily", "weekdays", 0]),
        (
            {"rates": {"input_tokens": {"usd": "1", "per": 1, "at_least": 5}}},
            ["body", "rates", "input_tokens", "at_least"],
        ),
        (
            {"rates": {"audio_seconds": {"usd": "1", "per": 1, "at_least": "5"}}},
            ["body", "rates", "audio_seconds", "at_least"],
        ),
    ],
)
def test_conditions_that_cannot_be(admin: httpx.Client, fields: dict[str, Any], loc: list[str | int]) -> None:
    assert faults(put(admin, sheet(**fields))) == [loc]
