"""The client without a network: requests as they go out, retries, errors by kind."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

import tallybook.sdk
from tallybook.sdk import APIError, Client, Unreachable, exact_json
from tallybook.sdk.errors import BadRequest, Conflict, InvalidRequest, Overloaded, ServerError
from tallybook.sdk.transport import Transport

Answer = httpx.Response | Exception


class Recorder:
    """Gives the answers in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_of(handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> Client:
    return Client("http://book/", "a-key", transport=httpx.MockTransport(handler), **options)


def transport_of(recorder: Recorder, pauses: list[float], *, retries: int = 5) -> Transport:
    return Transport(
        "http://book",
        "a-key",
        org_id=None,
        timeout_seconds=1,
        retries=retries,
        transport=httpx.MockTransport(recorder),
        sleep=pauses.append,
    )


INGESTED = {
    "inserted": 1,
    "duplicates": 0,
    "conflicts": 1,
    "results": [
        {"index": 0, "id": "a", "uid": "u", "status": "inserted", "pricing": "priced", "cost_usd": "0.0068"},
        {"index": 1, "id": "b", "status": "conflict"},
    ],
}


def test_ingest() -> None:
    recorder = Recorder(httpx.Response(200, json=INGESTED))
    result = client_of(recorder, org_id="acme").ingest([{"id": "a", "usage": {"units": Decimal("1.10")}}])
    (request,) = recorder.requests
    assert str(request.url) == "http://book/v1/events"
    assert request.headers["Authorization"] == "Bearer a-key"
    assert request.headers["X-Org-Id"] == "acme"
    assert request.content == b'{"events":[{"id":"a","usage":{"units":1.10}}]}'
    assert (result.inserted, result.duplicates, result.conflicts) == (1, 0, 1)
    assert (result.results[0].cost_usd, result.results[1].cost_usd) == ("0.0068", None)


@pytest.mark.parametrize(
    ("long", "seconds"),
    [
        (lambda client: client.events.reprice(), None),
        (lambda client: client.events.undo("cor_1"), None),
        (lambda client: client.verify(), None),
        (lambda client: client.events.void("uid", 1), 30),
    ],
)
def test_what_takes_long_is_waited_for(long: Callable[[Client], Any], seconds: float | None) -> None:
    recorder = Recorder(httpx.Response(200, json={}))
    long(client_of(recorder))
    timeout = recorder.requests[0].extensions["timeout"]
    assert (timeout["connect"], timeout["read"]) == (30, seconds)


def test_lists_follow_their_pages() -> None:
    pages = {
        "": {"data": [{"id": "1"}], "has_more": True, "next_page": "p2"},
        "p2": {"data": [{"id": "2"}], "has_more": False, "next_page": None},
    }
    client = client_of(lambda request: httpx.Response(200, json=pages[request.url.params.get("page", "")]))
    assert [key["id"] for key in client.keys.all()] == ["1", "2"]


def test_what_is_not_given_is_not_sent() -> None:
    recorder = Recorder(httpx.Response(201, json={"id": "key_1"}))
    client_of(recorder).keys.create("ci", user_id="ana")
    assert json.loads(recorder.requests[0].content) == {"name": "ci", "role": "member", "user_id": "ana"}


def test_a_setting_can_be_reset() -> None:
    recorder = Recorder(httpx.Response(200, json={"markup_percent": "0"}))
    client_of(recorder).settings.change("a/b", {"markup_percent": None})
    assert recorder.requests[0].url.raw_path == b"/v1/orgs/a%2Fb/settings"
    assert recorder.requests[0].content == b'{"markup_percent":null}'


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(503, headers={"Retry-After": "7"}),
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503),
        httpx.Response(503, headers={"Retry-After": "soon"}),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
    ],
)
def test_a_retry_repeats_the_same_request(failure: Answer) -> None:
    pauses: list[float] = []
    recorder = Recorder(failure, failure, httpx.Response(200, json={}))
    transport_of(recorder, pauses).call("POST", "/v1/keys", json="{}", idempotency_key="once")
    assert len(recorder.requests) == 3
    assert {request.headers["Idempotency-Key"] for request in recorder.requests} == {"once"}
    if isinstance(failure, httpx.Response) and failure.headers.get("Retry-After") == "7":
        assert pauses == [7.0, 7.0]
    else:
        assert 0 < pauses[0] < pauses[1] < 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_longer_wait_than_will_be_waited_fails_at_once(status: int) -> None:
    pauses: list[float] = []
    recorder = Recorder(httpx.Response(status, headers={"Retry-After": "44619"}))
    with pytest.raises(Overloaded) as told:
        transport_of(recorder, pauses).call("GET", "/")
    assert (told.value.retry_after_seconds, len(recorder.requests), pauses) == (44619, 1, [])


def test_the_longest_wait_is_waited() -> None:
    pauses: list[float] = []
    recorder = Recorder(httpx.Response(429, headers={"Retry-After": "60"}), httpx.Response(204))
    assert transport_of(recorder, pauses).call("GET", "/") is None
    assert pauses == [60.0]


def test_a_date_to_retry_after() -> None:
    far, past = "Fri, 31 Dec 2100 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT"
    with pytest.raises(Overloaded) as told:
        transport_of(Recorder(httpx.Response(503, headers={"Retry-After": far})), []).call("GET", "/")
    assert told.value.retry_after_seconds is not None
    recorder = Recorder(httpx.Response(503, headers={"Retry-After": past}), httpx.Response(204))
    assert transport_of(recorder, []).call("GET", "/") is None


def test_retries_end() -> None:
    pauses: list[float] = []
    with pytest.raises(Overloaded):
        transport_of(Recorder(httpx.Response(503)), pauses, retries=2).call("GET", "/")
    with pytest.raises(Unreachable, match="no answer from http://book: refused"):
        transport_of(Recorder(httpx.ConnectError("refused")), pauses, retries=2).call("GET", "/")
    assert len(pauses) == 4


def test_a_refusal_is_not_retried() -> None:
    faults = [{"loc": ["events", 3, "usage", "input_tokens"], "msg": "must be 0 or more"}]
    problem = {"code": "invalid", "detail": "one fault", "errors": faults, "faults_total": 120}
    recorder = Recorder(httpx.Response(422, json=problem, headers={"X-Request-ID": "r1"}))
    with pytest.raises(InvalidRequest) as raised:
        client_of(recorder).ingest([])
    error = raised.value
    assert (error.status, error.code, error.detail, error.request_id) == (422, "invalid", "one fault", "r1")
    assert error.errors == ((("events", 3, "usage", "input_tokens"), "must be 0 or more"),)
    assert error.faults_total == 120
    assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequest), (409, Conflict), (418, APIError), (500, ServerError), (502, ServerError)],
)
def test_errors_by_kind(status: int, kind: type[APIError]) -> None:
    with pytest.raises(kind) as raised:
        client_of(Recorder(httpx.Response(status, text="<html>"))).check_health()
    assert type(raised.value) is kind


def test_an_answer_that_is_not_json() -> None:
    with pytest.raises(APIError, match="address of a Tallybook server"):
        client_of(Recorder(httpx.Response(200, text="<html>"))).check_health()


@pytest.mark.parametrize("url", ["localhost:8080", "http://[", ""])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Unreachable):
        Client(url, "a-key").check_health()


@pytest.mark.parametrize("key", ["", "two\nlines", "ü"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Client("http://book", key)


@pytest.mark.parametrize("text", ["1.10", "1E+400", "0.1", "123456789012345678901234567890"])
def test_numbers_are_written_as_they_are(text: str) -> None:
    number = Decimal(text)
    assert exact_json.dumps({"a": [number]}) == f'{{"a":[{text}]}}'
    assert exact_json.loads(text) == number


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        exact_json.dumps([value])


def test_the_public_names() -> None:
    assert tallybook.sdk.__all__ == [
        "APIError",
        "Client",
        "ClientError",
        "EventResult",
        "Fault",
        "IngestResult",
        "Unreachable",
        "event_from_answer",
    ]


def test_questions_about_prices_name_only_what_was_given() -> None:
    recorder = Recorder(httpx.Response(200, json={"data": [{"id": "p"}], "has_more": False, "next_page": None}))
    client = client_of(recorder)
    assert list(client.prices.all(origin="catalogue", model="gpt-4o")) == [{"id": "p"}]
    client.prices.resolve("gpt-4o", at="2026-01-31T12:00:00Z")
    client.prices.diff(limit=7)
    client.prices.sync()
    assert [(request.method, request.url.path, dict(request.url.params)) for request in recorder.requests] == [
        ("GET", "/v1/prices", {"origin": "catalogue", "model": "gpt-4o", "limit": "1000"}),
        ("GET", "/v1/prices/resolve", {"model": "gpt-4o", "mode": "standard", "at": "2026-01-31T12:00:00Z"}),
        ("GET", "/v1/prices/diff", {"limit": "7"}),
        ("POST", "/v1/prices/sync", {}),
    ]
    assert recorder.requests[-1].headers["Idempotency-Key"]


def test_a_walk_asks_the_same_question_on_every_page() -> None:
    pages = [
        httpx.Response(200, json={"data": [{"id": "a"}], "has_more": True, "next_page": "next"}),
        httpx.Response(200, json={"data": [{"id": "b"}], "has_more": False, "next_page": None}),
    ]
    recorder = Recorder(*pages)
    assert [row["id"] for row in client_of(recorder).prices.all(model="m")] == ["a", "b"]
    asked = [dict(request.url.params) for request in recorder.requests]
    assert asked == [asked[0], {**asked[0], "page": "next"}]
