"""The table of dialects by path: how every failure is worded wherever it happens, and what every answer carries.

Most of it runs on the whole app in process, with routes of the test's own that fail on purpose under each prefix; what
only a real server shows (HEAD, raw paths, bodies left unread) is asked of one.
"""

import asyncio
import gzip
import importlib
import inspect
import json
import logging
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
from fastapi import FastAPI

import tallybook
from tallybook.analytics.answer import EventRecord
from tallybook.core.errors import (
    Conflict,
    Fault,
    Forbidden,
    InvalidInput,
    Location,
    MalformedInput,
    NotFound,
    Overloaded,
    Refusal,
    StorageFull,
    TallybookError,
    TooLarge,
    Unauthenticated,
)
from tallybook.data_folder import open_data_folder
from tallybook.http import credits, mka1, native, openai, usage_log
from tallybook.http.access import ACCESS
from tallybook.http.dialect import InternalError
from tallybook.ledger.model import Reservation
from tallybook.ledger.model import Status as HoldStatus
from tallybook.log import JsonLines
from tallybook.metering.event import Outcome, Status
from tallybook.settings import Settings
from tallybook.wiring import Tallybook, build
from tests.admin_rooms import ADMIN_KEY, AppClient
from tests.serving import ServerProcess

PAGE = "https://usage.example"
COMPLETIONS = "/api/v1/llm/usage/completions"
BODY_BYTES_MAX = 4096

# Dialect by prefix. The last rows look like those of a foreign dialect and are not.
PREFIXES = {
    "/v1/": "native",
    "/api/v1/": "native",
    "/": "native",
    "/api/v1/llm/": "mka1",
    "/api/v1/sandbox/": "mka1 sandbox",
    "/api/v1/budgeting/": "mka1",
    "/v1/organization/": "openai",
    "/usage/of/": "usage_log",
    "/usagex/": "native",
    "/v1/accounts/": "credits",
    "/v1/models/": "credits",
    "/v1/organizations/": "native",
    "/v1/accountsx/": "native",
    "/v1/usage/": "native",
    "/api/v1/llmx/": "native",
    "/api/v2/llm/": "native",
}

FAULTS = InvalidInput([Fault(("query", "start_time"), "Field required")])

# Failure: status, native code, mka1 code, headers.
FAILURES: dict[str, tuple[Exception, int, str, str, dict[str, str]]] = {
    "malformed": (MalformedInput("why"), 400, "malformed", "BAD_REQUEST", {}),
    "unauthenticated": (
        Unauthenticated("why"),
        401,
        "unauthenticated",
        "UNAUTHORIZED",
        {"www-authenticate": "Bearer"},
    ),
    "forbidden": (Forbidden("why"), 403, "forbidden", "FORBIDDEN", {}),
    "not-found": (NotFound("why"), 404, "not_found", "NOT_FOUND", {}),
    "conflict": (Conflict("why"), 409, "conflict", "CONFLICT", {}),
    "too-large": (TooLarge("why"), 413, "too_large", "PAYLOAD_TOO_LARGE", {}),
    "overloaded": (Overloaded("why", 3), 503, "overloaded", "TOO_MANY_REQUESTS", {"retry-after": "3"}),
    "storage-full": (StorageFull(), 503, "storage_full", "SERVICE_UNAVAILABLE", {"retry-after": "5"}),
    "unexpected": (RuntimeError("inner detail of /var/lib"), 500, "internal", "INTERNAL_SERVER_ERROR", {}),
}

# What credits calls what the native dialect calls otherwise.
CREDITS_CODES = {
    "malformed": "invalid_request",
    "unauthenticated": "unauthorized",
    "unknown_route": "not_found",
    "too_large": "payload_too_large",
    "body_too_large": "payload_too_large",
    "overloaded": "rate_limited",
    "internal": "internal_error",
}

OPENAI_TYPES = {429: "requests", 500: "server_error", 503: "server_error"}


class Failing:
    """A raw endpoint that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise self._error


def fail_with(error: Exception) -> Any:
    def endpoint() -> None:
        raise error

    return endpoint


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tallybook]:
    """The whole app, with failing routes `<prefix>framed/<name>` and `<prefix>raw/<name>` under every prefix."""
    settings: dict[str, Any] = {
        "data_dir": tmp_path_factory.mktemp("errors"),
        "admin_key": ADMIN_KEY,
        "price_catalogue": False,
        "body_bytes_max": BODY_BYTES_MAX,
        "cors_origins": [PAGE],
    }
    places = [(prefix, name) for prefix in PREFIXES for name in FAILURES]
    raw = {f"{prefix}raw/{name}": {"GET": Failing(FAILURES[name][0])} for prefix, name in places}
    built = build(open_data_folder(Settings(**settings)), more_raw_routes=raw)
    inner = built.app._inner
    assert isinstance(inner, FastAPI)
    for prefix, name in places:
        inner.add_api_route(f"{prefix}framed/{name}", fail_with(FAILURES[name][0]), methods=["GET"])
    yield built
    built.close()


@pytest.fixture(scope="module")
def call(app: Tallybook) -> Iterator[AppClient]:
    with asyncio.Runner() as runner:
        yield AppClient(app.app, runner)


def check(answer: httpx.Response, dialect: str, status: int, code: str, mka1_code: str) -> dict[str, Any]:
    """The shape of the body, in full; what else it says is returned."""
    assert answer.status_code == (429 if dialect != "native" and mka1_code == "TOO_MANY_REQUESTS" else status)
    assert answer.headers["x-request-id"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    body: dict[str, Any] = answer.json()
    if dialect == "native":
        assert answer.headers["content-type"] == "application/problem+json"
        assert (body["type"], body["status"], body["code"]) == ("about:blank", status, code)
        assert set(body) == {"type", "title", "status", "detail", "code"}
        return body
    assert answer.headers["content-type"] == "application/json"
    if dialect == "credits":
        reasons = {"details"} if answer.status_code in (402, 409) else set()
        assert set(body) == {"success", "error", "message", "code"} | reasons
        assert (body["success"], body["code"]) == (False, CREDITS_CODES.get(code, code))
        assert body["error"] == body["message"]
        return body
    if dialect == "openai":
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["type"] == OPENAI_TYPES.get(answer.status_code, "invalid_request_error")
        return body
    if dialect == "usage_log":
        assert set(body) == {"detail"}
        return body
    if answer.status_code in (401, 429):  # the gateway's own, the same in every service
        assert body == {"error": {401: "Unauthorized", 429: "Rate limit exceeded"}[answer.status_code]}
    elif dialect == "mka1 sandbox":
        assert set(body) == {"detail"}
    else:
        assert set(body) == {"defined", "code", "status", "message"}
        assert (body["defined"], body["code"], body["status"]) == (False, mka1_code, status)
    return body


@pytest.mark.parametrize("route", ["framed", "raw"])
@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_failure_is_worded_in_the_dialect_of_its_path(
    call: AppClient, caplog: pytest.LogCaptureFixture, prefix: str, name: str, route: str
) -> None:
    _, status, code, mka1_code, headers = FAILURES[name]
    caplog.set_level(logging.DEBUG, "tallybook")
    answer = call("GET", f"{prefix}{route}/{name}")
    check(answer, PREFIXES[prefix], status, code, mka1_code)
    special = {"retry-after", "www-authenticate", "allow"}
    assert {name: answer.headers[name] for name in special if name in answer.headers} == headers
    # Refusals are no alarms; the unexpected is logged once, with the id the caller was given and not the details.
    if name == "unexpected":
        assert "inner detail" not in answer.text
        assert "RuntimeError" not in answer.text
        (record,) = caplog.records
        line = json.loads(JsonLines().format(record))
        assert line["level"] == "error"
        assert "inner detail" in line["exception"]
        assert line["request_id"] == answer.headers["x-request-id"]
        assert (line["method"], line["path"]) == ("GET", f"{prefix}{route}/{name}")
    else:
        assert not caplog.records


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_unknown_route_is_404_with_and_without_a_key(call: AppClient, prefix: str) -> None:
    for key in (ADMIN_KEY, None):
        for method in ("GET", "POST", "DELETE"):
            check(call(method, f"{prefix}nowhere", key=key), PREFIXES[prefix], 404, "unknown_route", "NOT_FOUND")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_method_not_offered_is_405_and_names_those_that_are(call: AppClient, prefix: str) -> None:
    answer = call("PUT", f"{prefix}framed/conflict")
    check(answer, PREFIXES[prefix], 405, "method_not_allowed", "METHOD_NOT_SUPPORTED")
    assert answer.headers["allow"] == "GET"


def test_allow_names_raw_and_framed_methods_alike(call: AppClient) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = call(method, "/v1/events")
        check(answer, "native", 405, "method_not_allowed", "")
        assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("template", sorted({template for _, template in ACCESS}))
def test_allow_names_every_method_of_a_path(call: AppClient, template: str) -> None:
    path = re.sub(r"{.+?}", "x", template)
    offered = {method for method, other in ACCESS if re.fullmatch(re.sub(r"{.+?}", "[^/]+", other), path)}
    allowed = call("OPTIONS", path).headers["allow"].split(", ")
    assert set(allowed) - {"HEAD"} == offered


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_over_its_bound_is_413(call: AppClient, prefix: str, packed: bool, method: str) -> None:
    body = b'"' + b"x" * BODY_BYTES_MAX + b'"'
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = call(method, f"{prefix}nowhere", content=gzip.compress(body) if packed else body, headers=headers)
    check(answer, PREFIXES[prefix], 413, "body_too_large", "PAYLOAD_TOO_LARGE")


def test_a_raw_route_has_the_same_bound(call: AppClient) -> None:
    answer = call("POST", "/v1/events", content=b" " * (BODY_BYTES_MAX + 1))
    check(answer, "native", 413, "body_too_large", "")


def test_a_body_from_nobody_is_not_read(call: AppClient) -> None:
    """However much it is, and whatever it would take to inflate and to parse it."""
    for key in (None, "wrong"):
        check(
            call("POST", "/v1/keys", key=key, content=b"[" * BODY_BYTES_MAX * 2), "native", 401, "unauthenticated", ""
        )


def test_a_body_of_very_many_values_is_413(admin: httpx.Client) -> None:
    """Parsed, it would be thirty times as large, and nobody else gets an answer meanwhile."""
    for body in (b"[" + b"0," * 250_000 + b"0]", b"[" * 250_001, b'[{"a":{}},' * 125_000):
        check(admin.post("/v1/keys", content=body), "native", 413, "body_too_large", "")
    assert admin.post("/v1/keys", content=b"[" + b"0," * 249_000 + b"0]").status_code == 422


COSTS = "/v1/organization/costs"
FOREIGN = {COMPLETIONS: "mka1", COSTS: "openai"}
GUARDED = [("GET", "/v1/events"), ("POST", "/v1/events"), ("GET", "/v1/orgs"), *(("GET", path) for path in FOREIGN)]


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("key", [None, "wrong", "tb_" + "x" * 49, "späße"])
def test_a_missing_or_unknown_key_is_401(call: AppClient, method: str, path: str, key: str | None) -> None:
    headers = {} if key is None else {"X-API-Key": key.encode()}
    answer = call(method, path, key=None, headers=headers)
    check(answer, FOREIGN.get(path, "native"), 401, "unauthenticated", "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_without_the_right_is_403(call: AppClient) -> None:
    wanted = {"name": "ingests", "role": "member", "scopes": ["ingest"]}
    key = call("POST", "/v1/keys", json=wanted).json()["key"]
    check(call("GET", "/v1/events", key=key), "native", 403, "forbidden", "")
    check(call("GET", COMPLETIONS, key=key), "mka1", 403, "", "FORBIDDEN")
    check(call("GET", COSTS, key=key), "openai", 403, "", "FORBIDDEN")


def test_faults_are_listed_as_each_dialect_lists_them(call: AppClient) -> None:
    problem = call("GET", "/v1/usage/query").json()
    assert (problem["status"], problem["code"], problem["faults_total"]) == (422, "invalid", 1)
    assert problem["errors"][0]["loc"] == ["query", "start"]
    refusal = call("GET", COMPLETIONS).json()
    assert (refusal["status"], refusal["code"]) == (400, "BAD_REQUEST")
    assert refusal["data"]["issues"][0]["path"] == ["start_time"]
    assert call("GET", COSTS).json()["error"]["param"] == "start_time"


# Doubled slashes, HEAD and OPTIONS.


@pytest.mark.parametrize("path", ["//v1//events", "/v1///events", "//api//v1/llm/usage//completions"])
def test_doubled_slashes_are_folded(server: ServerProcess, path: str) -> None:
    with httpx.Client() as client:
        answer = client.get(server.url + path)
    single = "mka1" if "llm" in path else "native"
    check(answer, single, 401, "unauthenticated", "UNAUTHORIZED")


def test_head_answers_as_get_does_without_a_body(server: ServerProcess, admin: httpx.Client) -> None:
    for path in (
        "/healthz",
        "/docs",
        "/openapi.json",
        "/v1/events",
        "/nowhere",
        COMPLETIONS,
        f"{COMPLETIONS}?start_time=0",
    ):
        got, head = admin.get(path), admin.head(path)
        assert head.status_code == got.status_code, path
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers["x-request-id"] != got.headers["x-request-id"]
        assert head.content == b""
    with httpx.Client(base_url=server.url) as nobody:
        assert nobody.head("/v1/events").status_code == 401


def test_a_connection_outlives_refusals(admin: httpx.Client) -> None:
    """Each answer is complete and its request read, or the connection is closed in good order."""
    for _ in range(3):
        assert admin.post("/nowhere", json={"a": 1}).status_code == 404
        assert admin.head("/nowhere").status_code == 404
        assert admin.request("OPTIONS", "/v1/events").status_code == 405
        assert admin.post("/v1/events", content=b" " * (17 * 2**20)).status_code == 413
        assert admin.get("/healthz").status_code == 200


def test_a_caller_who_leaves_is_no_failure(own_server: ServerProcess) -> None:
    own_server.start()
    address = httpx.URL(own_server.url)

    async def leave_early() -> None:
        _, writer = await asyncio.open_connection(address.host, address.port)
        key = f"Authorization: Bearer {ADMIN_KEY}\r\n"
        writer.write(f"POST /v1/events HTTP/1.1\r\nHost: x\r\n{key}Content-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await writer.wait_closed()

    asyncio.run(leave_early())
    own_server.stop()
    log = own_server.log_path.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log


# CORS.


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_allowed_page_may_ask_ahead_without_a_key(call: AppClient, prefix: str) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    for path in (f"{prefix}nowhere", f"{prefix}framed/conflict", f"{prefix}raw/conflict"):
        answer = call("OPTIONS", path, key=None, headers=asked)
        assert answer.status_code == 204
        assert answer.content == b""
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "GET" in answer.headers["access-control-allow-methods"].split(", ")
        assert {"authorization", "x-api-key", "idempotency-key"} <= set(
            answer.headers["access-control-allow-headers"].split(", ")
        )
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://other.example", f"{PAGE}.evil.example", "null", "", PAGE.upper()])
@pytest.mark.parametrize("path", ["/v1/events", COMPLETIONS])
def test_other_pages_are_told_nothing(call: AppClient, path: str, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for answer in (call("OPTIONS", path, key=None, headers=asked), call("GET", path, headers={"Origin": origin})):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_allowed_page_may_read_errors_too(call: AppClient, prefix: str, name: str) -> None:
    for route in ("framed", "raw"):
        answer = call("GET", f"{prefix}{route}/{name}", headers={"Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_without_the_setting_no_page_is_told_anything(admin: httpx.Client) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    for answer in (admin.request("OPTIONS", "/v1/events", headers=asked), admin.get("/v1/events", headers=asked)):
        assert not [name for name in answer.headers if name.startswith(("access-control", "vary"))]


# Every error there is.


def every_error() -> list[type[TallybookError]]:
    for module in pkgutil.walk_packages(tallybook.__path__, "tallybook."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def below(kind: type[TallybookError]) -> Iterator[type[TallybookError]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    ours = {kind for kind in below(TallybookError) if kind.__module__.startswith("tallybook.")}
    return sorted(ours, key=lambda kind: (kind.__module__, kind.__qualname__))


SAMPLES: dict[Any, Any] = {
    str: "what it says",
    Path: Path("a file"),
    int: 7,
    float: 0.5,
    bool: False,
    list[str]: ["GET"],
    list[Fault] | tuple[Fault, ...]: [Fault(("query", "a", 1), "is odd")],
    Location: ("a",),
    Outcome: Outcome(Status.CONFLICT, None),
    Mapping[str, str | int | None] | None: {"available_micro": 7},
    Mapping[str, Any]: {"uid": "e"},
    Refusal: Refusal("what it says"),
    EventRecord: EventRecord(
        uid="01920000-0000-7000-8000-000000000000",
        org_id="default",
        revision=7,
        seq=7,
        occurred_at_us=7,
        recorded_at_us=7,
        event_id="e",
        fields={"source": "", "kind": "completion"},
        usage={},
        pricing="free",
        price_id=None,
        matched=None,
        cost_pico=0,
        known_cost_pico=0,
        unpriced_units=(),
        lines={},
        pools={},
    ),
    Reservation: Reservation("res_1", "acc_1", None, 7, HoldStatus.CANCELLED, 1, 2, None, None),
}


def sample(kind: type[TallybookError]) -> TallybookError:
    """An error of that kind, made with something fitting for each argument."""
    if kind.__init__ is Exception.__init__:
        return kind("what it says")
    hints = get_type_hints(kind.__init__)
    names = [name for name in inspect.signature(kind).parameters if name in hints]
    return kind(**{name: SAMPLES[hints[name]] for name in names})


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__qualname__)
def test_every_dialect_words_every_error(kind: type[TallybookError]) -> None:
    error = sample(kind)
    for dialect, path in [
        (native.DIALECT, "/v1/anything"),
        (credits.DIALECT, "/v1/accounts"),
        (openai.DIALECT, "/v1/organization/costs"),
        (usage_log.DIALECT, "/usage"),
        *((mka1.DIALECT, f"{prefix}anything") for prefix in mka1.DIALECT.prefixes),
    ]:
        answer = dialect.render(error, path)
        expected = (500,) if issubclass(kind, InternalError) else (*range(400, 500), 503)
        assert answer.status in expected
        assert json.loads(answer.body)
        assert answer.media_type == dialect.error_type
        assert ("Retry-After" in answer.headers) == isinstance(error, Overloaded)


def test_the_walk_found_the_errors_of_all_rooms() -> None:
    rooms = {kind.__module__.split(".")[1] for kind in every_error()}
    assert rooms >= {"core", "metering", "analytics", "auth", "orgs", "pricing", "ledger", "http"}
