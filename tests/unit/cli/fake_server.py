"""A small server that takes events as the real one does, for tests of the client side alone."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "key-of-the-fake-server"


class FakeServer:
    """Stores each event once by (source, id); the same identity with other content is a conflict.

    `broken` is asked before a batch is stored: a status it returns is answered instead. Token counts that are
    no whole number are refused by index, and then nothing of the batch is stored.
    """

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.batches: list[list[dict[str, Any]]] = []
        self.bodies: list[str] = []
        self.idempotency_keys: list[str] = []
        self.broken: Callable[[int], int | None] = lambda batches_before: None
        self.url = ""

    def ingest(self, body: str) -> tuple[int, dict[str, Any]]:
        events = json.loads(body)["events"]
        status = self.broken(len(self.batches))
        if status is not None:
            return status, {"detail": "as the test wants it", "code": "broken"}
        faults = [fault for index, event in enumerate(events) for fault in _faults(index, event)]
        if faults:
            return 422, {
                "detail": "invalid",
                "code": "invalid",
                "errors": faults,
                "faults_total": len(faults),
            }
        self.batches.append(events)
        self.bodies.append(body)
        results = [{"index": index, **self._store(event)} for index, event in enumerate(events)]
        statuses = [result["status"] for result in results]
        return 200, {
            "inserted": statuses.count("inserted"),
            "duplicates": statuses.count("duplicate"),
            "conflicts": statuses.count("conflict"),
            "results": results,
        }

    def _store(self, event: dict[str, Any]) -> dict[str, Any]:
        first = self.stored.setdefault((event["source"], event["id"]), event)
        status = "inserted" if first is event else "duplicate" if first == event else "conflict"
        return {"id": event["id"], "status": status, "uid": "u", "pricing": "priced", "cost_usd": "0.5"}


def _faults(index: int, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, amount in event.get("usage", {}).items():
        if name.endswith("_tokens") and not isinstance(amount, int):
            yield {"loc": ["events", index, "usage", name], "msg": "must be a whole number"}
    if event.get("model") == "refused":
        yield {"loc": ["events", index, "model"], "msg": "is refused"}


@contextmanager
def running() -> Iterator[FakeServer]:
    fake = FakeServer()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(fake))
    fake.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _handler_of(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"status": "ok"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fake.idempotency_keys.append(self.headers["Idempotency-Key"])
            if self.headers["Authorization"] != f"Bearer {KEY}":
                self._send(401, {"detail": "the key is unknown", "code": "unauthenticated"})
            else:
                self._send(*fake.ingest(body))

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Handler
