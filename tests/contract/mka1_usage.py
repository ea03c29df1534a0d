"""What each usage operation of mka1 has to say, told from the contract once more, and usage of every kind."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

Event = dict[str, Any]
Row = dict[str, Any]

DAY = 86_400
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
DAYS = 3

_CALLS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "input_cached_tokens": "cache_read_tokens",
    "num_model_requests": "requests",
}
_SHORT_CALLS = {name: _CALLS[name] for name in ("input_tokens", "output_tokens", "num_model_requests")}
_NULLS = ("batch", "service_tier", "project_id")


@dataclass(frozen=True)
class Operation:
    """`numbers`: fields of a row and the counters of events; `filters`: list parameters and the fields they look at."""

    name: str
    kind: str
    numbers: Mapping[str, str]
    dimensions: tuple[str, ...]
    nulls: tuple[str, ...] = ()
    has_models: bool = False

    @property
    def method(self) -> str:
        return "usage.sandbox" if self.name == "sandbox" else f"llm.usage.{self.name}"

    @property
    def path(self) -> str:
        return "/api/v1/sandbox/usage" if self.name == "sandbox" else f"/api/v1/llm/usage/{self.name}"

    @property
    def filters(self) -> Mapping[str, tuple[str, ...]]:
        if self.name == "sandbox":
            return {}
        models = {"models": ("model",)} if self.has_models else {}
        return {"user_ids": ("user_id", "external_user_id"), "external_user_ids": ("external_user_id",), **models}

    def row(self, events: Sequence[Event], group_by: Sequence[str] = ()) -> Row:
        """The row of these events, which are alike in `group_by`."""
        labels = {name: events[0].get(name) if name in group_by else None for name in self.dimensions}
        return {
            "object": f"organization.usage.{self.name}.result",
            **{field: _number(counter, events) for field, counter in self.numbers.items()},
            **labels,
            **dict.fromkeys(self.nulls),
        }

    def rows(self, events: Sequence[Event], group_by: Sequence[str] = ()) -> list[Row]:
        """One per combination that has events, ascending, null last."""
        groups = defaultdict(list)
        for event in events:
            if event["kind"] == self.kind:
                values = [event.get(name) for name in group_by]
                groups[tuple((value is None, "" if value is None else value) for value in values)].append(event)
        return [self.row(members, group_by) for _, members in sorted(groups.items())]

    def buckets(self, events: Sequence[Event], group_by: Sequence[str] = ()) -> list[dict[str, Any]]:
        """A page of `DAYS` days from `START` on."""
        return [
            {
                "object": "bucket",
                "start_time": start,
                "end_time": start + DAY,
                "results": self.rows(
                    [event for event in events if start <= event["occurred_at"] < start + DAY], group_by
                ),
            }
            for start in range(START, START + DAYS * DAY, DAY)
        ]


OPERATIONS = (
    Operation(
        "completions", "completion", _CALLS, ("user_id", "api_key_id", "org_id", "model"), _NULLS, has_models=True
    ),
    Operation(
        "responses",
        "response",
        _CALLS,
        ("user_id", "api_key_id", "org_id", "model", "background"),
        _NULLS,
        has_models=True,
    ),
    Operation(
        "conversations",
        "conversation",
        {
            "num_conversations_created": "conversations_created",
            "num_items_added": "items_added",
            "num_operations": "operations",
        },
        ("user_id", "api_key_id", "org_id"),
    ),
    Operation(
        "embeddings",
        "embedding",
        {"input_tokens": "input_tokens", "num_model_requests": "requests"},
        ("user_id", "api_key_id", "org_id", "model"),
        ("project_id",),
        has_models=True,
    ),
    Operation("extract", "extract", _SHORT_CALLS, ("user_id", "api_key_id", "model"), has_models=True),
    Operation("classify", "classify", _SHORT_CALLS, ("user_id", "api_key_id", "model"), has_models=True),
    Operation(
        "vector_stores",
        "vector_store",
        {"usage_bytes": "bytes", "num_operations": "operations"},
        ("user_id", "api_key_id"),
        ("project_id",),
    ),
    Operation(
        "files",
        "file",
        {"usage_bytes": "bytes", "num_files_created": "files_created"},
        ("user_id", "api_key_id", "org_id"),
    ),
    Operation(
        "sandbox",
        "sandbox",
        {
            "num_operations": "operations",
            "num_sessions": "sessions",
            "request_count": "request_count",
            "duration_ms": "duration_ms",
            "workspace_bytes_in": "workspace_bytes_in",
            "workspace_bytes_out": "workspace_bytes_out",
            "files_changed_count": "files_changed",
            "oom_killed_count": "oom_killed",
            "peak_memory_mib": "peak_memory_mib",
            "reserved_memory_mib": "reserved_memory_mib",
        },
        ("user_id", "api_key_id", "org_id", "operation", "provider", "session_kind"),
    ),
)
NOT_ADDED = ("num_sessions", "peak_memory_mib", "reserved_memory_mib")
"""Fields of a row that groups do not add up to."""


def events_of_every_kind(org_id: str, seed: int = 1) -> list[Event]:
    """A dozen of each kind, over the days from `START` on but the last, and one a day before and after."""
    random = Random(seed)
    events = [event for operation in OPERATIONS for event in _events(operation, random)]
    return [{**event, "id": f"event-{number}", "org_id": org_id} for number, event in enumerate(events)]


def to_send(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != "org_id" and value is not None}


def _events(operation: Operation, random: Random) -> Iterator[Event]:
    for number in range(14):
        at = START + random.randrange((DAYS - 1) * DAY) if number < 12 else START + (number - 12) * (DAYS + 1) * DAY - 1
        yield {
            "kind": operation.kind,
            "occurred_at": at,
            "user_id": random.choice(["ana", "bob", None]),
            "external_user_id": random.choice(["eve", "ana", "e,v e", None]),
            "api_key_id": random.choice(["key_a", "key_b"]),
            "team_id": random.choice(["red", "blue", None]),
            "model": random.choice(["meetkai:small", "meetkai:large", None]) if operation.has_models else None,
            "background": random.random() < 0.5 if operation.kind == "response" else False,
            "session_id": random.choice(["s1", "s2", None]),
            "usage": _usage(operation, random),
            "cost_usd": f"0.{random.randrange(10**12):012}",
            **(_of_sandbox(random) if operation.kind == "sandbox" else {}),
        }


def _usage(operation: Operation, random: Random) -> dict[str, Any]:
    usage: dict[str, Any] = {counter: random.randrange(1, 10**6) for counter in operation.numbers.values()}
    usage.pop("sessions", None)
    if "peak_memory_mib" in usage:
        usage["peak_memory_mib"] += random.randrange(4) / 4
    if "cache_read_tokens" in usage:
        usage["cache_read_tokens"] = random.randint(0, usage["input_tokens"])
    for counter in ("requests", "reserved_memory_mib") + (("operations",) if operation.kind == "sandbox" else ()):
        if counter in usage and random.random() < 0.5:
            del usage[counter]
    return usage


def _of_sandbox(random: Random) -> dict[str, Any]:
    return {
        "operation": random.choice(["command", "session_start", "tea"]),
        "provider": random.choice(["firecracker", None]),
        "session_kind": random.choice(["standard", "browser", None]),
    }


def _number(counter: str, events: Sequence[Event]) -> Any:
    if counter == "sessions":
        named = {(event["org_id"], event["session_id"]) for event in events if event["session_id"]}
        return len(named) + sum(not event["session_id"] for event in events)
    absent = 1 if counter == "requests" or (counter == "operations" and events[0]["kind"] == "sandbox") else 0
    numbers = [event["usage"].get(counter, absent) for event in events]
    if counter in NOT_ADDED:
        return max((event["usage"][counter] for event in events if counter in event["usage"]), default=None)
    return sum(numbers)
