"""Error bodies of the mka1 dialect (contract 5.2), for every error there is."""

from collections.abc import Iterator

import msgspec
import pytest

from tallybook.core.errors import (
    Conflict,
    Fault,
    Forbidden,
    InvalidInput,
    MalformedInput,
    NotFound,
    Overloaded,
    StorageFull,
    TallybookError,
    TooLarge,
    Unauthenticated,
)
from tallybook.http.dialect import InternalError, MethodNotAllowed, UnknownRoute
from tallybook.http.mka1.errors import ANSWERS, DIALECT

LLM = "/api/v1/llm/usage/completions"
SANDBOX = "/api/v1/sandbox/usage"
FAULTS = InvalidInput([Fault(("query", "start_time"), "Field required"), Fault(("query", "x", 1), "is odd")])


def rendered(error: TallybookError, path: str = LLM) -> tuple[int, object]:
    answer = DIALECT.render(error, path)
    assert answer.media_type == "application/json"
    return answer.status, msgspec.json.decode(answer.body)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MalformedInput("m"), 400, "BAD_REQUEST"),
        (Forbidden("m"), 403, "FORBIDDEN"),
        (NotFound("m"), 404, "NOT_FOUND"),
        (UnknownRoute("m"), 404, "NOT_FOUND"),
        (Conflict("m"), 409, "CONFLICT"),
        (TooLarge("m"), 413, "PAYLOAD_TOO_LARGE"),
        (InternalError("m"), 500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_services_word_an_error_as_an_object(error: TallybookError, status: int, code: str) -> None:
    assert rendered(error) == (status, {"defined": False, "code": code, "status": status, "message": "m"})
    assert rendered(error, SANDBOX) == (status, {"detail": "m"})


def test_faults_are_issues_or_details() -> None:
    assert rendered(FAULTS) == (
        400,
        {
            "defined": False,
            "code": "BAD_REQUEST",
            "status": 400,
            "message": "Input validation failed",
            "data": {
                "issues": [
                    {"path": ["start_time"], "message": "Field required"},
                    {"path": ["x", 1], "message": "is odd"},
                ]
            },
        },
    )
    assert rendered(FAULTS, SANDBOX) == (
        422,
        {
            "detail": [
                {"loc": ["query", "start_time"], "msg": "Field required", "type": "missing"},
                {"loc": ["query", "x", 1], "msg": "is odd", "type": "value_error"},
            ]
        },
    )


@pytest.mark.parametrize("path", [LLM, SANDBOX, "/api/v1/budgeting/usage/costs"])
def test_the_gateway_words_its_own_refusals(path: str) -> None:
    assert rendered(Unauthenticated("m"), path) == (401, {"error": "Unauthorized"})
    assert rendered(Overloaded("m"), path) == (429, {"error": "Rate limit exceeded"})


def test_a_retry_is_never_asked_for_in_0_seconds() -> None:
    assert DIALECT.render(Overloaded("m", retry_after_seconds=0), LLM).headers == {"Retry-After": "1"}
    assert DIALECT.render(StorageFull(), LLM).headers == {"Retry-After": "5"}


def test_a_wrong_method_names_the_right_ones() -> None:
    answer = DIALECT.render(MethodNotAllowed("POST", ["GET"]), LLM)
    assert (answer.status, answer.headers) == (405, {"Allow": "GET"})


def every_kind(root: type[TallybookError]) -> Iterator[type[TallybookError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from every_kind(kind)


def test_every_error_has_an_answer() -> None:
    for kind in every_kind(TallybookError):
        assert any(base in ANSWERS for base in kind.__mro__), kind
