"""What `/metrics` tells Prometheus. One registry per application, so that two in one process do not mix."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tallybook_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tallybook_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        events = Counter(
            "tallybook_events_total", "Events taken, by what became of them.", ["status"], registry=self._registry
        )
        self._inserted = events.labels("inserted")
        self._duplicates = events.labels("duplicate")
        self._conflicts = events.labels("conflict")
        self._commits = Histogram(
            "tallybook_commit_seconds",
            "Time of a commit of everything queued, by writer.",
            ["writer"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        # Looking a labelled child up costs more than counting: each is kept once made.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        children = self._children.get((method, route, status))
        if children is None:
            children = (self._requests.labels(method, route, str(status)), self._seconds.labels(route))
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def events(self, *, inserted: int = 0, duplicates: int = 0, conflicts: int = 0) -> None:
        self._inserted.inc(inserted)
        if duplicates or conflicts:
            self._duplicates.inc(duplicates)
            self._conflicts.inc(conflicts)

    def commits(self, writer: str) -> Callable[[float], None]:
        """Takes the seconds of each commit of a writer."""
        return self._commits.labels(writer).observe

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A value read when `/metrics` is asked."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
