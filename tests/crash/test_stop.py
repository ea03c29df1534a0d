"""SIGTERM drains: what was taken is answered and stored. A full queue and a full disk refuse, and recover."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.crash.test_kill_ingest import Sender, found
from tests.serving import ServerProcess


def test_sigterm_answers_what_is_in_flight(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start_command()
    senders = [Sender(server.url, "drain", number, number) for number in range(16)]
    for sender in senders:
        sender.start()
    while sum(sender.operations for sender in senders) < 100:
        time.sleep(0.005)
    server.stop()
    for sender in senders:
        sender.join()
    assert not (server.data_dir / "server.json").exists()
    server.start()
    stored = found(server, "drain")
    acknowledged = [name for sender in senders for name in sender.acknowledged]
    assert all(stored[name] == 1 for name in acknowledged)
    # Nothing was taken without an answer either: what is stored was acknowledged.
    assert set(stored) == set(acknowledged)
    server.stop()


def test_sigterm_ends_a_start(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start()
    server.stop()
    words = ("serve", "--port", "0", "--data-dir", str(server.data_dir))
    process = subprocess.Popen([sys.executable, "-m", "tallybook", *words])
    while not holds(process.pid, server.data_dir / "events.duckdb"):
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    server.start().stop()


def holds(pid: int, path: Path) -> bool:
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            if file.readlink() == path:
                return True
    return False


def test_a_full_queue_refuses_with_retry_after(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", ingest_queue_events=10, ingest_flush_events=5).start()
    statuses: list[tuple[int, str | None]] = []

    def flood(number: int) -> None:
        with server.client() as client:
            for batch in range(20):
                events = [{"id": f"{number}-{batch}-{n}"} for n in range(5)]
                answer = client.post("/v1/events", json={"events": events})
                statuses.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in statuses} == {200, 503}
    assert all(retry for status, retry in statuses if status == 503)
    with server.client() as client:
        accepted = sum(status == 200 for status, _ in statuses) * 5
        answer = client.get("/v1/usage/query", params={"start": "2026-01-01T00:00:00Z", "bucket": "all"}).json()
        assert answer["data"][0]["results"][0]["requests"] == accepted
    server.stop()


def test_a_clean_stop_closes_its_files_and_says_nothing(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start_command()
    process = server.process
    with server.client() as client:
        client.post("/v1/events", json={"events": [{"id": str(number)} for number in range(50)]}).raise_for_status()
        client.get("/v1/events").raise_for_status()
        client.get("/v1/prices").raise_for_status()
    server.stop()
    assert process is not None
    assert process.returncode == 0
    greeting = server.log_path.read_text().splitlines()
    assert [line.split()[0] for line in greeting] == ["Tallybook", "API", "Admin", "Data"]
    # Both logs are folded in: a copy of the folder holds everything in the two files.
    assert not list(server.data_dir.glob("*wal"))
