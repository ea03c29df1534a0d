"""The guide to usage tracking, step by step over HTTP, with the numbers of section 10.4 of the contract."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tallybook.sdk import Client
from tests.contract.credit_calls import Ledger, done, read
from tests.serving import ADMIN_KEY, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("server") / "data", price_catalogue=True).start()
    yield running
    running.stop()


def test_the_guide_from_a_hold_to_the_summary(server: ServerProcess) -> None:
    with server.client() as admin:
        key = read(admin.post("/v1/keys", json={"name": "billing", "role": "org_admin", "scopes": ["ledger"]}))["key"]
    with server.client() as http:
        del http.headers["Authorization"]
        http.headers["X-API-Key"] = key
        client = Ledger(http)

        # An account with credits.
        account = done(client.post("/accounts/create", externalId="user_456", name="Ada"))["account"]
        done(client.post("/accounts/credits/add", externalId="user_456", amount=1000))

        # Step 1: hold, call, confirm.
        reservation = done(client.post("/reservations/create", externalId="user_456", amount=500))["reservation"]
        confirmed = done(client.confirm(reservation["id"], 85))
        assert (confirmed["success"], confirmed["accountId"], confirmed["balance"]) == (True, account["id"], 915)

        # Step 2: record the usage of a customer.
        billed = {"context": "customer", "transactionId": confirmed["transactionId"]}
        answer = done(
            client.post(
                "/usage/record",
                **billed,
                accountId=confirmed["accountId"],
                modelId="gpt-4o",
                usageType="text",
                inputTokens=1200,
                outputTokens=380,
                cachedTokens=0,
                description="Chat completion",
            )
        )
        assert set(answer) == {"success", "usageRecord"}
        chat = answer["usageRecord"]
        assert (chat["estimatedCostUsd"], chat["context"], chat["externalId"]) == (
            Decimal("0.0068"),
            "customer",
            "user_456",
        )

        # Step 3: models, an estimate, and audio.
        models = {model["modelId"]: model for model in done(client.get("/models"))["models"]}
        assert models["gpt-4o"]["pricing"]["text"] == {
            "inputPerMillion": Decimal("2.5"),
            "outputPerMillion": 10,
            "cachedInputPerMillion": Decimal("1.25"),
        }
        assert models["whisper-1"]["pricing"]["audio"] == {"perMinute": Decimal("0.006")}
        estimate = done(client.post("/models/calculate", modelId="gpt-4o", inputTokens=1000, outputTokens=500))
        assert estimate["estimatedCostUsd"] == Decimal("0.0075")
        audio = done(
            client.post(
                "/usage/record",
                **billed,
                externalId="user_456",
                modelId="whisper-1",
                usageType="audio_stt",
                audioDurationSeconds=120,
                description="Transcription",
            )
        )["usageRecord"]
        assert (audio["estimatedCostUsd"], audio["audioDurationSeconds"], audio["inputTokens"]) == (
            Decimal("0.012"),
            120,
            None,
        )

        # System or customer: the system's own usage needs neither transaction nor account, and looks at none.
        system = [
            done(
                client.post(
                    "/usage/record",
                    context="system",
                    modelId="gpt-4o",
                    usageType="text",
                    inputTokens=tokens,
                    outputTokens=output,
                    cachedTokens=cached,
                    accountId=account["id"],
                    transactionId=confirmed["transactionId"],
                )
            )["usageRecord"]
            for tokens, output, cached in ((1500, 500, 200), (5000, 1000, 2000))
        ]
        assert [each["estimatedCostUsd"] for each in system] == [Decimal("0.0085"), Decimal("0.02")]
        assert {each[name] for each in system for name in ("accountId", "externalId", "transactionId")} == {None}

        # Step 4: usage by account.
        today = datetime.now(UTC).date()
        window = {"startDate": str(today - timedelta(days=1)), "endDate": str(today + timedelta(days=1))}
        of_user = {"externalId": "user_456", "context": "customer"}
        assert done(client.get("/usage", **of_user, **window)) == {"success": True, "usageRecords": [audio, chat]}
        assert done(client.get("/usage", **of_user, **window, modelId="gpt-4o"))["usageRecords"] == [chat]
        assert done(client.get("/usage", **of_user, startDate="2024-01-01", endDate="2024-01-31")) == {
            "success": True,
            "usageRecords": [],
        }
        (debit, _) = done(client.get("/transactions", externalId="user_456", include="reservation,usage"))["items"]
        assert debit["usageRecords"] == debit["usage"] == [audio, chat]
        assert debit["reservation"]["id"] == reservation["id"]

        # Step 5: the summary.
        assert done(client.get("/usage", context="customer", summary="true")) == {
            "success": True,
            "summary": {
                "totalCostUsd": Decimal("0.0188"),
                "totalInputTokens": 1200,
                "totalOutputTokens": 380,
                "totalCachedTokens": 0,
                "totalAudioDurationSeconds": 120,
                "byContext": {"customer": Decimal("0.0188"), "system": 0},
                "byModel": {
                    "gpt-4o": {"costUsd": Decimal("0.0068"), "count": 1},
                    "whisper-1": {"costUsd": Decimal("0.012"), "count": 1},
                },
                "recordCount": 2,
                "unpricedCount": 0,
            },
        }
        whole = done(client.get("/usage", summary="true"))["summary"]
        assert whole["totalCostUsd"] == Decimal("0.0473")
        assert whole["byContext"] == {"customer": Decimal("0.0188"), "system": Decimal("0.0285")}
        assert whole["byModel"] == {
            "gpt-4o": {"costUsd": Decimal("0.0353"), "count": 3},
            "whisper-1": {"costUsd": Decimal("0.012"), "count": 1},
        }

        # Recording moved nothing.
        assert client.balances(account["id"]) == (915, 0, 915)
        assert client.statement(account["id"]) == [("credit", 1000, 1000), ("debit", 85, 915)]
    with server.client() as admin:
        Ledger(admin).verify()


def test_the_same_with_the_python_client(server: ServerProcess) -> None:
    with Client(server.url, ADMIN_KEY) as client:
        user: dict[str, Any] = {"external_id": "user_789"}
        client.accounts.create(**user)
        client.credits.add(100, **user)
        confirmed = client.reservations.confirm(client.reservations.create(50, **user)["id"], 20)
        record = client.usage_records.record(
            "gpt-4o",
            "text",
            **user,
            transaction_id=confirmed["transactionId"],
            input_tokens=1500,
            output_tokens=500,
            cached_tokens=200,
        )
        assert record["estimatedCostUsd"] == Decimal("0.0085")
        assert list(client.usage_records.all(**user)) == [record]
        assert list(client.usage_records.all(**user, end="2024-01-31")) == []
        assert client.usage_records.summary(**user, context="customer")["totalCostUsd"] == Decimal("0.0085")
        system = client.usage_records.record("whisper-1", "audio_stt", context="system", audio_seconds=Decimal("1.5"))
        assert next(client.usage_records.all(context="system")) == system
        assert client.models.get("whisper-1") in client.models.all(provider="openai", tier="standard")
        assert client.models.calculate("whisper-1", audio_seconds=60)["estimatedCostUsd"] == Decimal("0.006")
