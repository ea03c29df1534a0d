"""Models: section 10 of the contract, over HTTP, with the built-in catalogue."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.credit_calls import Ledger, done, fault, read, refused, unique
from tests.serving import ServerProcess

GPT_4O = {
    "modelId": "gpt-4o",
    "provider": "openai",
    "displayName": "gpt 4o",
    "modelType": "text",
    "tier": "flagship",
    "pricing": {
        "contextWindow": 128_000,
        "text": {"inputPerMillion": Decimal("2.5"), "outputPerMillion": 10, "cachedInputPerMillion": Decimal("1.25")},
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server") / "data"
    running = ServerProcess(folder, price_catalogue=True, body_bytes_max=1 << 20).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ledger(server: ServerProcess) -> Iterator[Ledger]:
    with server.client() as client:
        yield Ledger(client)


def models(ledger: Ledger, **query: Any) -> list[dict[str, Any]]:
    answer = done(ledger.get("/models", **query))
    assert (set(answer), answer["success"]) == ({"success", "models"}, True)
    found: list[dict[str, Any]] = answer["models"]
    return found


def one(ledger: Ledger, model_id: str) -> dict[str, Any]:
    answer = done(ledger.get("/models", modelId=model_id))
    assert (set(answer), answer["success"]) == ({"success", "model"}, True)
    model: dict[str, Any] = answer["model"]
    return model


def cost(ledger: Ledger, model_id: str, **quantities: Any) -> int | Decimal:
    answer = done(ledger.post("/models/calculate", modelId=model_id, **quantities))
    assert set(answer) == {"success", "modelId", "modelName", "estimatedCostUsd", "pricing"}
    usd: int | Decimal = answer["estimatedCostUsd"]
    return usd


def put_price(http: httpx.Client, model: str, rates: dict[str, Any], **fields: Any) -> None:
    wanted = {"model": model, "effective_from": "2020-01-01T00:00:00Z", "rates": rates, **fields}
    assert http.put("/v1/prices", json=wanted).status_code == 201


# Lists.


def test_the_list_is_whole_and_each_model_has_every_field(ledger: Ledger) -> None:
    found = models(ledger)
    assert len(found) > 2_000
    assert GPT_4O in found
    assert {frozenset(model) for model in found} == {frozenset(GPT_4O)}
    assert {section for model in found for section in model["pricing"]} == {
        "contextWindow",
        "text",
        "embedding",
        "audio",
    }


def test_the_list_narrows_by_provider_and_tier(ledger: Ledger) -> None:
    found = models(ledger)
    for query in ({"provider": "openai"}, {"tier": "flagship"}, {"provider": "openai", "tier": "economy"}):
        fitting = [model for model in found if query.items() <= model.items()]
        assert models(ledger, **query) == fitting != []
    assert models(ledger, provider="OpenAI", tier="FLAGSHIP") == models(ledger, provider="openai", tier="flagship")
    assert models(ledger, provider="nobody") == models(ledger, tier="golden") == []


def test_the_list_pages(ledger: Ledger) -> None:
    found = models(ledger, provider="openai")
    answer = done(ledger.get("/models", provider="openai", limit=3, offset=2))
    assert answer == {
        "success": True,
        "models": found[2:5],
        "pagination": {"limit": 3, "offset": 2, "totalCount": len(found), "hasMore": True},
    }
    last = done(ledger.get("/models", provider="openai", offset=len(found) - 1))
    assert (last["models"], last["pagination"]["hasMore"]) == (found[-1:], False)


def test_one_model_is_shown_as_in_the_list(ledger: Ledger) -> None:
    assert one(ledger, "gpt-4o") == GPT_4O
    for model in models(ledger)[::100]:
        assert one(ledger, model["modelId"]) == model


def test_another_name_of_a_model_has_its_price(ledger: Ledger) -> None:
    assert one(ledger, "gpt-4o-2024-08-06") == {**GPT_4O, "modelId": "gpt-4o-2024-08-06"}


def test_an_unknown_model_is_not_found(ledger: Ledger) -> None:
    refused(ledger.get("/models", modelId="nobody"), 404, "not_found")


def test_own_prices_are_listed_for_their_org_alone(ledger: Ledger, server: ServerProcess) -> None:
    name = unique("house")
    put_price(ledger.http, name, {"input_tokens": {"per": 1000, "usd": "0.003"}}, provider="acme-gpu")
    shown = {
        "modelId": name,
        "provider": "acme-gpu",
        "displayName": name,
        "modelType": "embedding",
        "tier": "flagship",
        "pricing": {"contextWindow": None, "embedding": {"inputPerMillion": 3}},
    }
    assert models(ledger, provider="acme-gpu") == [shown]
    with server.client() as http:
        http.post("/v1/orgs", json={"id": "other", "name": "Other"}).raise_for_status()
        http.headers["X-Org-Id"] = "other"
        assert models(Ledger(http), provider="acme-gpu") == []
        refused(http.get("/v1/models", params={"modelId": name}), 404, "not_found")
        refused(http.post("/v1/models/calculate", json={"modelId": name}), 400, "unknown_model")


@pytest.mark.parametrize(
    ("usd", "per", "shown"),
    [
        ("0.36", 3600, "0.006"),
        ("0.0001", 1, "0.006"),
        ("0.111", 3600, "0.00185"),
        ("0.04", 3600, "0.000666666667"),  # no decimal number: to the picodollar
        ("60", 60, "60"),
        ("0", 1, "0"),
    ],
)
def test_audio_is_shown_per_minute_in_plain_digits(ledger: Ledger, usd: str, per: int, shown: str) -> None:
    name = unique("voice")
    put_price(ledger.http, name, {"audio_seconds": {"per": per, "usd": usd}})
    answer = ledger.get("/models", modelId=name)
    assert done(answer)["model"]["pricing"] == {"contextWindow": None, "audio": {"perMinute": Decimal(shown)}}
    assert f'"perMinute":{shown}}}' in answer.text


def test_rates_are_written_with_all_their_digits(ledger: Ledger) -> None:
    name = unique("cheap")
    put_price(ledger.http, name, {"input_tokens": {"per": 1_000_000, "usd": "0.000000000001"}, "output_tokens": {
        "per": 1, "usd": "0.1"}})  # fmt: skip
    assert '"inputPerMillion":0.000000000001,"outputPerMillion":100000}' in ledger.get("/models", modelId=name).text


# What a call would cost.


@pytest.mark.parametrize(
    ("input_tokens", "output_tokens", "cached_tokens", "usd"),
    [(1000, 500, 0, "0.0075"), (1200, 380, 0, "0.0068"), (1500, 500, 200, "0.0085"), (5000, 1000, 2000, "0.02")],
)
def test_the_vectors_of_the_contract(
    ledger: Ledger, input_tokens: int, output_tokens: int, cached_tokens: int, usd: str
) -> None:
    answer = ledger.post(
        "/models/calculate",
        modelId="gpt-4o",
        inputTokens=input_tokens,
        outputTokens=output_tokens,
        cachedTokens=cached_tokens,
    )
    assert done(answer) == {
        "success": True,
        "modelId": "gpt-4o",
        "modelName": "gpt 4o",
        "estimatedCostUsd": Decimal(usd),
        "pricing": GPT_4O["pricing"]["text"],  # type: ignore[index]
    }
    assert f'"estimatedCostUsd":{usd},' in answer.text


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_costs_are_exact(ledger: Ledger, first: int, second: int, output: int) -> None:
    cached, total = sorted((first, second))
    exact = Fraction(total - cached) * Fraction("2.5") + Fraction(cached) * Fraction("1.25") + output * 10
    answer = ledger.post(
        "/models/calculate", modelId="gpt-4o", inputTokens=total, outputTokens=output, cachedTokens=cached
    )
    if exact > 9_000_000 * 10**6:
        refused(answer, 400, "unpriced_usage")
    else:
        assert Fraction(done(answer)["estimatedCostUsd"]) == exact / 10**6


def test_quantities_that_are_not_told_are_none(ledger: Ledger) -> None:
    assert cost(ledger, "gpt-4o") == 0
    assert cost(ledger, "gpt-4o", inputTokens=None, outputTokens=100) == Decimal("0.001")
    assert cost(ledger, "gpt-4o", inputTokens=10**6, unknown=[1]) == Decimal("2.5")


def test_cached_tokens_without_a_rate_of_their_own_cost_as_input(ledger: Ledger) -> None:
    name = unique("uncached")
    put_price(ledger.http, name, {unit: {"per": 10**6, "usd": "2"} for unit in ("input_tokens", "output_tokens")})
    assert cost(ledger, name, inputTokens=10**6, cachedTokens=10**6) == 2


def test_audio_is_charged_by_its_length(ledger: Ledger) -> None:
    answer = done(ledger.post("/models/calculate", modelId="whisper-1", audioDurationSeconds=120))
    assert (answer["estimatedCostUsd"], answer["pricing"]) == (Decimal("0.012"), {"perMinute": Decimal("0.006")})
    blink = Decimal("0.000001")
    assert cost(ledger, "whisper-1", usageType="audio_stt", audioDurationSeconds=blink) == Decimal("0.0000000001")
    assert cost(ledger, "whisper-1", usageType="audio_tts", audioDurationSeconds=30, inputTokens=7) == Decimal("0.003")
    assert cost(ledger, "whisper-1", audioDurationSeconds=0) == 0


def test_an_embedding_has_no_output(ledger: Ledger) -> None:
    name = "openai:text-embedding-3-small"
    assert cost(ledger, name, usageType="embedding", inputTokens=10**6) == Decimal("0.02")
    assert fault(ledger.post("/models/calculate", modelId=name, usageType="embedding", outputTokens=1)) == (
        "outputTokens"
    )


def test_a_long_context_has_the_rates_of_its_tier(ledger: Ledger) -> None:
    name = unique("tiered")
    sheet = {
        "input_tokens": {"per": 10**6, "usd": "1", "tiers": [{"above": 1000, "usd": "2"}]},
        "output_tokens": {"per": 10**6, "usd": "10"},
    }
    put_price(ledger.http, name, sheet)
    assert one(ledger, name)["pricing"]["text"] == {"inputPerMillion": 1, "outputPerMillion": 10}
    for tokens, rate in ((1000, 1), (1001, 2)):
        answer = done(ledger.post("/models/calculate", modelId=name, inputTokens=tokens))
        assert answer["estimatedCostUsd"] == Decimal(tokens * rate) / 10**6
        assert answer["pricing"] == {"inputPerMillion": rate, "outputPerMillion": 10}


def test_calculating_stores_nothing(ledger: Ledger) -> None:
    before = ledger.get("/usage").content
    cost(ledger, "gpt-4o", inputTokens=5)
    assert ledger.get("/usage").content == before


# Refusals.


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"modelId": None}, "modelId"),
        ({"modelId": ""}, "modelId"),
        ({"modelId": 5}, "modelId"),
        ({"inputTokens": -1}, "inputTokens"),
        ({"inputTokens": "1"}, "inputTokens"),
        ({"inputTokens": Decimal("1.5")}, "inputTokens"),
        ({"inputTokens": Decimal("1.0")}, "inputTokens"),
        ({"outputTokens": True}, "outputTokens"),
        ({"outputTokens": 2**53}, "outputTokens"),
        ({"cachedTokens": -1}, "cachedTokens"),
        ({"inputTokens": 1, "cachedTokens": 2}, "cachedTokens"),
        ({"cachedTokens": 1}, "cachedTokens"),
        ({"usageType": "video"}, "usageType"),
        ({"usageType": "audio_stt"}, "audioDurationSeconds"),
        ({"audioDurationSeconds": -1}, "audioDurationSeconds"),
        ({"audioDurationSeconds": "1"}, "audioDurationSeconds"),
        ({"audioDurationSeconds": [1]}, "audioDurationSeconds"),
        ({"audioDurationSeconds": Decimal("1E+300")}, "audioDurationSeconds"),
    ],
)
def test_a_fault_names_its_field(ledger: Ledger, fields: dict[str, Any], field: str) -> None:
    assert fault(ledger.post("/models/calculate", **{"modelId": "gpt-4o", **fields})) == field


def test_what_has_no_price_is_refused(ledger: Ledger) -> None:
    refused(ledger.post("/models/calculate", modelId="nobody", inputTokens=1), 400, "unknown_model")
    refused(ledger.post("/models/calculate", modelId="nobody", usageType="audio_stt", audioDurationSeconds=1),
            400, "unknown_model")  # fmt: skip
    refused(ledger.post("/models/calculate", modelId="whisper-1", inputTokens=1), 400, "unpriced_usage")
    refused(ledger.post("/models/calculate", modelId="gpt-4o", audioDurationSeconds=1), 400, "unpriced_usage")


def test_a_body_that_is_no_object_is_refused(ledger: Ledger) -> None:
    for body in (b"", b"[]", b"5", b"{", b"\xff"):
        refused(ledger.send("/models/calculate", body), 400, "invalid_request")


def test_it_needs_the_scope_of_the_ledger(ledger: Ledger, server: ServerProcess) -> None:
    key = read(ledger.http.post("/v1/keys", json={"name": "reader", "role": "member"}))["key"]
    with server.client(key) as member:
        refused(member.get("/v1/models"), 403, "forbidden")
        refused(member.post("/v1/models/calculate", json={"modelId": "gpt-4o"}), 403, "forbidden")
    refused(httpx.get(f"{server.url}/v1/models"), 401, "unauthorized")
    refused(httpx.delete(f"{server.url}/v1/models", headers=ledger.http.headers), 405, "method_not_allowed")
