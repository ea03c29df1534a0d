"""Usage queries against a plain model: random facts, corrections, windows, groupings, filters and `as_of`."""

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallybook.analytics.answer import Group, Numbers
from tallybook.analytics.query import Condition, Dimension, Reach, UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.core.paging import Cursors
from tallybook.core.time_window import DAY_US, HOUR_US, Bucket, TimeWindow, bucket_rule
from tests.admin_rooms import StillClock
from tests.conftest import LONG
from tests.storage.facts import JAN_1, DuckBook, Fact

START = JAN_1 + 86 * DAY_US  # 2026-03-28: Europe changes its clocks on the 29th
ADDED_UP = ("requests", "input_tokens", "audio_seconds")
MEASURES = (*ADDED_UP, "peak_memory_mib")
MONEY = ("cost_usd", "known_cost_usd", "unpriced_requests")
DIMENSIONS = (Dimension.MODEL, Dimension.USER_ID, Dimension.BATCH, Dimension.KIND)

Table = dict[int, dict[Group, Numbers]]
"""Rows by the start of their bucket and their group."""

counts = st.none() | st.integers(0, 2**53 - 1)
contents = st.fixed_dictionaries(
    {
        "model": st.sampled_from([None, "a", "b"]),
        "user_id": st.sampled_from([None, "ana", "bob"]),
        "external_user_id": st.sampled_from([None, "ana", "eve"]),
        "batch": st.booleans(),
        "requests": st.none() | st.integers(0, 9),
        **dict.fromkeys(MEASURES[1:], counts),
    }
)
costs = st.none() | st.integers(0, 9 * 10**18)
changes = st.lists(st.tuples(st.sampled_from(["amend", "void", "restore"]), st.integers(0, 30), contents, costs))


@dataclass(frozen=True)
class Told:
    """A revision and when it was recorded; `ended_at` when a correction named it."""

    fact: Fact
    recorded_at: int
    ended_at: int | None = None

    def holds(self, as_of: int | None) -> bool:
        if as_of is None:
            return self.ended_at is None
        return self.recorded_at <= as_of and (self.ended_at is None or as_of < self.ended_at)


class Model:
    """Drives a book and remembers every revision."""

    def __init__(self, book: DuckBook) -> None:
        self._book = book
        self.told: list[Told] = []
        self._newest: dict[int, int] = {}

    def record(self, facts: Sequence[Fact]) -> None:
        self._book.record(*facts)
        for fact in facts:
            self._add(len(self._newest), fact)

    def change(self, how: str, number: int, content: dict[str, Any], cost: int | None) -> None:
        number %= len(self._newest)
        place = self._newest[number]
        newest = self.told[place]
        if (how == "restore") != (newest.ended_at is not None):
            return
        match how:
            case "amend":
                self._add(number, self._book.amend(newest.fact, set=content, cost=cost))
            case "void":
                self._book.void(newest.fact)
            case "restore":
                self._add(number, self._book.restore(newest.fact))
        if how != "restore":
            self.told[place] = Told(newest.fact, newest.recorded_at, ended_at=self._book.recorded_at)

    def _add(self, number: int, fact: Fact) -> None:
        self._newest[number] = len(self.told)
        self.told.append(Told(fact, self._book.recorded_at))

    def answer(self, query: UsageQuery, window: TimeWindow, edges: Sequence[int]) -> Table:
        groups: dict[int, dict[Group, list[Fact]]] = {}
        for told in self.told:
            fact = told.fact
            in_window = window.start_us <= fact.occurred_at < window.end_us
            if in_window and told.holds(query.as_of_us) and all(_meets(fact, each) for each in query.conditions):
                start = max(window.start_us, edges[bisect_right(edges, fact.occurred_at) - 1])
                group = tuple(_value(fact, dimension) for dimension in query.group_by)
                groups.setdefault(start, {}).setdefault(group, []).append(fact)
        return {
            start: {group: tuple(_number(name, facts) for name in query.measures) for group, facts in rows.items()}
            for start, rows in groups.items()
        }


def _value(fact: Fact, dimension: str) -> Any:
    return fact.kind if dimension == "kind" else fact.set[dimension]


def _meets(fact: Fact, condition: Condition) -> bool:
    return any(_value(fact, dimension) in condition.values for dimension in condition.dimensions)


def _number(name: str, facts: Sequence[Fact]) -> int | None:
    requests = [1 if fact.set["requests"] is None else fact.set["requests"] for fact in facts]
    match name:
        case "requests":
            return sum(requests)
        case "unpriced_requests":
            return sum(count for fact, count in zip(facts, requests, strict=True) if fact.cost is None)
        case "cost_usd":
            return sum(fact.cost or 0 for fact in facts)
        case "known_cost_usd":
            return sum(fact.known_cost if fact.cost is None else fact.cost for fact in facts)
        case "peak_memory_mib":
            return max((fact.set[name] for fact in facts if fact.set[name] is not None), default=None)
    return sum(fact.set[name] or 0 for fact in facts)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckBook]:
    opened = DuckBook(tmp_path_factory.mktemp("model"))
    yield opened
    opened.close()


ORGS = map("org-{}".format, itertools.count())
UIDS = itertools.count(1)


@settings(
    max_examples=400 if LONG else 30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_answer_is_that_of_the_model(book: DuckBook, data: st.DataObject) -> None:
    # Earlier examples stay in the store under other orgs, most of the time: they must not show.
    if book.volumes > 6:
        book.empty()
    org = next(ORGS)
    facts = [
        Fact(
            next(UIDS),
            org,
            occurred_at=START + hours * HOUR_US // 2,
            kind=kind,
            cost=cost,
            known_cost=3,
            set=content,
        )
        for hours, kind, cost, content in data.draw(
            st.lists(
                st.tuples(st.integers(0, 200), st.sampled_from(["completion", "image"]), costs, contents),
                min_size=1,
                max_size=20,
            )
        )
    ]
    asked = data.draw(st.lists(queries(org), min_size=4, max_size=4))
    first_seq = book.seq
    model = Model(book)
    # Asked again and again, also a little later, while more is recorded and corrected: some of it is remembered.
    for some in (facts[::2], facts[1::2], []):
        model.record(some)
        for change in data.draw(changes):
            model.change(*change)
        for query in asked:
            check(book, model, query)
            check(book, model, moved(query, data.draw(st.integers(0, 3)) * HOUR_US // 2))

    instants = [JAN_1 + 100 * DAY_US + seq * 1_000_000 for seq in range(first_seq, book.seq + 1)]
    for query in asked:
        check(book, model, replace(query, as_of_us=data.draw(st.sampled_from(instants))))


@st.composite
def queries(draw: st.DrawFn, org: str) -> UsageQuery:
    start = START + draw(st.integers(-10, 120)) * HOUR_US // 2
    measures = draw(st.permutations(draw(st.sampled_from([ADDED_UP, MEASURES])) + MONEY))
    return UsageQuery(
        Reach("key", (org,)),
        start,
        start + draw(st.integers(1, 200)) * HOUR_US // 2,
        bucket=draw(st.sampled_from(Bucket)),
        zone=ZoneInfo(draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))),
        group_by=tuple(draw(st.lists(st.sampled_from(DIMENSIONS), unique=True))),
        conditions=tuple(draw(st.lists(_conditions, max_size=2))),
        measures=tuple(measures),
        limit=draw(st.integers(1, 1440)),
    )


def moved(query: UsageQuery, by_us: int) -> UsageQuery:
    return replace(query, start_us=query.start_us + by_us, end_us=query.end_us and query.end_us + by_us)


_conditions = st.one_of(
    st.builds(
        Condition,
        st.just((Dimension.MODEL,)),
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1).map(tuple),
    ),
    st.builds(
        Condition,
        st.just((Dimension.USER_ID, Dimension.EXTERNAL_USER_ID)),
        st.lists(st.sampled_from(["ana", "bob", "eve"]), min_size=1).map(tuple),
    ),
    st.builds(Condition, st.just((Dimension.BATCH,)), st.tuples(st.booleans())),
)


def check(book: DuckBook, model: Model, query: UsageQuery) -> None:
    assert query.end_us is not None
    window = TimeWindow(query.start_us, query.end_us)
    if query.bucket is Bucket.ALL:
        edges = [window.start_us, window.end_us]
    else:
        edges = window.edges(bucket_rule(query.bucket, query.zone), 10**6)
    page = UsageService(book.store, Cursors(b"model"), StillClock(), rows_max=10**6, export_events_max=10**6).query(
        query
    )
    shown = edges[: (query.limit or 0) + 1]
    assert [bucket.window.start_us for bucket in page.buckets] == [window.start_us, *shown[1:-1]]
    assert (page.next_page is None) == (len(shown) == len(edges))
    expected = model.answer(query, TimeWindow(window.start_us, min(window.end_us, shown[-1])), edges)
    found = {
        bucket.window.start_us: {row.group: row.numbers for row in bucket.rows}
        for bucket in page.buckets
        if bucket.rows
    }
    assert found == expected
    for bucket in page.buckets:
        order = [tuple((value is None, "" if value is None else value) for value in row.group) for row in bucket.rows]
        assert order == sorted(order)
