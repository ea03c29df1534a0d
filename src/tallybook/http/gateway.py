"""The outermost layer: every request passes here once, whatever its route or dialect.

Gives each request an id, folds doubled slashes, answers CORS, bounds and inflates bodies, hands hot routes to their
raw endpoints, counts and logs, and turns whatever goes wrong into an answer in the dialect of the path.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from tallybook.core.errors import StorageDamaged, TallybookError
from tallybook.http.body import NOT_JSON, BodyTooLarge, Disconnected, Headers, Receive, header, not_json, read_body
from tallybook.http.dialect import Dialect, InternalError, Rendered
from tallybook.http.metrics import Metrics

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CORS_HEADERS = b"authorization, content-type, idempotency-key, if-none-match, x-api-key, x-on-behalf-of, x-org-id"
_REPLACED_HEADERS = (b"content-type", b"content-encoding", b"content-length")
_CORS_METHODS = b"GET, POST, PUT, PATCH, DELETE"

# A number with a fraction or an exponent is left to the route, which names its field when it is out of bounds.
_CHECK_JSON = msgspec.json.Decoder(float_hook=len).decode

# Each becomes an object, twice, while everybody else waits. The largest real body, a list of prices, has 30 000.
_VALUES_MAX = 250_000
_BEFORE_VALUES = (b",", b"[", b"{")

log = logging.getLogger("tallybook.http")


async def send_json(send: Send, body: bytes) -> None:
    """The whole answer of an endpoint that bypasses the framework."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Dialects:
    """Which dialect speaks at a path, and how it words an error there."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._exact = {path: dialect for dialect in dialects for path in dialect.paths}
        pairs = [(prefix, dialect) for dialect in dialects for prefix in dialect.prefixes]
        self._longest_first = sorted(pairs, key=lambda pair: -len(pair[0]))

    def at(self, path: str) -> Dialect:
        exact = self._exact.get(path)
        return exact or next(dialect for prefix, dialect in self._longest_first if path.startswith(prefix))

    def render(self, error: TallybookError, path: str) -> Rendered:
        if isinstance(error, StorageDamaged):
            log.error("file damaged", extra={"file": str(error.path), "reason": error.why, "path": path})
        return self.at(path).render(error, path)


class Gateway:
    """ASGI application around `inner`. `raw` maps exact paths to methods to endpoints that bypass the framework.

    `knows` tells by the headers of a request whether it comes from the holder of a valid key.
    """

    def __init__(
        self,
        inner: App,
        raw: Mapping[str, Mapping[str, App]],
        dialects: Dialects,
        metrics: Metrics,
        *,
        knows: Callable[[Headers], bool],
        body_bytes_max: int,
        cors_origins: Sequence[str],
        access_log: bool,
    ) -> None:
        self._inner = inner
        self._raw = raw
        self._dialects = dialects
        self._metrics = metrics
        self._knows = knows
        self._body_bytes_max = body_bytes_max
        self._cors_origins = {origin.encode() for origin in cors_origins}
        self._access_log = access_log
        self._request_prefix = secrets.token_hex(6)
        self._request_count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started = time.perf_counter()
        path = scope["path"]
        if "//" in path and b"//" in scope["raw_path"]:  # slashes that are encoded are of an id
            path = scope["path"] = unquote(_folded(scope["raw_path"].decode("ascii")))
        exchange = _Exchange(send, f"{self._request_prefix}-{next(self._request_count)}", self._cors(scope["headers"]))
        scope["tallybook.request_id"] = exchange.request_id
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server below knows, and leaves the body out
        try:
            await self._answer(scope, path, receive, exchange)
        except TallybookError as error:
            await exchange.reply(self._dialects.render(error, path))
        except Disconnected:
            exchange.status = 499  # the caller left
        except asyncio.CancelledError:
            exchange.status = 499
            raise
        except Exception:
            said = {"request_id": exchange.request_id, "method": scope["method"], "path": path}
            log.exception("request failed", extra=said)
            await exchange.reply(self._dialects.render(InternalError("something went wrong; the log says more"), path))
        finally:
            self._account(scope, path, exchange, time.perf_counter() - started)

    async def _answer(self, scope: Scope, path: str, receive: Receive, exchange: "_Exchange") -> None:
        if scope["method"] == "OPTIONS" and header(scope["headers"], b"access-control-request-method"):
            await exchange.reply(Rendered(204, b""))
            return
        methods = self._raw.get(path)
        if methods is not None and scope["method"] in methods:
            scope["tallybook.route"] = path
            await methods[scope["method"]](scope, receive, exchange.send)
            return
        if scope["method"] != "GET":
            receive = await self._checked_json(scope, receive)
        await self._inner(scope, receive, exchange.send)

    async def _checked_json(self, scope: Scope, receive: Receive) -> Receive:
        """The body of a framework route: whole, inflated, and JSON of bearable size and depth before anything else
        sees it. Empty if nobody vouches for it: the framework reads bodies before it asks who sent them.
        """
        known = self._knows(scope["headers"])
        body = await read_body(receive, scope["headers"], self._body_bytes_max) if known else b""
        if sum(map(body.count, _BEFORE_VALUES)) > _VALUES_MAX:
            raise BodyTooLarge(_VALUES_MAX, "values")
        # Whatever it called itself (curl says it is a form), it is JSON or refused.
        kept = [pair for pair in scope["headers"] if pair[0] not in _REPLACED_HEADERS]
        scope["headers"] = [*kept, (b"content-type", b"application/json")]
        try:
            if body:
                _CHECK_JSON(body)
        except NOT_JSON as error:
            raise not_json(body, error) from None
        return _Replayed(body, receive)

    def _cors(self, headers: Headers) -> Sequence[tuple[bytes, bytes]]:
        if not self._cors_origins:
            return ()
        origin = header(headers, b"origin").encode("latin-1")
        if origin not in self._cors_origins:
            return ((b"vary", b"Origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-allow-methods", _CORS_METHODS),
            (b"access-control-expose-headers", b"etag, x-request-id, x-next-page, retry-after"),
            (b"vary", b"Origin"),
        )

    def _account(self, scope: Scope, path: str, exchange: "_Exchange", seconds: float) -> None:
        route = str(scope.get("tallybook.route") or getattr(scope.get("route"), "path", "unmatched"))
        self._metrics.request(scope["method"], route, exchange.status, seconds)
        if self._access_log:
            log.info(
                "request",
                extra={
                    "request_id": exchange.request_id,
                    "method": scope["method"],
                    "path": path,
                    "status": exchange.status,
                    "milliseconds": round(seconds * 1000, 3),
                },
            )


class _Exchange:
    """One request and its answer: stamps the headers every answer carries and remembers the status."""

    def __init__(self, send: Send, request_id: str, cors: Sequence[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._stamps = ((b"x-request-id", request_id.encode()), *cors)
        self.request_id = request_id
        self.status = 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._stamps]
        await self._send(message)

    async def reply(self, rendered: Rendered) -> None:
        """Sends a complete answer, unless one has begun already."""
        if self.status:
            return
        about_body = [
            (b"content-type", rendered.media_type.encode()),
            (b"content-length", str(len(rendered.body)).encode()),
        ]
        headers = [
            *(about_body if rendered.body else ()),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in rendered.headers.items()),
        ]
        await self.send({"type": "http.response.start", "status": rendered.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": rendered.body})


class _Replayed:
    """A body that was read already, given once more; then whatever else the connection says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _folded(path: str) -> str:
    while "//" in path:
        path = path.replace("//", "/")
    return path
