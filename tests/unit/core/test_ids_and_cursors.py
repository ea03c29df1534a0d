"""Ids rise and hashes keep their parts apart; cursors open only what they sealed."""

import hashlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.core.ids import Hasher, UidSource, dated_id, joined, object_id, uid_text
from tallybook.core.paging import BadCursor, Cursors
from tests.admin_rooms import StillClock


def test_dated_ids_stand_in_the_order_of_their_instants() -> None:
    ids = [dated_id("txn", at_us) for at_us in (0, 1, 15, 16, 1_769_860_800_000_000, 4_102_444_800_000_000)]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {len("txn_") + 13 + 24}
    assert dated_id("txn", 7) != dated_id("txn", 7)


def test_uids_are_version_7_and_rise_also_within_a_millisecond() -> None:
    clock = StillClock()
    source = UidSource(clock)
    uids = [uid for _ in range(50) for uid in (*source.take(100), source.one())]
    assert uids == sorted(set(uids))
    for uid in uids[:200]:
        uuid = UUID(bytes=uid)
        assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
        assert uuid.int >> 80 == clock.now_us() // 1000
        assert uid_text(uid) == str(uuid)


def test_uids_rise_when_the_clock_falls() -> None:
    clock = StillClock()
    source = UidSource(clock)
    (before,) = source.take(1)
    clock.now -= 5_000_000
    (after,) = source.take(1)
    assert after > before


def test_hashes_keep_parts_and_domains_apart() -> None:
    assert joined("a-b", "c") != joined("a", "b-c")
    assert Hasher("event")(b"a") != Hasher("request")(b"a")
    assert len(Hasher("event")(b"a")) == 16
    assert Hasher("content", size=15)(b"a") == hashlib.blake2b(b"a", digest_size=15, person=b"content").digest()
    assert object_id("key") != object_id("key")


POSITIONS = st.lists(st.one_of(st.integers(-(2**63), 2**63), st.text(max_size=10)), max_size=5)


@given(st.text(max_size=50), POSITIONS)
def test_a_cursor_opens_to_what_was_sealed(question: str, position: list[int | str]) -> None:
    cursors = Cursors(b"secret")
    cursor = cursors.seal(question, position)
    assert cursor.isascii()
    assert not set(cursor) & set("+/= ")
    assert cursors.open(question, cursor) == position


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é", "a" * 600, "====", "a b"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        Cursors(b"secret").open("question", cursor)


def test_damaged_foreign_and_misplaced_cursors_are_refused() -> None:
    cursors = Cursors(b"secret")
    cursor = cursors.seal("question", [1, "a"])
    for index in range(len(cursor)):
        other = "A" if cursor[index] != "A" else "B"
        with pytest.raises(BadCursor):
            cursors.open("question", cursor[:index] + other + cursor[index + 1 :])
    with pytest.raises(BadCursor):
        cursors.open("another question", cursor)
    with pytest.raises(BadCursor):
        Cursors(b"other").open("question", cursor)
