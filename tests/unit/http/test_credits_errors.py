"""Error bodies of the credits dialect (contract 3.6)."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tallybook.core.errors import (
    Conflict,
    Fault,
    Forbidden,
    Insufficient,
    InvalidInput,
    MalformedInput,
    NotFound,
    Overloaded,
    StorageFull,
    TallybookError,
    TooLarge,
    Unauthenticated,
)
from tallybook.core.unit_of_work import RepeatedWithOtherBody
from tallybook.http import native
from tallybook.http.credits.errors import DIALECT
from tallybook.http.dialect import InternalError, MethodNotAllowed, UnknownRoute
from tallybook.http.gateway import Dialects
from tallybook.ledger.errors import (
    AboveCeiling,
    ExternalIdTaken,
    InsufficientCredits,
    RefusedOverrun,
    TooManyResults,
    UnknownAccount,
)


def rendered(error: TallybookError) -> tuple[int, dict[str, Any]]:
    answer = DIALECT.render(error, "/v1/accounts")
    assert answer.media_type == "application/json"
    body: dict[str, Any] = json.loads(answer.body, parse_float=Decimal)
    assert list(body)[:4] == ["success", "error", "message", "code"]
    assert body["success"] is False
    assert body["error"] == body["message"] == str(error)
    return answer.status, body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MalformedInput("m"), 400, "invalid_request"),
        (InvalidInput([Fault(("amount",), "m")]), 400, "invalid_request"),
        (TooManyResults(3), 400, "too_many_results"),
        (Unauthenticated("m"), 401, "unauthorized"),
        (InsufficientCredits(required_micro=2, available_micro=1), 402, "insufficient_credits"),
        (RefusedOverrun(held_micro=1, actual_micro=2, available_micro=0), 402, "overrun"),
        (Forbidden("m"), 403, "forbidden"),
        (NotFound("m"), 404, "not_found"),
        (UnknownRoute("m"), 404, "not_found"),
        (UnknownAccount(), 404, "not_found"),
        (MethodNotAllowed("PUT", ["GET"]), 405, "method_not_allowed"),
        (Conflict("m"), 409, "conflict"),
        (ExternalIdTaken("acc_1"), 409, "conflict"),
        (AboveCeiling(), 409, "conflict"),
        (RepeatedWithOtherBody(), 409, "conflict"),
        (TooLarge("m"), 413, "payload_too_large"),
        (Overloaded("m", 7), 429, "rate_limited"),
        (InternalError("m"), 500, "internal_error"),
        (StorageFull(), 503, "storage_full"),
    ],
)
def test_each_error_has_its_status_and_code(error: TallybookError, status: int, code: str) -> None:
    found, body = rendered(error)
    assert (found, body["code"]) == (status, code)


def test_facts_are_spelled_as_the_dialect_does() -> None:
    _, body = rendered(InsufficientCredits(required_micro=100_000_001, available_micro=40_000_000))
    assert body["details"] == {
        "reason": "insufficient_credits",
        "required": Decimal("100.000001"),
        "available": 40,
    }
    _, body = rendered(ExternalIdTaken("acc_1"))
    assert body["details"] == {"reason": "external_id_taken", "accountId": "acc_1"}
    _, body = rendered(Conflict("m", {"status": "expired", "actual_micro": None}))
    assert body["details"] == {"reason": "conflict", "status": "expired"}
    assert "details" not in rendered(NotFound("m"))[1]


def test_faults_are_listed_by_field() -> None:
    _, body = rendered(InvalidInput([Fault(("amount",), "is odd"), Fault(("metadata", "a"), "is odd too")]))
    assert body["message"] == "amount: is odd"
    assert body["details"] == {
        "errors": [{"field": "amount", "message": "is odd"}, {"field": "metadata.a", "message": "is odd too"}]
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/accounts", "credits"),
        ("/v1/accounts/credits/add", "credits"),
        ("/v1/accountsx", "native"),
        ("/v1/plans", "credits"),
        ("/v1/models/calculate", "credits"),
        ("/v1/usage", "credits"),
        ("/v1/usage/record", "credits"),
        ("/v1/usage/", "native"),
        ("/v1/usage/query", "native"),
        ("/v1/usage/records", "native"),
        ("/v1/usage/record/x", "native"),
        ("/v1/verify", "native"),
    ],
)
def test_the_dialect_claims_its_paths_and_no_other(path: str, name: str) -> None:
    assert Dialects([native.DIALECT, DIALECT]).at(path).name == name


def test_headers() -> None:
    assert DIALECT.render(Overloaded("m", 7), "/v1/plans").headers == {"Retry-After": "7"}
    assert DIALECT.render(Unauthenticated("m"), "/v1/plans").headers == {"WWW-Authenticate": "Bearer"}
    assert DIALECT.render(MethodNotAllowed("PUT", ["GET", "POST"]), "/v1/x").headers == {"Allow": "GET, POST"}


def test_a_repeated_refusal_is_worded_as_the_first() -> None:
    """What is kept of a refusal is its kind, code, message and details."""
    first = InsufficientCredits(required_micro=2, available_micro=1)
    again = Insufficient(str(first), first.details)
    again.code = first.code
    assert DIALECT.render(again, "/v1/accounts") == DIALECT.render(first, "/v1/accounts")
