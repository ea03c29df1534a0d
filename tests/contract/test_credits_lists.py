"""Lists without pages: whole, in one snapshot, written as they are read, and let go of when nobody listens."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.contract.credit_calls import Ledger, done, read, refused
from tests.serving import ADMIN_KEY, ServerProcess

ACCOUNTS = 700
PADDING = {"text": "x" * 16_000}


@pytest.fixture(scope="module")
def crowded(server: ServerProcess) -> Iterator[Ledger]:
    """An org whose list of accounts fills more than the buffers of a connection."""
    with server.client() as admin:
        ledger = Ledger(admin)
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: ledger.account(metadata=PADDING), range(ACCOUNTS)))
        yield ledger


def test_a_long_list_is_whole(crowded: Ledger) -> None:
    everything = done(crowded.get("/accounts"))["accounts"]
    assert len(everything) == ACCOUNTS
    paged = [
        account
        for offset in range(0, ACCOUNTS, 500)
        for account in done(crowded.get("/accounts", limit=500, offset=offset))["accounts"]
    ]
    assert everything == paged


def test_a_list_shows_one_moment(crowded: Ledger) -> None:
    """What is written while it is sent is not in it."""
    with crowded.http.stream("GET", "/v1/accounts") as answer:
        pieces = answer.iter_bytes()
        first = next(pieces)
        late = crowded.account(metadata=PADDING)
        body = first + b"".join(pieces)
    assert late.encode() not in body
    assert late in crowded.get("/accounts", limit=1).text


def open_files(server: ServerProcess) -> int:
    """How many files of the ledger the server has open, those opened twice counted twice."""
    assert server.process is not None
    count = 0
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += "ledger.sqlite" in os.readlink(link)
    return count


def test_a_list_left_half_read_is_let_go(server: ServerProcess, crowded: Ledger) -> None:
    address = httpx.URL(server.url)
    assert address.port is not None
    for _ in range(40):
        with socket.create_connection((address.host, address.port)) as connection:
            key = f"Authorization: Bearer {ADMIN_KEY}\r\n"
            connection.sendall(f"GET /v1/accounts HTTP/1.1\r\nHost: x\r\n{key}\r\n".encode())
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    deadline = time.monotonic() + 30
    while open_files(server) > 40 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert open_files(server) <= 40
    assert done(crowded.get("/accounts/balance", accountId=crowded.account()))["balance"] == 0


def test_a_list_above_its_bound_is_refused(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", list_rows_max=3).start()
    try:
        with server.client() as admin:
            ledger = Ledger(admin)
            made = [ledger.account(10) for _ in range(3)]
            holds = [ledger.hold(made[0], 1) for _ in range(3)]
            assert len(done(ledger.get("/accounts"))["accounts"]) == 3
            assert len(done(ledger.get("/reservations", accountId=made[0]))["reservations"]) == 3
            ledger.account()
            ledger.hold(made[0], 1)
            lists: list[tuple[str, dict[str, str]]] = [("/accounts", {}), ("/reservations", {"accountId": made[0]})]
            for path, query in lists:
                answer = ledger.get(path, **query)
                refused(answer, 400, "too_many_results")
                assert "limit" in read(answer)["message"]
                assert done(ledger.get(path, limit=500, **query))["pagination"]["totalCount"] == 4
            done(ledger.cancel(holds[0]))
            active = done(ledger.get("/reservations", accountId=made[0], activeOnly="true"))
            assert len(active["reservations"]) == 3
            ledger.verify()
    finally:
        server.stop()
