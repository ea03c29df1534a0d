"""A load generator that costs little: raw HTTP/1.1 over asyncio streams of bytes, prepared before the clock starts."""

import asyncio
import statistics
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop


@dataclass(frozen=True)
class Load:
    """What was measured: answers per second over the whole run, and latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


Talk = Generator[bytes, bytes, None]
"""What one connection says: yields a request, is sent the body of its answer."""


def request(path: str, key: str, body: bytes, idempotency_key: str | None = None) -> bytes:
    repeatable = "" if idempotency_key is None else f"Idempotency-Key: {idempotency_key}\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n{repeatable}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Sends the requests over that many connections, each with one request in flight, and waits for all answers."""
    pending = iter(requests)
    return run_talks(port, [monologue(pending) for _ in range(connections)])


def run_talks(port: int, talks: Sequence[Talk]) -> Load:
    """Leads each talk over a connection of its own, and waits for the end of all."""
    return uvloop.run(_run(port, talks))


def monologue(requests: Iterator[bytes]) -> Talk:
    """Sends these requests, whatever the answers say."""
    while (following := next(requests, None)) is not None:
        yield following


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is complete."""

    def __init__(self, talk: Talk, done: "asyncio.Future[None]", load: "_Tally") -> None:
        self._talk = talk
        self._done = done
        self._tally = load
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(rest) < length:
            return
        self._buffer = b""
        self._tally.add(int(head[9:12]), time.perf_counter() - self._sent_at)
        self._next(rest)

    def _next(self, answer: bytes | None) -> None:
        try:
            following = next(self._talk) if answer is None else self._talk.send(answer)
        except StopIteration:
            if not self._done.done():
                self._done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(following)


class _Tally:
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}

    def add(self, status: int, seconds: float) -> None:
        self.latencies.append(seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1


async def _run(port: int, talks: Sequence[Talk]) -> Load:
    tally = _Tally()
    started = time.perf_counter()
    await asyncio.gather(*(_lead(port, talk, tally) for talk in talks))
    seconds = time.perf_counter() - started
    ordered = sorted(tally.latencies)
    return Load(
        len(ordered),
        seconds,
        statistics.median(ordered) * 1000,
        ordered[int(len(ordered) * 0.99)] * 1000,
        ordered[-1] * 1000,
        tally.statuses,
    )


async def _lead(port: int, talk: Talk, tally: _Tally) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    await loop.create_connection(lambda: _Connection(talk, done, tally), "127.0.0.1", port)
    await done
