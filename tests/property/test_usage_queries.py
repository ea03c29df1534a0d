"""Random questions to a running server against a plain model of its events, while events arrive, repeat and change."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tallybook.core.time_window import instant_text, parse_instant
from tallybook.sdk import exact_json
from tests.conftest import LONG
from tests.contract.readers import Org, org_on
from tests.serving import ServerProcess

WORLDS, QUESTIONS = (40, 500) if LONG else (5, 100)

MINUTE = 60 * 10**6
HOUR = 60 * MINUTE
WIDTHS = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR}
CALENDAR = {"1d": 24 * HOUR, "1w": 7 * 24 * HOUR, "1mo": 31 * 24 * HOUR, "all": 90 * 24 * HOUR}
BUCKETS = {**WIDTHS, **CALENDAR}
# Each changes its clocks around one of the instants below: by an hour or half of one, at night or at midnight.
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu")
CHANGES = tuple(
    parse_instant(f"{text}:00:00Z")
    for text in ("2025-10-26T01", "2025-11-02T06", "2026-03-08T07", "2026-03-29T01", "2026-04-04T15", "2026-04-23T22")
)
DIMENSIONS = ("kind", "model", "user_id", "session_id", "batch")
ADDED = (
    *("requests", "events", "input_tokens", "audio_seconds", "cost_usd", "known_cost_usd"),
    *("unpriced_requests", "unpriced_events"),
)
MEASURES = (*ADDED, "sessions", "peak_memory_mib")

Event = dict[str, Any]
Row = dict[str, Any]


class World:
    """An org on the server, and what it should know: the events in force by id, the voided ones apart."""

    def __init__(self, org: Org, random: Random) -> None:
        self._org = org
        self.random = random
        self._sent: list[Event] = []
        self._uids: dict[str, str] = {}
        self._revisions: dict[str, int] = {}
        self.in_force: dict[str, Event] = {}
        self._voided: dict[str, Event] = {}
        self.send(50)

    def move_on(self) -> None:
        """New events, most of them late, and old ones again; or a correction."""
        if self.random.random() < 0.5:
            self.send(self.random.randrange(1, 6))
        else:
            self._correct()

    def send(self, number: int) -> None:
        fresh = [self._event(len(self._sent) + n) for n in range(number)]
        again = self.random.choices(self._sent, k=3) if self._sent else []
        batch = [*fresh, *again, self.random.choice(fresh)]
        answer = self._post("/v1/events", {"events": batch})
        assert (answer["inserted"], answer["duplicates"], answer["conflicts"]) == (number, len(again) + 1, 0)
        self._sent += fresh
        for event, result in zip(fresh, answer["results"], strict=False):
            self._uids[event["id"]], self._revisions[event["id"]] = result["uid"], 1
            self.in_force[event["id"]] = event

    def _correct(self) -> None:
        name = self.random.choice(self._sent)["id"]
        expected = {"expected_revision": self._revisions[name]}
        if name in self._voided:
            self._post(f"/v1/events/{self._uids[name]}/restore", expected)
            self.in_force[name] = self._voided.pop(name)
            self._revisions[name] += 1
        elif self.random.random() < 0.3:
            self._post(f"/v1/events/{self._uids[name]}/void", expected)
            self._voided[name] = self.in_force.pop(name)
        else:
            changed = self._content()
            changes = {field: changed.get(field) for field in ("usage", "cost_usd", "model", "user_id", "session_id")}
            self._post(f"/v1/events/{self._uids[name]}/amend", {**expected, "set": changes})
            self.in_force[name] = {**self.in_force[name], **changes}
            self._revisions[name] += 1

    def _event(self, number: int) -> Event:
        at = self.random.choice(CHANGES) + self.random.randint(-36 * HOUR, 36 * HOUR) // MINUTE * MINUTE
        at -= self.random.choice([0, 0, 1])  # also on and just before the edges of buckets
        return {
            "id": f"event-{number}",
            "occurred_at": instant_text(at),
            "kind": self.random.choice(["completion", "sandbox"]),
            "batch": self.random.random() < 0.3,
            **self._content(),
        }

    def _content(self) -> Event:
        random = self.random
        usage = {
            "input_tokens": random.choice([0, 7, 2**53 - 1]),
            "audio_seconds": random.choice(["0", "0.000001", "12.5"]),
            "requests": random.randrange(4),
            "peak_memory_mib": random.choice(["0.5", "311.25"]),
        }
        told = {
            "model": random.choice(["a", "b", "Ä"]),
            "user_id": random.choice(["ana", "bob"]),
            "session_id": random.choice(["s", "t"]),
            "cost_usd": random.choice(["0", "0.000000000001", "9000000"]),
        }
        return {
            "usage": {name: Decimal(str(value)) for name, value in usage.items() if random.random() < 0.7},
            **{name: value for name, value in told.items() if random.random() < 0.7},
        }

    def _post(self, path: str, body: Any) -> Any:
        answer = self._org.admin.post(path, content=exact_json.dumps(body))
        assert answer.status_code == 200, answer.text
        return answer.json()


# --- what the model answers


def at(event: Event) -> int:
    return parse_instant(event["occurred_at"])


def holds(event: Event, filters: Mapping[str, Sequence[Any]]) -> bool:
    return all(event.get(name) in values for name, values in filters.items())


def rows_of(events: Sequence[Event], group_by: Sequence[str], measures: Sequence[str]) -> list[Row]:
    groups = defaultdict(list)
    for event in events:
        values = [event.get(name) for name in group_by]
        groups[tuple((value is None, "" if value is None else value) for value in values)].append(event)
    return [
        {
            **{name: number(name, members) for name in measures},
            **{name: members[0].get(name) for name in group_by},
        }
        for _, members in sorted(groups.items())
    ]


def number(name: str, events: Sequence[Event]) -> Any:
    unpriced = [event for event in events if is_unpriced(event)]
    match name:
        case "events" | "unpriced_events":
            return len(events if name == "events" else unpriced)
        case "requests" | "unpriced_requests":
            counted = events if name == "requests" else unpriced
            return sum(event["usage"].get("requests", 1) for event in counted)
        case "cost_usd" | "known_cost_usd":
            return sum((Decimal(event.get("cost_usd") or 0) for event in events), Decimal(0))
        case "sessions":
            named = [event["session_id"] for event in events if event.get("session_id") is not None]
            return len(set(named)) + len(events) - len(named)
        case "peak_memory_mib":
            return max((event["usage"][name] for event in events if name in event["usage"]), default=None)
    return sum(event["usage"].get(name, 0) for event in events)


def is_unpriced(event: Event) -> bool:
    """No cost was given, and what was used would be billed if there were a price."""
    billed = any(event["usage"].get(name) for name in ("input_tokens", "audio_seconds"))
    return event.get("cost_usd") is None and billed


def bucket_of(instant: int, width: str, zone: ZoneInfo) -> Any:
    """What all instants of a bucket have in common, and no others: told from the local calendar and clock."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(zone)
    match width:
        case "1d":
            return local.date()
        case "1w":
            return local.date() - timedelta(days=local.weekday())
        case "1mo":
            return local.year, local.month
        case "all":
            return None
    offset = local.utcoffset() or timedelta()
    return instant - (instant + offset // timedelta(microseconds=1)) % WIDTHS[width]


# --- one question


class Question:
    def __init__(self, random: Random) -> None:
        self.width = random.choice(list(BUCKETS))
        self.zone = ZoneInfo(
            random.choice([zone for zone in ZONES if (zone, self.width) != ("Australia/Lord_Howe", "1h")])
        )
        width_us = BUCKETS[self.width]
        self.start = random.choice(CHANGES) + random.randint(-width_us, width_us) * random.randrange(8)
        self.end = self.start + random.randint(1, width_us * random.choice([1, 2, 20, 100]))
        self.group_by = random.sample(DIMENSIONS, random.choice([0, 0, 1, 2, 3]))
        self.measures = random.sample(MEASURES, random.randrange(1, len(MEASURES) + 1))
        self.filters: dict[str, list[Any]] = {}
        if random.random() < 0.3:
            self.filters["model"] = random.choice([["a"], ["a", "b"], ["Ä", "none"]])
        if random.random() < 0.2:
            self.filters["batch"] = [random.random() < 0.5]

    @property
    def query(self) -> dict[str, Any]:
        return {
            "start": instant_text(self.start),
            "end": instant_text(self.end),
            "bucket": self.width,
            "timezone": self.zone.key,
            "group_by": self.group_by,
            "measures": ",".join(self.measures),
            **{name: [str(value) for value in values] for name, values in self.filters.items()},
        }

    def check_edges(self, buckets: Sequence[Row], start: int, *, is_last: bool) -> int:
        """Buckets without a gap from `start` on, each whole unless the range cuts it. The end of the last."""
        for bucket in buckets:
            begin, end = parse_instant(bucket["start"]), parse_instant(bucket["end"])
            assert begin == start < end
            assert bucket_of(begin, self.width, self.zone) == bucket_of(end - 1, self.width, self.zone)
            if begin != self.start:
                assert bucket_of(begin - 1, self.width, self.zone) != bucket_of(begin, self.width, self.zone)
            start = end
        assert (start == self.end) == is_last
        return start

    def check_rows(self, buckets: Sequence[Row], world: World) -> None:
        events = [event for event in world.in_force.values() if holds(event, self.filters)]
        for bucket in buckets:
            begin, end = parse_instant(bucket["start"]), parse_instant(bucket["end"])
            members = [event for event in events if begin <= at(event) < end] if bucket["results"] else []
            assert list(map(numeric, bucket["results"])) == rows_of(members, self.group_by, self.measures)
        # Nothing is lost between them: what the buckets left out would be missing here.
        whole = [event for event in events if parse_instant(buckets[0]["start"]) <= at(event)]
        whole = [event for event in whole if at(event) < parse_instant(buckets[-1]["end"])]
        (total,) = rows_of(whole, (), ADDED) or [dict.fromkeys(ADDED, 0)]
        for name in {*ADDED} & {*self.measures}:
            assert sum(numeric(row)[name] for bucket in buckets for row in bucket["results"]) == total[name]


def numeric(row: Row) -> Row:
    return {name: Decimal(value) if name.endswith("cost_usd") else value for name, value in row.items()}


def asked(client: httpx.Client, query: Mapping[str, Any]) -> Any:
    answer = client.get("/v1/usage/query", params=dict(query))
    assert answer.status_code == 200, (query, answer.text)
    return exact_json.loads(answer.content)


@pytest.fixture(scope="module", params=range(WORLDS))
def world(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[tuple[World, httpx.Client]]:
    with org_on(server, f"world-{request.param}") as org:
        yield World(org, Random(request.param)), org.admin


def test_every_number_is_that_of_the_model(world: tuple[World, httpx.Client]) -> None:
    model, client = world
    for _ in range(QUESTIONS):
        question = Question(model.random)
        if model.random.random() < 0.2:
            walk(question, model, client)
            continue
        if model.random.random() < 0.3:
            model.move_on()
        page = asked(client, {**question.query, "limit": 1440})
        assert (page["has_more"], page["next_page"]) == (False, None)
        question.check_edges(page["data"], question.start, is_last=True)
        question.check_rows(page["data"], model)
        again = model.random.choice([check_csv, check_total])
        again(question, page["data"], client)


def walk(question: Question, model: World, client: httpx.Client) -> None:
    """A few pages of a walk while events arrive and change: no bucket is left out or repeated."""
    start, page_name, limit = question.start, None, model.random.randrange(1, 8)
    for _ in range(6):
        page = asked(client, {**question.query, "limit": limit} | ({"page": page_name} if page_name else {}))
        page_name = page["next_page"]
        assert len(page["data"]) == limit if page["has_more"] else 1 <= len(page["data"]) <= limit
        start = question.check_edges(page["data"], start, is_last=page_name is None)
        question.check_rows(page["data"], model)
        if page_name is None:
            return
        model.move_on()


# --- the same asked in another way


def check_csv(question: Question, buckets: Sequence[Row], client: httpx.Client) -> None:
    """Line by line the same digits."""
    text = client.get("/v1/usage/query", params={**question.query, "format": "csv"}).raise_for_status().text
    header, *lines = csv.reader(io.StringIO(text))
    assert header == ["start", "end", *question.group_by, *question.measures]
    rows = [{**row, "start": bucket["start"], "end": bucket["end"]} for bucket in buckets for row in bucket["results"]]
    assert lines == [[cell(row[name]) for name in header] for row in rows]


def cell(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def check_total(question: Question, buckets: Sequence[Row], client: httpx.Client) -> None:
    """Groups add up to the total, buckets to the range."""
    (whole,) = asked(client, {**question.query, "bucket": "all", "group_by": []})["data"]
    names = {*ADDED} & {*question.measures}
    total = numeric(whole["results"][0]) if whole["results"] else dict.fromkeys(names, 0)
    rows = [numeric(row) for bucket in buckets for row in bucket["results"]]
    assert {name: sum(row[name] for row in rows) for name in names} == {name: total[name] for name in names}


def test_a_walk_over_events_is_complete_while_they_arrive(world: tuple[World, httpx.Client]) -> None:
    model, client = world
    in_force = sorted(model.in_force)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 7}
    while True:
        page = client.get("/v1/events", params=query).raise_for_status().json()
        seen += [event["id"] for event in page["data"]]
        if not page["has_more"]:
            break
        model.move_on()
        query["page"] = page["next_page"]
    assert sorted(seen) == in_force
