"""`kill -9` at random moments: what was acknowledged is there, once; what was not is there at most once."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import LONG
from tests.serving import ADMIN_KEY, ServerProcess

ROUNDS = 50 if LONG else 10
CONNECTIONS = 16
ACKNOWLEDGED_MIN = 200


class Sender(threading.Thread):
    """One connection that sends single events and small batches until the server is gone."""

    def __init__(self, url: str, source: str, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._address = urlsplit(url).netloc
        self._source = source
        self._number = number
        self._random = random.Random(seed)
        self.sent: list[str] = []
        self.acknowledged: list[str] = []
        self.operations = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            while True:
                ids = [f"{self._number}-{len(self.sent) + n}" for n in range(self._random.choice((1, 1, 1, 7)))]
                self.sent.extend(ids)
                self._send(connection, ids)
                self.acknowledged.extend(ids)
                self.operations += 1
        except (OSError, http.client.HTTPException):
            return  # the server was killed

    def _send(self, connection: http.client.HTTPConnection, ids: list[str]) -> None:
        body = json.dumps({"events": [event(self._source, name) for name in ids]})
        connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {ADMIN_KEY}"})
        answer = connection.getresponse()
        receipt = json.loads(answer.read())
        assert answer.status == 200, receipt
        assert receipt["inserted"] == len(ids)


def event(source: str, name: str) -> dict[str, object]:
    return {
        "id": name,
        "source": source,
        "model": "gpt-4o",
        "occurred_at": "2026-01-31T12:00:00Z",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def found(server: ServerProcess, source: str) -> Counter[str]:
    """Every event of the source, by id, as the event list has them."""
    ids: Counter[str] = Counter()
    page = None
    with server.client() as client:
        while True:
            parameters = {"source": source, "limit": "1000", **({"page": page} if page else {})}
            answer = client.get("/v1/events", params=parameters).raise_for_status().json()
            ids.update(each["id"] for each in answer["data"])
            page = answer["next_page"]
            if page is None:
                return ids


def test_acknowledged_events_survive_kill_9(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(20260131)
    server = ServerProcess(tmp_path / "data").start()
    acknowledged_total = found_total = 0
    for round_number in range(ROUNDS):
        source = f"round-{round_number}"
        senders = [Sender(server.url, source, number, rng.random().__hash__()) for number in range(CONNECTIONS)]
        for sender in senders:
            sender.start()
        while sum(sender.operations for sender in senders) < ACKNOWLEDGED_MIN:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        server.kill()
        for sender in senders:
            sender.join()
        server.start()

        acknowledged = [name for sender in senders for name in sender.acknowledged]
        sent = {name for sender in senders for name in sender.sent}
        stored = found(server, source)
        lost = [name for name in acknowledged if name not in stored]
        doubled = [name for name, count in stored.items() if count > 1]
        assert not lost, f"round {round_number}: {len(lost)} acknowledged events lost"
        assert not doubled, f"round {round_number}: {len(doubled)} events doubled"
        assert stored.keys() <= sent
        check_resend(server, source, sorted(sent), stored)
        acknowledged_total += len(acknowledged)
        found_total += sum(stored[name] for name in acknowledged)
    server.stop()
    with capsys.disabled():
        print(f"\nkill -9: {ROUNDS} rounds, {acknowledged_total} acknowledged events, {found_total} found again")
    assert found_total == acknowledged_total


def check_resend(server: ServerProcess, source: str, sent: list[str], stored: Counter[str]) -> None:
    """A sender that repeats everything after the crash ends up with each event exactly once."""
    with server.client() as client:
        for start in range(0, len(sent), 1000):
            names = sent[start : start + 1000]
            receipt = client.post("/v1/events", json={"events": [event(source, name) for name in names]}).json()
            assert receipt["duplicates"] == sum(name in stored for name in names)
            assert receipt["inserted"] == sum(name not in stored for name in names)
    assert found(server, source) == Counter(sent)
