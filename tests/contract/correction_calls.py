"""Corrections over HTTP, in short words."""

from typing import Any

import httpx

from tests.contract.credit_calls import unique


def recorded(http: httpx.Client, **fields: Any) -> str:
    """The uid of a new event."""
    return str(recorded_all(http, [{"id": unique("event"), **fields}])[0])


def recorded_all(http: httpx.Client, events: list[dict[str, Any]]) -> list[str]:
    answer = http.post("/v1/events", json={"events": events})
    assert answer.status_code == 200, answer.text
    return [result["uid"] for result in answer.json()["results"]]


def correct(http: httpx.Client, uid: str, what: str, key: str | None = None, **body: Any) -> httpx.Response:
    """`what` is amend, void or restore."""
    return http.post(f"/v1/events/{uid}/{what}", json=body, headers={} if key is None else {"Idempotency-Key": key})


def amend(http: httpx.Client, uid: str, revision: int, key: str | None = None, **fields: Any) -> httpx.Response:
    return correct(http, uid, "amend", key, expected_revision=revision, set=fields)


def corrected(answer: httpx.Response) -> dict[str, Any]:
    """The event of a correction that was done."""
    assert answer.status_code == 200, answer.text
    event: dict[str, Any] = answer.json()
    return event


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of one that was not."""
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


def places(problem: dict[str, Any]) -> set[str]:
    """What the faults of a 422 name."""
    return {".".join(map(str, fault["loc"])) for fault in problem["errors"]}
