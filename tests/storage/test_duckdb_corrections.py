"""Corrections in the DuckDB engine: claims, once-ness, and what outlives a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallybook.core.errors import Conflict, NotFound
from tallybook.core.ids import uid_text
from tallybook.core.unit_of_work import Repeat, RepeatedWithOtherBody
from tallybook.corrections.errors import Overtaken
from tallybook.corrections.model import Action, Change
from tallybook.corrections.store import Entry, Purge
from tallybook.metering.event import Submission, UsageEvent
from tallybook.storage.duckdb.corrections import DuckCorrections
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore
from tests.admin_rooms import StillClock
from tests.submissions import Submitter

CLOCK = StillClock()
SUBMIT = Submitter(CLOCK)
REPEAT = Repeat("org", "key", "POST", "/", "k", Repeat.hash_of(b"body"))


class Book:
    def __init__(self, folder: Path) -> None:
        self.engine = DuckEngine(folder / "events.duckdb", memory="200MB", threads=1, query_memory="128MB")
        self.events = DuckEventStore(self.engine, CLOCK, wal_bytes_max=10**9, disk_reserve_bytes=0)
        self.corrections = DuckCorrections(self.engine, self.events)

    def stored(self) -> Submission:
        submission = SUBMIT(UsageEvent(id=f"event-{self.events.newest_seq}", usage={"input_tokens": 5}))
        self.events.append([submission])
        return submission

    def revisions(self, row: Submission) -> list[int]:
        return [event.revision for event in self.corrections.history("org", uid_text(row.uid))[0]]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    opened = Book(tmp_path)
    yield opened
    opened.events.close()


def change(row: Submission, ended: int | None, begun: int | None, id: str = "cor_1", **fields: Any) -> Change:
    return Change(
        org_id="org",
        uid=row.uid,
        occurred_at_us=row.occurred_at_us,
        superseded=ended,
        replacement=begun,
        row=None if begun is None else row,
        before=row,
        id=id,
        action=Action.AMEND,
        actor="key",
        reason=None,
        **fields,
    )


def entry(wanted: Change, repeat: Repeat | None = None, outcome: Any = None) -> Entry:
    return Entry(wanted, repeat, outcome or {"id": wanted.id})


def test_of_those_that_end_a_revision_one_stands(book: Book) -> None:
    row = book.stored()
    amending, voiding = change(row, 1, 2, "cor_a"), change(row, 1, None, "cor_b")
    answers = book.corrections.commit([entry(amending), entry(voiding)])
    assert answers[0] == {"id": "cor_a"}
    assert isinstance(answers[1], Overtaken)
    (later,) = book.corrections.commit([entry(change(row, 1, None, "cor_c"))])
    assert isinstance(later, Overtaken)
    assert book.revisions(row) == [1, 2]


def test_two_restores_begin_one_revision(book: Book) -> None:
    row = book.stored()
    book.corrections.commit([entry(change(row, 1, None, "cor_a"))])
    restores = [entry(change(row, None, 2, id)) for id in ("cor_b", "cor_c")]
    assert [isinstance(answer, Overtaken) for answer in book.corrections.commit(restores)] == [False, True]
    assert book.revisions(row) == [1, 2]


def test_a_change_that_is_delivered_again_is_there_once(book: Book) -> None:
    row = book.stored()
    for _ in range(2):
        assert book.corrections.commit([entry(change(row, 1, 2, refund_id="txn_1"))]) == [{"id": "cor_1"}]
    events, corrections = book.corrections.history("org", uid_text(row.uid))
    assert ([event.revision for event in events], [each.refund_id for each in corrections]) == ([1, 2], ["txn_1"])


def test_a_repeat_is_answered_with_the_first_outcome_or_refusal(book: Book, tmp_path: Path) -> None:
    row = book.stored()
    other = msgspec.structs.replace(row, uid=book.stored().uid)
    refusal = Conflict("no", {"uid": "u"})
    refused = Repeat("org", "key", "POST", "/", "refused", Repeat.hash_of(b"body"))
    first, second, said = book.corrections.commit(
        [entry(change(row, 1, 2), REPEAT), entry(change(other, 1, 2), REPEAT), Entry(None, refused, refusal)]
    )
    assert first == second == {"id": "cor_1"}
    assert book.revisions(other) == [1]
    book.events.close()
    again = Book(tmp_path)
    assert again.corrections.commit([Entry(None, refused, NotFound("other"))]) == [said]
    foreign = Repeat("org", "key", "POST", "/", "k", Repeat.hash_of(b"another"))
    (answer,) = again.corrections.commit([entry(change(other, 1, 2), foreign)])
    assert isinstance(answer, RepeatedWithOtherBody)
    book.engine, book.events, book.corrections = again.engine, again.events, again.corrections


def test_what_is_no_refusal_is_not_kept(book: Book) -> None:
    for _ in range(2):
        (answer,) = book.corrections.commit([Entry(None, REPEAT, NotFound("none"))])
        assert isinstance(answer, NotFound)
    (done,) = book.corrections.commit([entry(change(book.stored(), 1, 2), REPEAT)])
    assert done == {"id": "cor_1"}


def test_old_outcomes_are_forgotten(book: Book) -> None:
    row = book.stored()
    book.corrections.commit([entry(change(row, 1, 2), REPEAT)])
    assert book.corrections.commit([Purge(CLOCK.now_us())]) == [{"purged": 0}]
    assert book.corrections.commit([Purge(CLOCK.now_us() + 1)]) == [{"purged": 1}]
    (answer,) = book.corrections.commit([entry(change(row, 1, None, "cor_2"), REPEAT)])
    assert isinstance(answer, Overtaken)


def test_commits_are_numbered_in_one_row_with_those_of_events(book: Book, tmp_path: Path) -> None:
    row = book.stored()
    book.corrections.commit([entry(change(row, 1, 2))])
    book.corrections.commit([Entry(None, REPEAT, {"id": "x"})])  # an outcome alone takes no number
    assert book.events.newest_seq == 2
    book.stored()
    assert book.events.newest_seq == 3
    _, (correction,) = book.corrections.history("org", uid_text(row.uid))
    assert (correction.seq, correction.recorded_at_us) == (2, CLOCK.now_us())
