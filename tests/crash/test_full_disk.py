"""A full disk: writes answer 503 `storage_full`, reads go on, and with space again all goes on without a restart."""

import http.client
import json
import os
import resource
import shutil
import subprocess
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.crash.test_kill_ingest import event, found
from tests.serving import ADMIN_KEY, ServerProcess

MIB = 2**20
SOURCE = "full-disk"
SENDERS = 4
BATCH = 20
ENOUGH = 20
"""Requests of one sort after which a phase has shown what it is to show."""


class Disk(ABC):
    """What a test fills and frees. `reserve_bytes`: a reserve that `fill` digs into and `free` gives back."""

    reserve_bytes: int
    folder: Path

    @abstractmethod
    def fill(self, server: ServerProcess, *, leave_bytes: int = 0) -> None: ...

    @abstractmethod
    def free(self, server: ServerProcess) -> None: ...


class SmallDisk(Disk):
    """A file system of 160 MiB in memory, filled by a file."""

    reserve_bytes = 64 * MIB

    def __init__(self, mount_point: Path) -> None:
        self.folder = mount_point
        self._filler = mount_point / "filler"

    def fill(self, server: ServerProcess, *, leave_bytes: int = 0) -> None:
        with self._filler.open("ab", buffering=0) as filler:
            while (room := shutil.disk_usage(self.folder).free - leave_bytes) > 0:
                filler.write(bytes(min(room, MIB)))

    def free(self, server: ServerProcess) -> None:
        self._filler.unlink()


class LimitedFiles(Disk):
    """The server's files may not grow: what is left of a full disk where nothing may be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: ServerProcess, *, leave_bytes: int = 0) -> None:
        logs = [server.data_dir / name for name in ("events.duckdb.wal", "ledger.sqlite-wal")]
        limit_files(server, min(map(size_of, logs)) + leave_bytes)

    def free(self, server: ServerProcess) -> None:
        limit_files(server, resource.RLIM_INFINITY)


class SharedDisk(Disk):
    """The disk that everybody uses, with a reserve of nearly all that is free; a large file digs into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reserve_bytes = shutil.disk_usage(folder).free - 256 * MIB
        self._filler = folder / "filler"

    def fill(self, server: ServerProcess, *, leave_bytes: int = 0) -> None:
        with self._filler.open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, 512 * MIB)

    def free(self, server: ServerProcess) -> None:
        self._filler.unlink()


def size_of(log: Path) -> int:
    """0 while there is none: a checkpoint removes it."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def limit_files(server: ServerProcess, file_bytes: int) -> None:
    assert server.process is not None
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (file_bytes, hard))


def mount_small_disk(mount_point: Path) -> bool:
    mount_point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(mount_point)]
    if os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return True
    warnings.warn("no file system may be mounted here: a stand-in for a full disk is used", stacklevel=2)
    return False


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """Where a small file system is mounted, or None if that is not allowed."""
    mount_point = tmp_path_factory.mktemp("full") / "disk"
    if not mount_small_disk(mount_point):
        yield None
        return
    yield mount_point
    subprocess.run(["umount", "--lazy", str(mount_point)], check=True)


@pytest.fixture(params=["small disk", "limited files"])
def disk(request: pytest.FixtureRequest, mounted: Path | None, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limited files" or mounted is None:
        yield LimitedFiles(tmp_path)
    else:
        yield SmallDisk(mounted)


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    servers: list[ServerProcess] = []

    def start(disk: Disk, **settings: object) -> ServerProcess:
        shutil.rmtree(disk.folder / "data", ignore_errors=True)
        server = ServerProcess(disk.folder / "data", **settings)
        server.log_path = tmp_path / "server.log"  # a log on the full disk would be a test of its own
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.kill()


class Batches(threading.Thread):
    """One connection that sends batches until told to stop; a refused batch is not sent again."""

    def __init__(self, url: str, number: int, description: str) -> None:
        super().__init__(daemon=True)
        self._description = description
        self._address = urlsplit(url).netloc
        self._number = number
        self.enough = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.refusals: list[tuple[int, str, str | None]] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        sent = 0
        while not self.enough.is_set():
            ids = [f"{self._number}-{sent + n}" for n in range(BATCH)]
            sent += BATCH
            events = [{**event(SOURCE, name), "description": self._description} for name in ids]
            body = json.dumps({"events": events})
            connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {ADMIN_KEY}"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 200:
                self.acknowledged.extend(ids)
            else:
                self.refused.extend(ids)
                self.refusals.append((answer.status, said["code"], answer.getheader("Retry-After")))
                time.sleep(0.01)
        connection.close()


class Load:
    """Several connections that send at once; a long `description` fills the log with few events."""

    def __init__(self, server: ServerProcess, description: str = "") -> None:
        self._threads = [Batches(server.url, number, description) for number in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    @property
    def acknowledged(self) -> list[str]:
        return [name for thread in self._threads for name in thread.acknowledged]

    @property
    def refused(self) -> list[str]:
        return [name for thread in self._threads for name in thread.refused]

    @property
    def refusals(self) -> list[tuple[int, str, str | None]]:
        return [refusal for thread in self._threads for refusal in thread.refusals]

    def await_acknowledged(self) -> None:
        """Until enough requests more have been acknowledged."""
        self._await_more(lambda: len(self.acknowledged) // BATCH)

    def await_refused(self) -> None:
        self._await_more(lambda: len(self.refusals))

    def end(self) -> None:
        for thread in self._threads:
            thread.enough.set()
        for thread in self._threads:
            thread.join()

    def _await_more(self, count: Callable[[], int]) -> None:
        goal = count() + ENOUGH
        deadline = time.monotonic() + 60
        while count() < goal:
            assert all(thread.is_alive() for thread in self._threads), "a connection broke"
            assert time.monotonic() < deadline, f"stuck at {count()} of {goal}; refused: {Counter(self.refusals)}"
            time.sleep(0.01)


def put_price(client: httpx.Client, number: int) -> httpx.Response:
    rates = {"input_tokens": {"usd": "2.5", "per": 1_000_000}}
    effective_from = f"2020-01-01T00:{number // 60:02}:{number % 60:02}Z"
    price = {"model": "m", "effective_from": effective_from, "rates": rates, "source": "x" * 200}
    return client.put("/v1/prices", json=price)


def check_reads(server: ServerProcess) -> int:
    """Every sort of read answers; returns how many events are counted."""
    with server.client() as client:
        for path in ("/healthz", "/v1/prices", "/v1/keys", f"/v1/events?source={SOURCE}", "/metrics"):
            assert client.get(path).status_code == 200, path
        query = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z", "bucket": "all"}
        (bucket,) = client.get("/v1/usage/query", params=query).raise_for_status().json()["data"]
        return int(bucket["results"][0]["requests"])


def check_admin_refused(server: ServerProcess) -> None:
    """The last bytes of the disk may still take a price or two."""
    with server.client() as client:
        answers = [put_price(client, 0)]
        while answers[-1].status_code == 201 and len(answers) < 200:
            answers.append(put_price(client, len(answers)))
        assert answers[-1].status_code == 503
        assert answers[-1].json()["code"] == "storage_full"
        assert answers[-1].headers["retry-after"]
        assert len(client.get("/v1/prices?limit=1000").json()["data"]) == len(answers) - 1


def check_stored(server: ServerProcess, load: Load) -> None:
    """What was acknowledged is there once; of what was refused nothing is, and it can be sent again."""
    assert set(load.refusals) == {(503, "storage_full", "5")}
    assert found(server, SOURCE) == Counter(load.acknowledged)
    with server.client() as client:
        for start in range(0, len(load.refused), 1000):
            events = [event(SOURCE, name) for name in load.refused[start : start + 1000]]
            receipt = client.post("/v1/events", json={"events": events}).raise_for_status().json()
            assert receipt["inserted"] == len(events)
    assert found(server, SOURCE) == Counter(load.acknowledged + load.refused)


def test_a_disk_that_is_really_full(disk: Disk, open_server: Callable[..., ServerProcess]) -> None:
    server = open_server(disk, disk_reserve_bytes=0)
    load = Load(server)
    load.await_acknowledged()
    for _ in range(2):
        disk.fill(server)
        load.await_refused()
        assert check_reads(server) <= len(load.acknowledged) + SENDERS * BATCH
        disk.free(server)
        load.await_acknowledged()
    disk.fill(server)
    load.await_refused()
    load.end()
    check_admin_refused(server)
    assert check_reads(server) == len(load.acknowledged)
    disk.free(server)
    with server.client() as client:
        assert put_price(client, 3000).status_code == 201
    check_stored(server, load)

    server.kill()
    server.start()
    assert found(server, SOURCE) == Counter(load.acknowledged + load.refused)


def test_the_reserve_is_left_free(
    mounted: Path | None, tmp_path: Path, open_server: Callable[..., ServerProcess]
) -> None:
    disk = SharedDisk(tmp_path) if mounted is None else SmallDisk(mounted)
    server = open_server(disk, disk_reserve_bytes=disk.reserve_bytes)
    load = Load(server)
    load.await_acknowledged()
    disk.fill(server, leave_bytes=disk.reserve_bytes // 2)
    load.await_refused()
    assert check_reads(server) <= len(load.acknowledged) + SENDERS * BATCH
    disk.free(server)
    load.await_acknowledged()
    load.end()
    check_stored(server, load)


def test_a_failed_checkpoint_takes_nothing_down(tmp_path: Path, open_server: Callable[..., ServerProcess]) -> None:
    """It invalidates the whole engine, which reopens the file: the limit shows it, for it leaves the disk roomy."""
    disk = LimitedFiles(tmp_path)
    server = open_server(disk, disk_reserve_bytes=0, wal_bytes_max=MIB)
    load = Load(server, description="x" * 1000)
    load.await_acknowledged()
    while size_of(server.data_dir / "events.duckdb.wal") < 2 * MIB:
        load.await_acknowledged()
    limit_files(server, (server.data_dir / "events.duckdb").stat().st_size)
    load.await_refused()
    load.end()
    await_log(server, "housekeeping failed")
    assert check_reads(server) == len(load.acknowledged)
    disk.free(server)
    check_stored(server, load)
    server.stop()
    server.start()
    assert found(server, SOURCE) == Counter(load.acknowledged + load.refused)


def test_a_stop_on_a_full_disk_loses_nothing(disk: Disk, open_server: Callable[..., ServerProcess]) -> None:
    server = open_server(disk, disk_reserve_bytes=0)
    load = Load(server)
    load.await_acknowledged()
    disk.fill(server)
    load.await_refused()
    load.end()
    process = server.process
    server.stop()
    assert process is not None
    assert process.returncode == 0, server.log_path.read_text()
    (disk.folder / "filler").unlink(missing_ok=True)
    server.start()
    check_stored(server, load)


def await_log(server: ServerProcess, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in server.log_path.read_text():
        assert time.monotonic() < deadline, f"the log never said {words!r}"
        time.sleep(0.05)
