"""One HTTP call with its retries, and its answer as data or as one of our errors."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any

import httpx

from tallybook.sdk import exact_json
from tallybook.sdk.errors import APIError, Fault, Unreachable, error_kind

BACKOFF_SECONDS = 0.25
BACKOFF_SECONDS_MAX = 8.0
RETRY_AFTER_SECONDS_MAX = 60
_BUSY = (429, 503)

Query = Mapping[str, str | int | Sequence[str]]


class Transport:
    """Sends requests to one server under one key.

    429, 503 and missing answers are retried up to `retries` times, after as long as `Retry-After` says or
    twice as long as the time before; not if it says more than `RETRY_AFTER_SECONDS_MAX`. Every request must be safe
    to repeat.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        org_id: str | None,
        timeout_seconds: float,
        retries: int,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Bearer {_header_safe('key', api_key)}"}
        if org_id is not None:
            headers["X-Org-Id"] = _header_safe("org", org_id)
        self._url = base_url.rstrip("/")
        self._http = httpx.Client(headers=headers, timeout=timeout_seconds, transport=transport)
        self._patience = httpx.Timeout(timeout_seconds, read=None)
        self._retries = retries
        self._sleep = sleep

    def call(
        self,
        method: str,
        path: str,
        *,
        json: str | None = None,
        query: Query | None = None,
        idempotency_key: str | None = None,
        retries: int | None = None,
        patient: bool = False,
    ) -> Any:
        """The parsed body of a 2xx answer, None if it has none. Raises `Unreachable` or an `APIError`.

        `patient`: once connected, waits for the answer as long as the connection lasts.
        """
        headers = {} if json is None else {"Content-Type": "application/json"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        timeout = self._patience if patient else self._http.timeout
        request = self._request(method, path, content=json, params=query, headers=headers, timeout=timeout)
        return _answer(self._sent(request, self._retries if retries is None else retries))

    def fetch(self, path: str, query: Query) -> httpx.Response:
        """The 2xx answer to a GET as it came. Raises `Unreachable` or an `APIError`."""
        response = self._sent(self._request("GET", path, params=query), self._retries)
        if not response.is_success:
            raise _problem(response)
        return response

    def download(self, path: str, query: Query) -> Iterator[bytes]:
        """The body of the 2xx answer to a GET, a part at a time; asks once only. Raises as `fetch`."""
        request = self._request("GET", path, params=query, timeout=self._patience)
        try:
            with closing(self._http.send(request, stream=True)) as response:
                if not response.is_success:
                    response.read()
                    raise _problem(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise Unreachable(self._url, str(error) or type(error).__name__) from error

    def close(self) -> None:
        self._http.close()

    def _request(self, method: str, path: str, **parts: Any) -> httpx.Request:
        try:
            return self._http.build_request(method, self._url + path, **parts)
        except httpx.InvalidURL as error:
            raise Unreachable(self._url, str(error)) from None

    def _sent(self, request: httpx.Request, retries: int) -> httpx.Response:
        attempt = 0
        while True:
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                if attempt == retries or isinstance(error, httpx.UnsupportedProtocol):
                    raise Unreachable(self._url, str(error) or type(error).__name__) from error
                pause = 0.0
            else:
                if response.status_code not in _BUSY or attempt == retries:
                    return response
                pause = float(_retry_after(response) or 0)
                if pause > RETRY_AFTER_SECONDS_MAX:
                    return response
            self._sleep(max(pause, _backoff(attempt)))
            attempt += 1


def _header_safe(name: str, value: str) -> str:
    if not (value and value.isascii() and value.isprintable()):
        raise ValueError(f"the {name} must be printable ASCII text")
    return value


def _backoff(attempt: int) -> float:
    # Jitter, so that clients refused together do not come back together.
    return min(BACKOFF_SECONDS * 2.0**attempt, BACKOFF_SECONDS_MAX) * random.uniform(0.75, 1.0)


def _retry_after(response: httpx.Response) -> int | None:
    """Seconds to wait, if the answer says so: it holds seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    text: str = response.headers.get("Retry-After", "")
    try:
        return int(text) if text.isdigit() else _seconds_until(text)
    except ValueError:
        return None


def _seconds_until(http_date: str) -> int:
    return max(0, ceil(parsedate_to_datetime(http_date).timestamp() - time.time()))


def _answer(response: httpx.Response) -> Any:
    if not response.is_success:
        raise _problem(response)
    if not response.content:
        return None
    try:
        return exact_json.loads(response.content)
    except ValueError:
        detail = "the answer is not JSON; is this the address of a Tallybook server?"
        raise APIError(response.status_code, code="not_json", detail=detail) from None


def _problem(response: httpx.Response) -> APIError:
    """The error that the body tells of: a problem (RFC 9457), or `message` and `details` where the ledger refuses.

    Other bodies, as proxies send, are left unread.
    """
    try:
        body = exact_json.loads(response.content)
    except ValueError:
        body = None
    problem = body if isinstance(body, dict) else {}
    faults = tuple(Fault(tuple(fault["loc"]), fault["msg"]) for fault in problem.get("errors", ()))
    return error_kind(response.status_code)(
        response.status_code,
        code=problem.get("code", "unknown"),
        detail=problem.get("detail") or problem.get("message") or response.reason_phrase,
        errors=faults,
        faults_total=problem.get("faults_total", 0),
        request_id=response.headers.get("X-Request-ID"),
        details=problem.get("details"),
        retry_after_seconds=_retry_after(response),
    )
