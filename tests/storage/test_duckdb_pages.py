"""Pages far into a list, and totals, against all of it in order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.analytics.plan import STORABLE, ListPlan, Span
from tallybook.analytics.query import Condition, Dimension
from tallybook.core.time_window import DAY_US, HOUR_US, TimeWindow
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tests.storage.facts import JAN_1, DuckBook, Fact

EVENTS, DAYS, LIMIT = 5_000, 10, 50
# Some at the same instant, some days empty; every user is also the end user of somebody else but the one named `only`.
FACTS = f"""
    INSERT INTO facts (org_id, uid, revision, seq, occurred_at, recorded_at, recorded_by, source, event_id, kind,
        user_id, external_user_id, batch, background, stream, pricing, known_cost)
    SELECT 'org', uuid(), 1, 1, day * {DAY_US} + hash(n) % 5 * 3600000000 + n % 400, n, 'key', '', 'event-' || n,
        'completion', CASE WHEN n % 3 = 0 THEN 'only' ELSE 'ana' END, CASE WHEN n % 4 = 0 THEN 'ana' END,
        false, false, false, 'free', 0
    FROM (SELECT n, hash(n, 'day') % {DAYS} AS day FROM range({EVENTS}) AS numbers (n)) WHERE day <> 4
"""
VOIDS = """
    INSERT INTO corrections SELECT org_id, uid, 1, NULL, occurred_at, 1, 1, 'id', 'void', 'key', NULL, NULL
    FROM facts WHERE hash(uid) % 20 = 0
"""
COPIES = """
    INSERT INTO superseded SELECT true, false, facts.* EXCLUDE (run) FROM facts SEMI JOIN corrections USING (uid)
"""
ORDERED = """
    SELECT uid::VARCHAR FROM facts
    WHERE uid NOT IN (SELECT uid FROM corrections) AND (user_id = ? OR external_user_id = ?)
    ORDER BY occurred_at DESC, uid DESC
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    opened = DuckEngine(
        tmp_path_factory.mktemp("pages") / "events.duckdb", memory="200MB", threads=1, query_memory="128MB"
    )
    with opened.transaction() as writer:
        writer.execute(FACTS)
        writer.execute(VOIDS)
        writer.execute(COPIES)
    opened.close()
    opened = DuckEngine(opened.path, memory="200MB", threads=1, query_memory="128MB")
    yield opened
    opened.close()


@pytest.mark.parametrize("user", ["ana", "only"])
def test_far_pages_are_those_of_the_list_in_order(engine: DuckEngine, user: str) -> None:
    with engine.reading() as reader:
        ordered = [uid for (uid,) in reader.execute(ORDERED, [user, user]).fetchall()]
    last = len(ordered) - 1
    store = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30))
    for offset in [0, 7, 1_000, *range(1_001, last, 397), last - LIMIT, last - 1, last, last + 1, last + 500]:
        found = store.list_events(plan_of(user, offset))
        assert [event.uid for event in found.events] == ordered[offset : offset + LIMIT + 1], offset
        assert found.total == len(ordered)


def test_a_user_whom_nobody_has_is_an_empty_list(engine: DuckEngine) -> None:
    store = DuckUsageStore(engine, Limits(1, 1, timeout_seconds=30))
    for offset in (0, 2_000):
        found = store.list_events(plan_of("nobody", offset))
        assert (list(found.events), found.total) == ([], 0)


@pytest.mark.parametrize("with_voided", [False, True])
def test_the_first_page_again_is_that_of_a_store_that_remembers_nothing(tmp_path: Path, with_voided: bool) -> None:
    book = DuckBook(tmp_path)
    facts = [
        Fact(number, occurred_at=JAN_1 + number // 2 * HOUR_US, set={"user_id": "ana" if number % 3 else "bob"})
        for number in range(200)
    ]
    plans = [
        ListPlan(
            Span(("org",), STORABLE, with_voided=with_voided),
            None,
            conditions,
            (),
            (),
            (),
            None,
            limit,
            wanted=("model",),
        )
        for limit in (1, 5, 30)
        for conditions in ((), (Condition((Dimension.USER_ID,), ("ana",)),))
    ]

    def shown_again() -> None:
        for plan in plans:
            assert book.store.list_events(plan) == forgetful.list_events(plan)
            assert book.store.list_events(plan) == forgetful.list_events(plan)

    try:
        book.record(*facts[:60])
        for turn in range(16):
            forgetful = DuckUsageStore(book.engine, Limits(1, 1, timeout_seconds=30))
            shown_again()
            book.record(*facts[60 + 8 * turn : 68 + 8 * turn : 2])
            if turn >= 4:
                book.record(*facts[29 + 8 * turn : 37 + 8 * turn : 2])  # late
            book.void(facts[56 + 8 * turn])
            if turn % 3 == 0:
                book.restore(facts[56 + 8 * turn])
            if turn % 5 == 0:
                book.amend(facts[58 + 8 * turn], set={"user_id": "bob"})
        shown_again()
    finally:
        book.close()


def test_a_first_page_is_searched_again_when_it_is_gone_or_far_away(tmp_path: Path) -> None:
    book = DuckBook(tmp_path)
    facts = [Fact(number, occurred_at=JAN_1 + number * HOUR_US) for number in range(200)]
    plan = ListPlan(Span(("org",), STORABLE), None, (), (), (), (), None, limit=5)

    def shown() -> list[str]:
        return [event.event_id for event in book.store.list_events(plan).events]

    try:
        book.record(*facts[:100])
        assert shown() == [fact.id for fact in facts[99:93:-1]]
        book.void(facts[97])
        assert shown() == [facts[number].id for number in (99, 98, 96, 95, 94, 93)]
        book.record(*facts[100:])
        assert shown() == [fact.id for fact in facts[199:193:-1]]
    finally:
        book.close()


def plan_of(user: str, offset: int) -> ListPlan:
    either = Condition((Dimension.USER_ID, Dimension.EXTERNAL_USER_ID), (user,))
    span = Span(("org",), TimeWindow(0, (DAYS + 1) * DAY_US))
    return ListPlan(span, None, (either,), (), (), (), None, LIMIT, offset, with_total=True)
