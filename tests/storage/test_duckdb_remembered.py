"""What a store remembers of questions: for how many of them, and for which reads."""

from tallybook.storage.duckdb.remembered import InOrder, Remembered


def test_a_read_that_began_before_a_run_counts_for_itself() -> None:
    assert not InOrder(until=7, given=70).serves(6)
    assert InOrder(until=7, given=70).serves(7)
    assert InOrder(until=7, given=70).serves(9)


def test_questions_that_were_asked_long_ago_are_forgotten() -> None:
    totals: Remembered[int] = Remembered(1_000)
    for question in range(1_500):
        totals.remember(question, question)
    assert (totals.of(499), totals.of(500)) == (None, 500)
    totals.remember(1_500, 1_500)
    assert (totals.of(500), totals.of(501)) == (500, None)


def test_large_answers_take_the_room_of_many() -> None:
    sums: Remembered[range] = Remembered(100, len)
    for question in range(5):
        sums.remember(question, range(20))
    sums.remember(4, range(30))
    assert [question for question in range(5) if sums.of(question)] == [1, 2, 3, 4]
    sums.remember("larger than the room", range(101))
    assert not any(sums.of(question) for question in (*range(5), "larger than the room"))
