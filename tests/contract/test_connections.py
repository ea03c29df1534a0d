"""What a connection may send, beyond what a well-behaved client does."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.admin_rooms import ADMIN_KEY
from tests.serving import ServerProcess

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
MEGABYTE = 2**20


@pytest.fixture
def connection(own_server: ServerProcess) -> Iterator[socket.socket]:
    own_server.start()
    address = httpx.URL(own_server.url)
    with socket.create_connection((address.host, address.port or 0), timeout=5) as opened:
        yield opened


def answered(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def memory_of(server: ServerProcess) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text().split()
    return int(status[status.index("VmRSS:") + 1]) * 1024


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (GET, b"name: value\r\n"),
        (GET + b"name: ", b"value"),
        (b"GET /healthz?", b"a=b&"),
        (b"POST /usage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"name: value\r\n"),
    ],
    ids=["headers", "a header", "a query", "trailers"],
)
def test_a_head_has_an_end(connection: socket.socket, begin: bytes, part: bytes) -> None:
    connection.sendall(begin)
    sent = 0
    with suppress(ConnectionError):
        while sent < 64 * MEGABYTE:
            sent += connection.send(part * (65_536 // len(part)))
    assert sent < 32 * MEGABYTE  # most of which nobody read


def test_a_long_head_is_taken(connection: socket.socket) -> None:
    connection.sendall(GET + b"cookie: " + b"a" * 60_000)
    connection.sendall(b"\r\nConnection: close\r\n\r\n")
    assert answered(connection).startswith(b"HTTP/1.1 200 ")


def test_a_trailer_is_no_header(connection: socket.socket) -> None:
    """A proxy that keeps callers from naming a key or an end user does not look there."""
    head = b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head + b"2\r\n{}\r\n0\r\nAuthorization: Bearer " + ADMIN_KEY.encode() + b"\r\n\r\n")
    assert answered(connection).startswith(b"HTTP/1.1 401 ")


def test_requests_that_wait_for_their_turn_are_few(own_server: ServerProcess, connection: socket.socket) -> None:
    """They are read as they are answered, however many are sent ahead."""
    before, requests = memory_of(own_server), (GET + b"\r\n") * 2_000
    connection.settimeout(0.5)
    with suppress(TimeoutError):
        for _ in range(100):
            connection.sendall(requests)
            connection.recv(1_000)  # slowly: there is always room for one more answer
    assert memory_of(own_server) - before < 64 * MEGABYTE
    connection.settimeout(5)
    assert b"HTTP/1.1 200 " in connection.recv(65_536)


@pytest.mark.parametrize("together", [True, False])
def test_another_protocol_is_not_entered(connection: socket.socket, together: bool) -> None:
    """As clients ask for HTTP/2 over plain text. What they send with it is a body, and no request of its own."""
    body = b'{"id": "GET /metrics HTTP/1.1"}'
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN_KEY.encode() + b"\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nContent-Length: %d\r\n\r\n"
    ) % len(body)
    for part in [head + body] if together else [head, body]:
        connection.sendall(part)
    answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"inserted":1' in answer
    connection.sendall(GET + b"Connection: close\r\n\r\n")
    assert answered(connection).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
    ids=["close", "HTTP/1.0"],
)
def test_who_asks_for_another_protocol_and_the_end_gets_an_answer_and_the_end(
    connection: socket.socket, head: bytes
) -> None:
    connection.sendall(head)
    assert answered(connection).startswith(b"HTTP/1.1 200 ")


def test_a_tunnel_is_refused(connection: socket.socket) -> None:
    connection.sendall(b"CONNECT /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answered(connection).startswith(b"HTTP/1.1 400 ")
