"""Usage told to the ledger, over HTTP, at the prices of the contract's test vectors (section 10.4)."""

from decimal import Decimal
from typing import Any

import httpx

from tests.contract.credit_calls import Ledger, Number, done

MODEL, WHISPER = "gpt-4o", "whisper-1"
SHEETS = {
    MODEL: {"input_tokens": "2.5", "output_tokens": "10", "cache_read_tokens": "1.25"},
    WHISPER: {"audio_seconds": "100"},  # 0.006 USD a minute
    "text-embedding-3-small": {"input_tokens": "0.02"},
    "house-model": {"input_tokens": "0", "output_tokens": "0"},
}
USAGE: dict[str, Any] = {"modelId": MODEL, "usageType": "text", "inputTokens": 1200, "outputTokens": 380}
"""Costs 0.0068 USD: 0.68 credits, as an org has it that has set nothing."""


def record_prices(http: httpx.Client) -> None:
    for model, usd in SHEETS.items():
        put_price(http, model, usd, "2020-01-01T00:00:00Z")


def put_price(http: httpx.Client, model: str, usd: dict[str, str], since: str) -> None:
    rates = {unit: {"per": 10**6, "usd": text} for unit, text in usd.items()}
    http.put("/v1/prices", json={"model": model, "effective_from": since, "rates": rates}).raise_for_status()


def confirm_with(ledger: Ledger, reservation_id: str, key: str | None = None, **usage: Any) -> httpx.Response:
    return ledger.post("/reservations/confirm", key, reservationId=reservation_id, usage={**USAGE, **usage})


def paid(ledger: Ledger, account_id: str, amount: Number = Decimal("0.68")) -> str:
    """The id of a debit."""
    answer = done(ledger.post("/accounts/credits/deduct", accountId=account_id, amount=amount))
    transaction_id: str = answer["transactionId"]
    return transaction_id


def events(ledger: Ledger, **query: Any) -> list[dict[str, Any]]:
    """Events as the native list has them, newest first."""
    answer = ledger.http.get("/v1/events", params={"limit": "1000", **query})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return found


def state(ledger: Ledger, account_id: str) -> tuple[Any, ...]:
    """All that a refused call must leave as it was."""
    total = done(ledger.get("/transactions"))["pagination"]["totalCount"]
    return ledger.balances(account_id), total, len(events(ledger))
