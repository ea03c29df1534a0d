"""Callers of the ledger who remember what they were answered, and the books that follow from it."""

import http.client
import json
import random
import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from tests.serving import ADMIN_KEY, ServerProcess

FUNDS = 1_000_000
PATHS = {
    "create": "/v1/accounts/create",
    "add": "/v1/accounts/credits/add",
    "deduct": "/v1/accounts/credits/deduct",
    "overdraw": "/v1/accounts/credits/deduct",
    "reserve": "/v1/reservations/create",
    "hold briefly": "/v1/reservations/create",
    "confirm": "/v1/reservations/confirm",
    "cancel": "/v1/reservations/cancel",
    "extend": "/v1/reservations/extend",
}
SAFE_TO_REPEAT = ("confirm", "cancel", "extend")
"""What does nothing more when it is sent again without a key (an extension: nothing but extend again)."""


class Operation(NamedTuple):
    """`mark` is a text no other operation carries: it is seen again on what the operation made."""

    kind: str
    body: dict[str, Any]
    mark: str
    key: str | None


class Entry(NamedTuple):
    type: str
    amount: int
    mark: str


class Held(NamedTuple):
    """`open` is pending or, if the clock has come by, expired."""

    status: str
    amount: int
    actual: int | None
    expires_at: str
    mark: str


@dataclass
class Book:
    """Accounts by their external ids, transactions and reservations by their ids."""

    accounts: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)

    def note(self, operation: Operation, answer: Any) -> None:
        """Writes down what the operation was answered with."""
        match operation.kind:
            case "create":
                self.accounts[operation.mark] = answer["account"]["id"]
            case "add" | "deduct":
                kind = "credit" if operation.kind == "add" else "debit"
                self.entries[answer["transactionId"]] = Entry(kind, operation.body["amount"], operation.mark)
            case "reserve" | "hold briefly" | "extend":
                self.holds[answer["reservation"]["id"]] = held(answer["reservation"])
            case "confirm":
                hold = self.holds[answer["reservationId"]]
                self.holds[answer["reservationId"]] = hold._replace(status="confirmed", actual=answer["actualAmount"])
                self.entries[answer["transactionId"]] = Entry("debit", answer["actualAmount"], hold.mark)
            case "cancel":
                self.holds[answer["reservationId"]] = held(answer["reservation"])

    def adopt(self, mark: str, other: "Book") -> int:
        """Takes over what carries the mark in the other book; returns how much that was."""
        entries = {name: each for name, each in other.entries.items() if each.mark == mark}
        holds = {name: each for name, each in other.holds.items() if each.mark == mark}
        accounts = {name: each for name, each in other.accounts.items() if name == mark}
        self.add(Book(accounts, entries, holds))
        return len(accounts) + len(entries) + len(holds)

    def add(self, other: "Book") -> None:
        self.accounts.update(other.accounts)
        self.entries.update(other.entries)
        self.holds.update(other.holds)


def held(shown: dict[str, Any]) -> Held:
    status = "open" if shown["status"] in ("pending", "expired") else shown["status"]
    return Held(status, shown["amount"], shown["actualAmount"], shown["expiresAt"], shown["metadata"]["operation"])


class Caller(threading.Thread):
    """One connection that works on an account, of its own unless one is given, until the server is gone.

    `unanswered` is what was asked last if no answer came.
    """

    def __init__(self, url: str, name: str, seed: float, account_id: str | None = None) -> None:
        super().__init__(daemon=True)
        self.book = Book()
        self.unanswered: Operation | None = None
        self.answered: list[tuple[Operation, int, bytes]] = []
        self.strange: list[str] = []
        self._address = urlsplit(url).netloc
        self._mark = name
        self._random = random.Random(seed)
        self._account_id = account_id
        self._count = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            while not self.strange:
                self._perform(connection, self._next())
        except (OSError, http.client.HTTPException):
            return  # the server was killed

    def _perform(self, connection: http.client.HTTPConnection, operation: Operation) -> None:
        self.unanswered = operation
        headers = headers_of(operation)
        connection.request("POST", PATHS[operation.kind], json.dumps(operation.body), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != expected_status(operation):
            self.strange.append(f"{operation}: {answer.status} {body!r}")
            return
        self.book.note(operation, json.loads(body))
        self.answered.append((operation, answer.status, body))
        self.unanswered = None

    def _next(self) -> Operation:
        self._count += 1
        mark = f"{self._mark}-{self._count}"
        kind, body = self._wish(mark)
        key = f"key {mark}" if self._random.random() < 0.5 else None
        return Operation(kind, body, mark, key)

    def _wish(self, mark: str) -> tuple[str, dict[str, Any]]:
        if self._account_id is None:
            self._account_id = next(iter(self.book.accounts.values()), None)
        if self._account_id is None:
            return "create", {"externalId": mark}
        account = {"accountId": self._account_id}
        if not self.book.entries:
            return "add", {**account, "amount": FUNDS, "description": mark}
        pending = [name for name, hold in self.book.holds.items() if hold.status == "open" and hold.amount > 1]
        amount = self._random.randint(2, 50)
        kind = self._random.choices(tuple(PATHS), weights=(1, 2, 2, 1, 6, 1, 4, 1, 1))[0]
        match kind:
            case "create":
                return kind, {"externalId": mark}
            case "add" | "deduct":
                return kind, {**account, "amount": amount, "description": mark}
            case "overdraw":
                return kind, {**account, "amount": 1_000 * FUNDS, "description": mark}
            case "hold briefly":
                return kind, {**account, "amount": 1, "operation": mark, "expiresInSeconds": 1}
            case "confirm" if pending:
                return kind, {"reservationId": pending[0], "actualAmount": self._random.choice((0, 1, amount))}
            case "cancel" if pending:
                return kind, {"reservationId": pending[-1]}
            case "extend" if pending:
                return kind, {"reservationId": pending[0], "expiresInSeconds": 3600 + amount}
        return "reserve", {**account, "amount": amount, "operation": mark}


def headers_of(operation: Operation) -> dict[str, str]:
    key = {} if operation.key is None else {"Idempotency-Key": operation.key}
    return {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json", **key}


def expected_status(operation: Operation) -> int:
    return 402 if operation.kind == "overdraw" else 200


def repeat(client: httpx.Client, operation: Operation) -> httpx.Response:
    """Sends it again, byte for byte."""
    return client.post(PATHS[operation.kind], content=json.dumps(operation.body), headers=headers_of(operation))


def books(client: httpx.Client, prefix: str) -> Book:
    """What the ledger holds in the accounts whose external ids begin so, as its lists show it.

    Checks on the way that the balance of each account is the sum of its transactions.
    """
    found = Book()
    shown = client.get("/v1/accounts").raise_for_status().json()["accounts"]
    for account in (each for each in shown if (each["externalId"] or "").startswith(prefix)):
        found.accounts[account["externalId"]] = account["id"]
        balance = 0
        for each in transactions(client, account["id"]):
            entry = Entry(each["type"], each["amount"], each["description"])
            assert found.entries.setdefault(each["id"], entry) is entry
            balance += entry.amount if entry.type == "credit" else -entry.amount
        assert account["balance"] == balance
        answer = client.get("/v1/reservations", params={"accountId": account["id"]}).raise_for_status()
        for each in answer.json()["reservations"]:
            assert found.holds.setdefault(each["id"], hold := held(each)) is hold
    return found


def transactions(client: httpx.Client, account_id: str) -> list[dict[str, Any]]:
    """All of an account."""
    items: list[dict[str, Any]] = []
    while True:
        asked = {"accountId": account_id, "limit": "500", "offset": str(len(items))}
        answer = client.get("/v1/transactions", params=asked).raise_for_status().json()
        items += answer["items"]
        if not answer["pagination"]["hasMore"]:
            return items


def callers(server: ServerProcess, prefix: str, count: int, rng: random.Random) -> tuple[Book, list[Caller]]:
    """That many callers, half of them on one account, and a book with that account."""
    book = Book()
    with server.client() as client:
        for operation in (
            Operation("create", {"externalId": prefix}, prefix, None),
            Operation("add", {"externalId": prefix, "amount": FUNDS, "description": prefix}, prefix, None),
        ):
            book.note(operation, repeat(client, operation).raise_for_status().json())
    (shared,) = book.accounts.values()
    made = [
        Caller(server.url, f"{prefix}-{number}", rng.random(), shared if number % 2 else None)
        for number in range(count)
    ]
    return book, made
