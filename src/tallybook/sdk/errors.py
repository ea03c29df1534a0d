"""Every error a user of the SDK can meet.

ClientError
    Unreachable         no answer: refused, dropped, timed out, or not an address
    APIError            the server answered, and not with what was asked for
        BadRequest          400  cannot be read
        Unauthenticated     401  no key, or an unknown one
        InsufficientCredits 402  the account cannot cover it
        PermissionDenied    403  a known key without the right
        NotFound            404
        Conflict            409  contradicts what is stored
        TooLarge            413  over a bound of the server
        InvalidRequest      422  lists its faults
        Overloaded          429, 503  after every retry, or at once where the server names too long a wait; `code`
                                      tells the busy server from the full disk and the damaged file
        ServerError         any other 5xx
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """One thing wrong with a request: where (`("events", 3, "usage", "input_tokens")`) and what."""

    loc: tuple[str | int, ...]
    msg: str


class ClientError(Exception):
    """Base of all errors of the SDK."""


class Unreachable(ClientError):
    """No answer from `url`; whether the request took effect is unknown. Repeating it is safe."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"no answer from {url}: {reason}")


class APIError(ClientError):
    """`code` is stable and may be matched on; `errors` are the faults listed, `faults_total` counts all; `details`
    are facts of a refusal, such as `available` credits; `retry_after_seconds` is what the server asks to wait."""

    def __init__(
        self,
        status: int,
        *,
        code: str,
        detail: str,
        errors: tuple[Fault, ...] = (),
        faults_total: int = 0,
        request_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.faults_total = max(faults_total, len(errors))
        self.request_id = request_id
        self.details = details or {}
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{status} {code}: {detail}")


class BadRequest(APIError): ...


class Unauthenticated(APIError): ...


class InsufficientCredits(APIError): ...


class PermissionDenied(APIError): ...


class NotFound(APIError): ...


class Conflict(APIError): ...


class TooLarge(APIError): ...


class InvalidRequest(APIError): ...


class Overloaded(APIError): ...


class ServerError(APIError): ...


_KINDS: dict[int, type[APIError]] = {
    400: BadRequest,
    401: Unauthenticated,
    402: InsufficientCredits,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidRequest,
    429: Overloaded,
    503: Overloaded,
}


def error_kind(status: int) -> type[APIError]:
    """The class for an answer of that status."""
    return _KINDS.get(status, ServerError if status >= 500 else APIError)
