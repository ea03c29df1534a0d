"""The credits dialect as its tests speak it: short words for calls, and answers read with exact numbers."""

import itertools
from decimal import Decimal
from typing import Any

import httpx

from tallybook.sdk import exact_json

_COUNT = itertools.count(1)
Number = int | Decimal


def read(answer: httpx.Response) -> Any:
    """The body, its fractions as `Decimal`."""
    return exact_json.loads(answer.content)


def done(answer: httpx.Response) -> Any:
    """The body of a 200."""
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "application/json"
    return read(answer)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The details of a refusal, whose body is checked whole (contract section 3.6)."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/json"
    body = read(answer)
    assert set(body) <= {"success", "error", "message", "code", "details"}
    assert (body["success"], body["code"]) == (False, code)
    assert body["error"] == body["message"] != ""
    details: dict[str, Any] = body.get("details", {})
    return details


def fault(answer: httpx.Response) -> str:
    """The one field that a 400 names."""
    (error,) = refused(answer, 400, "invalid_request")["errors"]
    assert read(answer)["message"] == f"{error['field']}: {error['message']}"
    field: str = error["field"]
    return field


def unique(word: str) -> str:
    """A text no other test uses."""
    return f"{word}_{next(_COUNT)}"


class Ledger:
    """The ledger of one org, over HTTP."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"/v1{path}", params=query)

    def post(self, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        return self.send(path, exact_json.dumps(body).encode(), key)

    def send(self, path: str, body: bytes, key: str | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return self.http.post(f"/v1{path}", content=body, headers=headers)

    def account(self, balance: Number = 0, **fields: Any) -> str:
        """The id of a new account with that balance."""
        account_id: str = done(self.post("/accounts/create", **{"name": unique("name"), **fields}))["account"]["id"]
        if balance:
            done(self.post("/accounts/credits/add", accountId=account_id, amount=balance))
        return account_id

    def hold(self, account_id: str, amount: Number, **fields: Any) -> str:
        """The id of a new reservation."""
        answer = done(self.post("/reservations/create", accountId=account_id, amount=amount, **fields))
        reservation_id: str = answer["reservation"]["id"]
        return reservation_id

    def confirm(self, reservation_id: str, actual: Number, key: str | None = None) -> httpx.Response:
        return self.post("/reservations/confirm", key, reservationId=reservation_id, actualAmount=actual)

    def cancel(self, reservation_id: str, key: str | None = None) -> httpx.Response:
        return self.post("/reservations/cancel", key, reservationId=reservation_id)

    def balances(self, account_id: str) -> tuple[Number, Number, Number]:
        """Balance, reserved, available."""
        found = done(self.get("/accounts/balance", accountId=account_id))
        return found["balance"], found["reserved"], found["available"]

    def reservation(self, account_id: str, reservation_id: str) -> dict[str, Any]:
        rows = done(self.get("/reservations", accountId=account_id))["reservations"]
        (found,) = (row for row in rows if row["id"] == reservation_id)
        reservation: dict[str, Any] = found
        return reservation

    def statement(self, account_id: str) -> list[tuple[str, Number, Number]]:
        """Type, amount and balance after each transaction, oldest first."""
        items = done(self.get("/transactions", accountId=account_id, limit=500))["items"]
        return [(item["type"], item["amount"], item["balanceAfter"]) for item in reversed(items)]

    def verify(self) -> None:
        assert done(self.http.get("/v1/verify"))["difference"] is None
