"""Random corrections against a plain model: after each step every report agrees with it, and so do earlier instants."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallybook.data_folder import open_data_folder
from tallybook.settings import Settings
from tallybook.wiring import Tallybook, build
from tests.admin_rooms import ADMIN_KEY, AppClient, StillClock
from tests.conftest import LONG

DIMENSIONS = ("model", "user_id", "team_id")
MEASURES = ("events", "requests", "input_tokens", "peak_memory_mib", "sessions", "cost_usd", "unpriced_events")
PRICED, LATE = "priced", "late"
USD_PER_TOKEN = Decimal("0.000001")
CHARGE = 9
"""Credits of the debit behind each paid event."""

ORGS = map("org-{}".format, count())

fields = st.fixed_dictionaries(
    {
        "model": st.sampled_from([PRICED, LATE]),
        "user_id": st.sampled_from(["ana", "bob"]),
        "team_id": st.none() | st.sampled_from(["x", "y"]),
        "session_id": st.none() | st.sampled_from(["s", "t"]),
        "cost_usd": st.none() | st.sampled_from(["0.5", "2"]),
        "usage": st.fixed_dictionaries(
            {"input_tokens": st.integers(1, 999), "requests": st.integers(1, 3), "peak_memory_mib": st.integers(0, 9)}
        ),
    }
)
steps = st.lists(
    st.tuples(st.sampled_from(["amend", "void", "restore", "refund", "reprice", "undo"]), st.integers(0, 9), fields),
    min_size=3,
    max_size=8,
)


@dataclass(frozen=True)
class Event:
    """An event as the model has it. `cost` is what it is rated as; a price of `LATE` is known only once it is put."""

    uid: str
    told: dict[str, Any]
    cost: Decimal | None
    paid: bool
    revision: int = 1
    voided: bool = False
    history: tuple[tuple[str, int | None, int | None], ...] = ()

    def corrected(self, action: str, **changes: Any) -> "Event":
        after = replace(self, **changes)
        ended = None if self.voided else self.revision
        begun = None if after.voided else after.revision
        return replace(after, history=(*self.history, (action, ended, begun)))


@dataclass
class Model:
    call: AppClient
    clock: StillClock
    org: str
    late_is_priced: bool = False
    events: list[Event] = field(default_factory=list)
    balance: Decimal = Decimal(1000)
    repriced: tuple[str, list[tuple[int, Event]]] | None = None

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = self.call(method, path, headers={"X-Org-Id": self.org}, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def begin(self, told: Sequence[tuple[dict[str, Any], bool]]) -> None:
        self.call("POST", "/v1/orgs", json={"id": self.org, "name": self.org})
        self.put_price(PRICED)
        account = self.ask("POST", "/v1/accounts/create", json={"name": "a"})["account"]["id"]
        self.account = account
        self.ask("POST", "/v1/accounts/credits/add", json={"accountId": account, "amount": 1000})
        for content, paid in told:
            sent = {name: value for name, value in content.items() if value is not None}
            if paid:
                debit = {"accountId": account, "amount": CHARGE}
                sent["transaction_id"] = self.ask("POST", "/v1/accounts/credits/deduct", json=debit)["transactionId"]
                self.balance -= CHARGE
            (result,) = self.ask("POST", "/v1/events", json=sent)["results"]
            self.events.append(Event(result["uid"], content, self.rated(content), paid))

    def put_price(self, model: str) -> None:
        rates = {"input_tokens": {"per": 1, "usd": str(USD_PER_TOKEN)}}
        price = {"model": model, "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
        self.ask("PUT", "/v1/prices", 201, json=price)

    def rated(self, told: dict[str, Any]) -> Decimal | None:
        if told["cost_usd"] is not None:
            return Decimal(told["cost_usd"])
        if told["model"] == LATE and not self.late_is_priced:
            return None
        tokens: int = told["usage"]["input_tokens"]
        return tokens * USD_PER_TOKEN

    def step(self, what: str, number: int, content: dict[str, Any]) -> None:
        self.clock.now += 1_000_000
        place = number % len(self.events)
        match what:
            case "amend":
                self.amend(place, content)
            case "void" | "restore":
                self.turn(place, what)
            case "refund":
                self.refund(place)
            case "reprice":
                self.reprice()
            case "undo":
                self.undo()

    def correct(self, event: Event, what: str, **body: Any) -> Any:
        return self.call(
            "POST",
            f"/v1/events/{event.uid}/{what}",
            json={"expected_revision": event.revision, **body},
            headers={"X-Org-Id": self.org},
        )

    def amend(self, place: int, content: dict[str, Any]) -> None:
        event = self.events[place]
        answer = self.correct(event, "amend", set=content)
        assert answer.status_code == (409 if event.voided else 200), answer.text
        if not event.voided:
            changes = {"told": content, "cost": self.rated(content), "revision": event.revision + 1}
            self.events[place] = event.corrected("amend", **changes)

    def turn(self, place: int, what: str) -> None:
        event = self.events[place]
        possible = event.voided == (what == "restore")
        answer = self.correct(event, what)
        assert answer.status_code == (200 if possible else 409), answer.text
        if possible:
            revision = event.revision + (what == "restore")
            self.events[place] = event.corrected(what, voided=what == "void", revision=revision)

    def refund(self, place: int) -> None:
        """The only usage of its transaction: a void gives back all that is left."""
        event = self.events[place]
        answer = self.correct(event, "void", refund=True)
        if event.voided:
            assert answer.status_code == 409, answer.text
        elif not event.paid:
            assert answer.status_code == 422, answer.text
        elif answer.status_code == 409:
            assert answer.json()["code"] == "nothing_to_refund"
            assert ("void", "refunded") in [(action, "refunded") for action, *_ in event.history]
        else:
            assert answer.json()["correction"]["refund"]["credits"] == str(CHARGE)
            self.balance += CHARGE
            self.events[place] = event.corrected("void", voided=True)

    def reprice(self) -> None:
        if not self.late_is_priced:
            self.put_price(LATE)
            self.late_is_priced = True
        done = self.ask("POST", "/v1/events/reprice", json={})
        before = [(place, event) for place, event in enumerate(self.events) if not event.voided and event.cost is None]
        assert done["changed"] == len(before)
        for place, event in before:
            changes = {"cost": self.rated(event.told), "revision": event.revision + 1}
            self.events[place] = event.corrected("reprice", **changes)
        self.repriced = (done["correction_id"], before) if before else None

    def undo(self) -> None:
        if self.repriced is None:
            return
        correction_id, before = self.repriced
        done = self.ask("POST", f"/v1/corrections/{correction_id}/undo", json={})
        undone = 0
        for place, was in before:
            event = self.events[place]
            if not event.voided and event.revision == was.revision + 1:
                self.events[place] = event.corrected("undo", cost=was.cost, told=was.told, revision=event.revision + 1)
                undone += 1
        assert done["changed"] == undone
        self.repriced = None

    def report(self, group_by: Sequence[str], **query: str) -> list[dict[str, Any]]:
        asked = {"start": "2020-01-01T00:00:00Z", "end": "2030-01-01T00:00:00Z", "bucket": "all", **query}
        params = [*asked.items(), ("measures", ",".join(MEASURES)), ("group_by", ",".join(group_by))]
        rows: list[dict[str, Any]] = self.ask("GET", "/v1/usage/query", params=params)["data"][0]["results"]
        return rows

    def expected(self, group_by: Sequence[str]) -> list[dict[str, Any]]:
        groups: dict[tuple[Any, ...], list[Event]] = {}
        for event in self.events:
            if not event.voided:
                groups.setdefault(tuple(event.told[name] for name in group_by), []).append(event)
        return [{**_numbers(events), **dict(zip(group_by, group, strict=True))} for group, events in groups.items()]

    def listed(self) -> set[tuple[str, int]]:
        found = self.ask("GET", "/v1/events", params={"limit": "1000"})["data"]
        assert len(found) == len({event["uid"] for event in found})
        return {(event["uid"], event["revision"]) for event in found}

    def check(self, group_by: Sequence[str]) -> None:
        assert _sorted(self.report(group_by)) == _sorted(self.expected(group_by))
        assert self.listed() == {(event.uid, event.revision) for event in self.events if not event.voided}

    def check_history(self) -> None:
        for event in self.events:
            found = self.ask("GET", f"/v1/events/{event.uid}/explain")
            told = [(each["action"], each["superseded"], each["replacement"]) for each in found["corrections"]]
            assert told == list(event.history)
            assert [each["revision"] for each in found["revisions"]] == list(range(1, event.revision + 1))
        balance = self.ask("GET", "/v1/accounts/balance", params={"accountId": self.account})["balance"]
        assert balance == self.balance
        assert self.ask("GET", "/v1/verify")["difference"] is None


def _numbers(events: Sequence[Event]) -> dict[str, Any]:
    usages = [event.told["usage"] for event in events]
    sessions = [event.told["session_id"] for event in events]
    cost = sum((event.cost for event in events if event.cost is not None), Decimal(0))
    return {
        "events": len(events),
        "requests": sum(usage["requests"] for usage in usages),
        "input_tokens": sum(usage["input_tokens"] for usage in usages),
        "peak_memory_mib": max(usage["peak_memory_mib"] for usage in usages),
        "sessions": len({each for each in sessions if each is not None}) + sessions.count(None),
        "cost_usd": cost,
        "unpriced_events": sum(event.cost is None for event in events),
    }


def _sorted(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    exact = [{**row, "cost_usd": Decimal(row["cost_usd"])} for row in rows]
    return sorted(exact, key=lambda row: [str(row.get(name)) for name in DIMENSIONS])


@pytest.fixture(scope="module")
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, clock: StillClock) -> Iterator[Tallybook]:
    folder: Path = tmp_path_factory.mktemp("corrections")
    wanted: dict[str, Any] = {"data_dir": folder, "admin_key": ADMIN_KEY, "price_catalogue": False}
    built = build(open_data_folder(Settings(**wanted), clock))
    yield built
    built.close()


@pytest.fixture(scope="module")
def call(app: Tallybook) -> Iterator[AppClient]:
    with asyncio.Runner() as runner:
        yield AppClient(app.app, runner)


@settings(
    max_examples=200 if LONG else 5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    told=st.lists(st.tuples(fields, st.booleans()), min_size=2, max_size=5),
    steps=steps,
    groupings=st.lists(st.lists(st.sampled_from(DIMENSIONS), unique=True), min_size=8, max_size=8),
)
def test_every_report_is_that_of_the_model(
    call: AppClient,
    clock: StillClock,
    told: list[tuple[dict[str, Any], bool]],
    steps: list[tuple[str, int, dict[str, Any]]],
    groupings: list[list[str]],
) -> None:
    model = Model(call, clock, next(ORGS))
    clock.now += 1_000_000
    model.begin(told)
    known: list[tuple[str, list[str], list[dict[str, Any]]]] = []
    for (what, number, content), group_by in zip(steps, groupings, strict=False):
        model.check(group_by)
        known.append((f"{clock.now // 1_000_000}", group_by, model.expected(group_by)))
        model.step(what, number, content)
    model.check(groupings[0])
    for instant, group_by, expected in known:
        assert _sorted(model.report(group_by, as_of=instant)) == _sorted(expected)
    model.check_history()
