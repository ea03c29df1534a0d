"""Keys in generations: once-ness holds wherever the first one stands, at every moment between."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import duckdb
import pytest

from tallybook.analytics.plan import STORABLE, ListPlan, Span
from tallybook.core.errors import Overloaded, StorageFull
from tallybook.metering.event import Outcome, Status
from tallybook.storage.duckdb import arrivals, key_filters, key_generations
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tallybook.storage.duckdb.key_filters import Generations, KeyFilters
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.sealing import Sealer
from tests.admin_rooms import StillClock
from tests.conftest import LONG
from tests.storage.suites.event_store import told
from tests.submissions import Submitter

RUN = 32
GENERATION = 4 * RUN
STEPS = 2_000 if LONG else 80


class Shelf:
    """A store whose keys become a generation at every `GENERATION`."""

    def __init__(self, path: Path) -> None:
        self.submit = Submitter(StillClock())
        self.engine = DuckEngine(path, memory="500MB", threads=2, query_memory="128MB")
        self.store = DuckEventStore(self.engine, StillClock(), wal_bytes_max=2**20, disk_reserve_bytes=0)
        self.sealer = Sealer(self.engine, rows=RUN)

    def append(self, numbers: list[int], **fields: object) -> list[Outcome]:
        return self.store.append([self.submit(told(number, **fields)) for number in numbers])

    def statuses(self, numbers: list[int]) -> list[Status]:
        return [outcome.status for outcome in self.append(numbers)]

    def seal(self) -> None:
        for _ in range(50):
            if not self.sealer.seal():
                return
        raise AssertionError("there is no end of runs and generations")

    def reopened(self) -> "Shelf":
        self.store.close()
        return Shelf(self.engine.path)

    def counted(self) -> tuple[int, int, int, int]:
        """Keys, different ones, those under the primary key, generations."""
        with self.engine.reading() as reader:
            ((different, newest, generations),) = reader.execute(
                "SELECT (SELECT count(DISTINCT key) FROM all_keys), (SELECT count(*) FROM keys),"
                " (SELECT count(*) FROM key_generations)"
            ).fetchall()
            return key_generations.count(reader), different, newest, generations


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(tmp_path / "events.duckdb")
    yield opened
    opened.store.close()


def test_repeats_are_found_wherever_the_first_stands(tmp_path: Path) -> None:
    """Random batches with repeats of themselves and of all that came before, generations and openings between."""
    rng = random.Random(20261128)
    shelf = Shelf(tmp_path / "events.duckdb")
    stored: set[int] = set()
    for _ in range(STEPS):
        numbers = [rng.randrange(len(stored) + 200) for _ in range(rng.choice([1, 5, 40, 120]))]
        seen = set(stored)
        expected = []
        for number in numbers:
            expected.append(Status.DUPLICATE if number in seen else Status.INSERTED)
            seen.add(number)
        assert shelf.statuses(numbers) == expected
        stored = seen
        if rng.random() < 0.3:
            shelf.seal()
        if rng.random() < 0.05:
            shelf = shelf.reopened()
    shelf.seal()
    assert shelf.statuses([]) == []
    count, different, newest, generations = shelf.counted()
    assert count == different == len(stored)
    assert newest < GENERATION
    assert generations > 3
    shelf.store.close()


def test_another_content_under_an_older_key_is_a_conflict(shelf: Shelf) -> None:
    shelf.append(list(range(GENERATION)))
    shelf.seal()
    first, fresh, second = shelf.append([3, GENERATION, GENERATION - 1], model="another")
    assert [first.status, fresh.status, second.status] == [Status.CONFLICT, Status.INSERTED, Status.CONFLICT]
    assert first.stored is not None
    with arrivals.reading(shelf.engine) as reader:
        ((uid,),) = reader.execute("SELECT uid FROM facts WHERE event_id = 'event-3'").fetchall()
    assert first.stored.uid == uid.bytes


def test_keys_that_stand_in_both_places_count_once(shelf: Shelf) -> None:
    shelf.append(list(range(GENERATION)))
    shelf.seal()
    assert shelf.counted() == (GENERATION, GENERATION, GENERATION, 1)
    shelf = shelf.reopened()
    assert shelf.counted() == (GENERATION, GENERATION, 0, 1)
    assert set(shelf.statuses(list(range(GENERATION)))) == {Status.DUPLICATE}
    shelf.store.close()


def test_keys_do_not_wait_for_facts(shelf: Shelf) -> None:
    """Which may come faster than they are put in order."""
    shelf.append(list(range(10 * GENERATION)))
    shelf.sealer.seal()
    *_, generations = shelf.counted()
    assert generations == 1


def test_keys_begin_anew_at_rest(shelf: Shelf) -> None:
    shelf.append(list(range(GENERATION)))
    shelf.seal()
    shelf.store.maintain()
    assert shelf.counted() == (GENERATION, GENERATION, 0, 1)
    assert shelf.engine.key_filters.known == 1


def test_ids_lead_to_their_events_wherever_the_key_stands(shelf: Shelf) -> None:
    def found(number: int) -> list[str]:
        named = ListPlan(Span(("org",), STORABLE), None, (), (f"event-{number}",), ("",), (), None, 5)
        requested = replace(named, ids=(), sources=(), request_ids=(f"event-{number}",))
        usage = DuckUsageStore(shelf.engine, Limits(1, 1, timeout_seconds=30))
        first, second = ([event.event_id for event in usage.list_events(plan).events] for plan in (named, requested))
        assert first == second
        return first

    def all_found(count: int) -> None:
        for number in (0, count - 1):
            assert found(number) == [f"event-{number}"]
        assert found(count) == []

    shelf.append(list(range(GENERATION)))
    all_found(GENERATION)
    shelf.seal()
    all_found(GENERATION)
    shelf.append([GENERATION])
    all_found(GENERATION + 1)
    known, shelf.engine.key_filters = shelf.engine.key_filters, KeyFilters()  # as right before the filter is known
    all_found(GENERATION + 1)
    shelf.engine.key_filters = known


def test_a_full_disk_puts_the_turn_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path / "events.duckdb")
    shelf.append(list(range(GENERATION)))
    shelf.seal()

    def full(*_: object) -> None:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr(key_generations, "begin_anew", full)
        with pytest.raises(StorageFull):
            shelf.append([0])
        shelf = shelf.reopened()
        assert shelf.store.newest_seq == 1
    shelf.seal()  # adds no second generation of the same keys
    assert shelf.counted() == (GENERATION, GENERATION, GENERATION, 1)
    assert shelf.statuses([0, GENERATION]) == [Status.DUPLICATE, Status.INSERTED]
    assert shelf.counted() == (GENERATION + 1, GENERATION + 1, 1, 1)
    shelf.store.close()


def test_keys_stay_until_their_filter_is_there(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.append(list(range(GENERATION)))
    shelf.seal()

    def reopening(*_: object) -> None:
        raise Overloaded("the file is being reopened")

    with monkeypatch.context() as patch:
        patch.setattr(key_generations, "filters", reopening)
        with pytest.raises(Overloaded):
            shelf.append([0])
    assert shelf.counted() == (GENERATION, GENERATION, GENERATION, 1)
    assert shelf.statuses([0]) == [Status.DUPLICATE]


def test_a_long_read_holds_up_no_commit(shelf: Shelf) -> None:
    """While one that began before is under way, DuckDB refuses a checkpoint after the keys began anew."""
    shelf.append(list(range(GENERATION)))
    shelf.seal()
    with shelf.engine.reading():
        shelf.store.maintain()
        shelf.engine.checkpoint()
        assert shelf.engine.wal_bytes > 0
        assert shelf.statuses([0, GENERATION]) == [Status.DUPLICATE, Status.INSERTED]
    shelf.engine.checkpoint()
    assert shelf.engine.wal_bytes == 0


def test_what_passes_a_filter_wrongly_is_asked_for(shelf: Shelf) -> None:
    shelf.append(list(range(GENERATION)))
    shelf.seal()
    with shelf.engine.transaction() as writer:
        writer.execute("UPDATE key_filters SET bits = ?", [b"\xff" * (key_filters.size_of(GENERATION) // 8)])
    for some in (1, 200):
        first = GENERATION + some
        assert shelf.statuses([0, *range(first, first + some)]) == [Status.DUPLICATE, *[Status.INSERTED] * some]


def test_a_filter_knows_its_own_and_few_others(shelf: Shelf) -> None:
    own = [uuid4().bytes for _ in range(5_000)]
    with shelf.engine.reading() as reader:
        reader.execute("CREATE TEMP TABLE own AS SELECT unnest(?::UUID[]) AS key", [[UUID(bytes=key) for key in own]])
        ((bits,),) = reader.execute(key_filters.bits_sql(key_filters.size_of(5_000), "SELECT key FROM own")).fetchall()
    filters = KeyFilters()
    filters.take([(Generations(5, 7), bits), (Generations(8, 8), bytes(len(bits)))], known=8)
    assert filters.places(own) == (8, {Generations(5, 7): own})
    assert len(filters.places([uuid4().bytes for _ in range(50_000)]).generations.get(Generations(5, 7), [])) < 20


def test_every_fourth_generation_shares_a_filter_with_those_before(shelf: Shelf) -> None:
    for number in range(6):
        shelf.append(list(range(number * GENERATION, (number + 1) * GENERATION)))
        shelf.seal()
        shelf.store.maintain()
    with shelf.engine.reading() as reader:
        places = [place for place, _ in key_generations.filters(reader, 0, 6)]
        assert places == [(1, 4), (5, 5), (6, 6)]
        # The shared one may be there before all of its generations are known to be.
        assert [place for place, _ in key_generations.filters(reader, 2, 3)] == [(1, 4)]
    shelf = shelf.reopened()
    for first in range(0, 6 * GENERATION, GENERATION):
        assert set(shelf.statuses(list(range(first, first + GENERATION)))) == {Status.DUPLICATE}
    assert shelf.statuses([6 * GENERATION]) == [Status.INSERTED]
    shelf.store.close()


def test_no_filter_is_shared_by_more_keys_than_it_tells(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_filters, "KEYS_MAX", 3 * GENERATION)
    for number in range(4):
        shelf.append(list(range(number * GENERATION, (number + 1) * GENERATION)))
        shelf.seal()
        shelf.store.maintain()
    with shelf.engine.reading() as reader:
        assert [place for place, _ in key_generations.filters(reader, 0, 4)] == [(n, n) for n in (1, 2, 3, 4)]
    assert shelf.statuses([0, GENERATION, 4 * GENERATION]) == [Status.DUPLICATE] * 2 + [Status.INSERTED]


def test_a_generation_of_many_keys_has_a_large_filter(shelf: Shelf) -> None:
    """As after runs were made smaller, or sealing fell behind."""
    shelf.append(list(range(10 * GENERATION + 1)))
    shelf.seal()
    shelf.store.maintain()
    others = [uuid4().bytes for _ in range(10_000)]
    assert len(shelf.engine.key_filters.places(others).generations.get(Generations(1, 1), [])) < 20


def test_a_filter_is_never_larger_than_duckdb_makes_one() -> None:
    bits = key_filters.bits_sql(key_filters.size_of(10**9), "SELECT uuid() AS key")
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT octet_length(({bits}))").fetchall() == [(10**9 // 8,)]
