"""The built-in catalogue over HTTP: events are rated with it, orgs go before it, and syncs are whole or not at all."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tallybook.core.failpoints import Failpoint
from tests.serving import ServerProcess

COUNT = itertools.count(1)
WINTER = "2026-01-31T12:00:00Z"
CACHED = {"input_tokens": 1000, "cache_read_tokens": 400, "output_tokens": 100}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server whose first start records the catalogue."""
    running = ServerProcess(tmp_path_factory.mktemp("catalogue") / "data", price_catalogue="true").start()
    yield running
    running.stop()


@pytest.fixture
def org(admin: httpx.Client) -> Iterator[httpx.Client]:
    """A client of an org of its own, without prices of its own."""
    org_id = f"org-{next(COUNT)}"
    admin.post("/v1/orgs", json={"id": org_id, "name": org_id}).raise_for_status()
    with httpx.Client(base_url=admin.base_url, headers={**admin.headers, "X-Org-Id": org_id}, timeout=30) as client:
        yield client


def rated(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """An event of a long context at noon on 2026-01-31, as it is stored."""
    event = {"occurred_at": WINTER, "usage": CACHED, **fields}
    answer = client.post("/v1/events", json=event).raise_for_status().json()
    uid = answer["results"][0]["uid"]
    stored: dict[str, Any] = client.get(f"/v1/events/{uid}").raise_for_status().json()
    return stored


def cost_of(client: httpx.Client, **fields: Any) -> str | None:
    cost: str | None = rated(client, **fields)["cost_usd"]
    return cost


def resolve(client: httpx.Client, model: str, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/prices/resolve", params={"model": model, "at": WINTER, **query})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def put(client: httpx.Client, model: str, usd: str, **fields: Any) -> dict[str, Any]:
    """A price of the org's own, in US dollars per million tokens."""
    rates = {unit: {"per": 10**6, "usd": usd} for unit in ("input_tokens", "output_tokens")}
    wanted = {"model": model, "effective_from": "2025-01-01T00:00:00Z", "rates": rates, **fields}
    price: dict[str, Any] = client.put("/v1/prices", json=wanted).raise_for_status().json()
    return price


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    prices: list[dict[str, Any]] = []
    page: dict[str, str] = {}
    while True:
        answer = client.get("/v1/prices", params={"limit": 1000, **query, **page}).raise_for_status().json()
        prices += answer["data"]
        if not answer["has_more"]:
            return prices
        page = {"page": answer["next_page"]}


def installed() -> dict[str, Any]:
    """What the translator of the catalogue says, run as the server runs it."""
    done = subprocess.run([sys.executable, "-m", "tallybook.catalogues.genai_prices"], capture_output=True, check=True)
    snapshot: dict[str, Any] = json.loads(done.stdout)
    return snapshot


def test_cached_tokens_are_charged_once_at_their_own_rate(org: httpx.Client) -> None:
    # 600 x 2.50 + 400 x 1.25 + 100 x 10.00 USD per million (https://openai.com/api/pricing, gpt-4o).
    event = rated(org, model="gpt-4o")
    assert (event["pricing"], event["cost_usd"]) == ("priced", "0.003")
    found = resolve(org, "gpt-4o")
    assert found["price"]["id"] == event["price_id"]
    assert found["price"]["origin"] == "catalogue"
    assert found["price"]["org_id"] is None
    assert found["matched"] == {"provider": "openai", "model": "gpt-4o", "rule": "equals 'gpt-4o'"}
    assert [candidate["won"] for candidate in found["candidates"]] == [True]
    assert event["price_id"] in [price["id"] for price in listed(org, origin="catalogue", model="gpt-4o")]


def test_names_are_understood_by_the_rules_of_the_catalogue(org: httpx.Client) -> None:
    for names in (
        {"model": "GPT-4o"},
        {"model": "openai:gpt-4o"},
        {"model": "gpt-4o-2024-08-06"},
        {"model": "gpt-4o", "provider": "openai"},
        {"model": "gpt-4o", "provider": "azure"},
        {"model": "openai/gpt-4o", "provider": "litellm"},
    ):
        assert cost_of(org, **names) == "0.003", names


def test_what_the_catalogue_does_not_know_is_unpriced(org: httpx.Client) -> None:
    for fields in (
        {"model": "model-of-nobody"},
        {"model": "gpt-4o", "provider": "provider-of-nobody"},
        {"model": "gpt-4o", "service_tier": "prioirty"},
        {"model": "gpt-4o", "service_tier": "scale"},
        {},
    ):
        event = rated(org, **fields)
        assert (event["pricing"], event["cost_usd"]) == ("unpriced", None), fields
    assert "does not know whose model it is" in resolve(org, "model-of-nobody")["reason"]
    assert "does not know the provider" in resolve(org, "gpt-4o", provider="provider-of-nobody")["reason"]


def test_modes_have_prices_of_their_own_or_none(org: httpx.Client) -> None:
    model = "gpt-5.4-nano"
    known = {price["mode"]: price for price in listed(org, origin="catalogue", provider="openai", model=model)}
    assert {"standard", "batch", "flex"} <= set(known)
    for mode, price in known.items():
        at = price["effective_from"]
        sent = {"batch": True} if mode == "batch" else {"service_tier": mode}
        event = rated(org, model=model, occurred_at=max(at, WINTER), **sent)
        assert (event["pricing"], event["price_id"]) == ("priced", price["id"])
    costs = {mode: cost_of(org, model=model, service_tier=mode, occurred_at="2026-11-01T00:00:00Z") for mode in known}
    assert costs["standard"] == "0.000253"
    assert costs["batch"] == costs["flex"] == "0.0001265"
    # A mode that there is no price for yet is not rated as another.
    assert cost_of(org, model=model, service_tier="flex") is None
    assert "none of them is in force" in resolve(org, model, mode="flex")["reason"]
    assert resolve(org, "gpt-4o", mode="flex")["reason"].startswith("there is no price for the mode flex, but for")


def test_a_price_of_the_org_comes_first_and_only_from_its_date(org: httpx.Client) -> None:
    own = put(org, "gpt-4o", "1", effective_from="2026-01-01T00:00:00Z", effective_to="2026-02-01T00:00:00Z")
    assert cost_of(org, model="gpt-4o") == "0.0011"
    assert cost_of(org, model="gpt-4o", occurred_at="2025-12-31T23:59:59.999999Z") == "0.003"
    assert cost_of(org, model="gpt-4o", occurred_at="2026-02-01T00:00:00Z") == "0.003"
    found = resolve(org, "gpt-4o")
    assert found["price"] == own
    assert [candidate["price"]["origin"] for candidate in found["candidates"]] == ["org", "catalogue"]
    assert found["candidates"][1]["standing"] == ("in force, but a price of the org comes before one of the catalogue")


def test_a_model_of_the_orgs_own(org: httpx.Client, admin: httpx.Client) -> None:
    put(org, "house-model", "3", provider="house")
    assert cost_of(org, model="house:house-model") == "0.0033"
    assert cost_of(admin, model="house:house-model") is None


def test_a_change_today_leaves_yesterday_alone(org: httpx.Client) -> None:
    yesterday = rated(org, id="yesterday", model="gpt-4o")
    asked = {"start": "2026-01-31T00:00:00Z", "end": "2026-02-01T00:00:00Z", "bucket": "1d", "group_by": "model"}
    before = org.get("/v1/usage/query", params=asked).raise_for_status().json()
    assert before["data"][0]["results"][0]["cost_usd"] == "0.003"
    put(org, "gpt-4o", "1", effective_from="2026-02-01T00:00:00Z")
    # Backdated ones get the price of their own time, whatever is in force today.
    assert cost_of(org, model="gpt-4o", occurred_at="2026-02-01T00:00:00Z") == "0.0011"
    assert cost_of(org, model="gpt-4o", occurred_at="2025-01-31T12:00:00Z") == "0.003"
    put(org, "gpt-4o", "100", effective_from="2026-01-31T00:00:00Z")
    assert org.get("/v1/usage/query", params=asked).json() == before
    assert org.get(f"/v1/events/{yesterday['uid']}").json() == yesterday
    again = org.post("/v1/events", json={"id": "yesterday", "occurred_at": WINTER, "model": "gpt-4o", "usage": CACHED})
    assert again.json()["results"][0] | {"index": 0} == {
        "index": 0,
        "id": "yesterday",
        "uid": yesterday["uid"],
        "status": "duplicate",
        "pricing": "priced",
        "cost_usd": "0.003",
    }


def test_prices_are_in_force_from_their_date_and_in_their_part_of_the_day(org: httpx.Client) -> None:
    dated = [price for price in listed(org, origin="catalogue") if price["effective_from"] > "2000"][:25]
    windowed = [price for price in listed(org, origin="catalogue") if price["daily"] is not None][:25]
    in_force = []
    for price in (*dated, *windowed):
        time_of_day = "00:00" if price["daily"] is None else price["daily"]["from"]
        at = f"{price['effective_from'][:10]}T{time_of_day}:00Z"
        found = resolve(org, price["model"], provider=price["provider"], mode=price["mode"], at=at)
        in_force += [
            candidate["price"]["id"]
            for candidate in found["candidates"]
            if candidate["price"] == price and candidate["standing"].startswith("in force")
        ]
    # A few ids of the catalogue are not what its own rules find them by.
    assert len(in_force) > 0.8 * len([*dated, *windowed]) > 30


def test_the_whole_catalogue_is_recorded(admin: httpx.Client) -> None:
    snapshot = installed()
    recorded = listed(admin, origin="catalogue")
    assert len(recorded) == len(snapshot["prices"]) > 1_000
    assert {price["source"] for price in recorded} == {snapshot["version"]}
    assert {price["origin"] for price in listed(admin, origin="overlay")} <= {"overlay"}
    assert all(price["match"] == "equals" for price in recorded)


def test_a_second_sync_records_nothing(admin: httpx.Client) -> None:
    before = listed(admin, origin="catalogue")
    version = installed()["version"]
    assert admin.get("/v1/prices/diff").raise_for_status().json() == {
        "object": "price_diff",
        "recorded_version": version,
        "installed_version": version,
        "changes": [],
        "changes_total": 0,
    }
    for _ in range(2):
        answer = admin.post("/v1/prices/sync").raise_for_status().json()
        assert answer == {"object": "price_sync", "version": version, "previous_version": version, "recorded": 0}
    assert listed(admin, origin="catalogue") == before


def test_the_first_sync_shows_beforehand_what_it_records(own_server: ServerProcess) -> None:
    own_server.start()
    with own_server.client() as client:
        assert cost_of(client, model="gpt-4o") is None
        found = client.get("/v1/prices/diff", params={"limit": 10_000}).raise_for_status().json()
        assert (found["recorded_version"], len(found["changes"])) == (None, found["changes_total"])
        few = client.get("/v1/prices/diff", params={"limit": 1}).raise_for_status().json()
        assert (len(few["changes"]), few["changes_total"]) == (1, found["changes_total"])
        change = next(each for each in found["changes"] if (each["model"], each["mode"]) == ("gpt-4o", "standard"))
        assert change["provider"] == "openai"
        assert (change["rates_before"], change["ends"], change["daily"]) == (None, False, None)
        assert change["rates_after"]["input_tokens"] == {"usd": "2.5", "per": 1_000_000}
        key = {"Idempotency-Key": "first sync"}
        done = client.post("/v1/prices/sync", headers=key).raise_for_status()
        assert done.json() == {
            "object": "price_sync",
            "version": found["installed_version"],
            "previous_version": None,
            "recorded": found["changes_total"],
        }
        assert client.post("/v1/prices/sync", headers=key).content == done.content
        assert cost_of(client, model="gpt-4o") == "0.003"
        for limit in ("0", "10001", "all"):
            assert client.get("/v1/prices/diff", params={"limit": limit}).status_code == 422
        before = resolve(client, "gpt-4o")
    own_server.stop()
    own_server.start()
    with own_server.client() as client:
        assert resolve(client, "gpt-4o") == before


@pytest.mark.parametrize("point", [Failpoint.EFFECT_DONE, Failpoint.BEFORE_COMMIT])
def test_a_sync_killed_before_its_commit_changes_nothing(tmp_path: Path, point: Failpoint) -> None:
    # The first start makes the org, then syncs, then makes the key; a killed sync is caught up on by the next start.
    killed = ServerProcess(tmp_path / "data", price_catalogue="true", failpoint=f"{point}:2")
    if point is Failpoint.EFFECT_DONE:  # reached by repeatable writes only, of which there are none at the start
        killed = ServerProcess(tmp_path / "data", failpoint=f"{point}:1").start()
        with killed.client() as client, pytest.raises(httpx.TransportError):
            client.post("/v1/prices/sync", headers={"Idempotency-Key": "killed"})
        killed.kill()
    else:
        with pytest.raises(AssertionError, match="ended early"):
            killed.start()
    survivor = ServerProcess(tmp_path / "data").start()
    try:
        with survivor.client() as client:
            assert listed(client, origin="catalogue") == listed(client, origin="overlay") == []
            found = client.get("/v1/prices/diff").raise_for_status().json()
            assert found["recorded_version"] is None
            done = client.post("/v1/prices/sync", headers={"Idempotency-Key": "killed"}).raise_for_status().json()
            assert done["recorded"] == found["changes_total"]
            assert cost_of(client, model="gpt-4o") == "0.003"
    finally:
        survivor.stop()


def test_a_broken_catalogue_is_a_503_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In place of the library, a package that breaks off while it is loaded.
    (tmp_path / "broken" / "genai_prices").mkdir(parents=True)
    (tmp_path / "broken" / "genai_prices" / "__init__.py").write_text("raise RuntimeError('the snapshot is damaged')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    broken = ServerProcess(tmp_path / "data").start()
    try:
        with broken.client() as client:
            for answer in (client.post("/v1/prices/sync"), client.get("/v1/prices/diff")):
                assert (answer.status_code, answer.json()["code"]) == (503, "catalogue_unreadable")
                assert "the snapshot is damaged" in answer.json()["detail"]
                assert "Retry-After" not in answer.headers
            assert listed(client, origin="catalogue") == []
            put(client, "gpt-4o", "1")
            assert cost_of(client, model="gpt-4o") == "0.0011"
    finally:
        broken.stop()


def test_a_malformed_overlay_leaves_the_old_table_in_force(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    file = overlay / "house.yaml"
    text = """\
provider: house
sheets:
  - {page: "https://prices.example", checked: 2026-01-01, from: 2026-01-01, models: {house-llm: {input_tokens: 2/1M}}}
"""
    file.write_text(text)
    running = ServerProcess(tmp_path / "data", price_catalogue="true", overlay_dir=str(overlay)).start()
    try:
        with running.client() as client:
            usage = {"provider": "house", "model": "house-llm", "usage": {"input_tokens": 10**6}}
            assert cost_of(client, **usage) == "2"
            for wrong, place in (("2 per million", "house.yaml:3: input_tokens: "), ("3/1M, x", "house.yaml:3: ")):
                file.write_text(text.replace("2/1M", wrong))
                for answer in (client.get("/v1/prices/diff"), client.post("/v1/prices/sync")):
                    assert (answer.status_code, answer.json()["code"]) == (503, "catalogue_unreadable")
                    assert place in answer.json()["detail"]
                assert cost_of(client, **usage) == "2"
            file.write_text(text.replace("2/1M", "3/1M"))
            assert client.post("/v1/prices/sync").raise_for_status().json()["recorded"] == 1
            assert cost_of(client, **usage) == "2"  # at its own time, before the sync
            assert cost_of(client, **usage, occurred_at=None) == "3"
    finally:
        running.stop()
