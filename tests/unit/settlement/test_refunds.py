"""What a refund gives back: a share of what is left of the debit, and all of it in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.settlement.refunds import Share, refund_of


@pytest.mark.parametrize(
    ("left", "before", "after", "others", "back"),
    [
        # Of the only usage: what becomes of its cost, whatever a credit costs.
        (680_000, 6_800, 3_400, 0, 340_000),
        (680_000, 6_800, 0, 0, 680_000),
        (1, 3, 1, 0, 1),
        (1, 2, 1, 0, 0),  # half a microcredit, to even
        (3, 2, 1, 0, 2),
        # Other usage of the same transaction keeps its share.
        (900, 100, 0, 200, 300),
        (900, 100, 50, 200, 150),
        # A cost of 0 that stays.
        (900, 0, 0, 0, 0),
        (900, 0, 0, 200, 0),
        # A cost that rises or stays.
        (900, 100, 100, 0, 0),
        (900, 100, 200, 0, 0),
        (0, 100, 0, 0, 0),
    ],
)
def test_a_share_of_what_is_left(left: int, before: int, after: int, others: int, back: int) -> None:
    assert refund_of(left, Share(before, after, others)) == back


@pytest.mark.parametrize(("after", "others", "back"), [(0, 0, 900), (0, 200, 0), (100, 0, 0), (100, 200, 0)])
def test_what_cost_nothing_known_gives_all_back_if_nothing_is_left_that_costs(
    after: int, others: int, back: int
) -> None:
    assert refund_of(900, Share(0, after, others, ended=True)) == back


@pytest.mark.parametrize(
    ("left", "before", "after", "others", "from_pico", "given_back", "back"),
    [
        # Of 900 for 100 and 200: the first was voided and restored.
        (600, 100, 0, 200, 100, 300, 0),
        (600, 100, 50, 200, 100, 300, 0),
        # It was halved before, and maybe amended up again.
        (750, 50, 0, 200, 100, 150, 150),
        (750, 100, 0, 200, 100, 150, 150),
        # The other one was voided meanwhile.
        (150, 50, 0, 0, 100, 150, 150),
        (150, 50, 25, 0, 100, 150, 75),
        # Amended up beyond what it was.
        (750, 300, 0, 300, 100, 150, 300),
    ],
)
def test_what_was_given_back_for_an_event_counts(
    left: int, before: int, after: int, others: int, from_pico: int, given_back: int, back: int
) -> None:
    ended = after == 0
    share = Share(before, after, others, ended=ended, refunded_from_pico=from_pico, given_back_micro=given_back)
    assert refund_of(left, share) == back


@given(st.integers(0, 10**16), st.lists(st.integers(0, 10**18), min_size=1, max_size=5), st.data())
def test_voided_one_by_one_all_is_given_back_and_never_more(debit: int, costs: list[int], data: st.DataObject) -> None:
    left, rest = debit, sum(costs)
    for cost in data.draw(st.permutations(costs)):
        rest -= cost
        back = refund_of(left, Share(cost, 0, rest, ended=True))
        assert 0 <= back <= left
        left -= back
    assert left == 0
