"""Questions: their faults are listed together, and equal questions have equal names."""

from dataclasses import replace

import pytest

from tallybook.analytics.query import Condition, Dimension, EventQuery, Reach, UsageQuery, conditions_of
from tallybook.core.errors import InvalidInput

REACH = Reach("key", ("org",))


def faults(query: UsageQuery | EventQuery) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        query.check()
    return [str(fault.loc[-1]) for fault in caught.value.faults]


def test_all_faults_of_a_usage_query_are_listed() -> None:
    query = UsageQuery(REACH, start_us=5, end_us=5, limit=0, measures=("tokens", "requests", "money"))
    assert faults(query) == ["limit", "end", "measures", "measures"]
    assert faults(UsageQuery(REACH, 0, 1, measures=(), limit=1441)) == ["limit", "measures"]


def test_all_faults_of_a_list_are_listed() -> None:
    assert faults(EventQuery(REACH, start_us=5, end_us=4, limit=1001)) == ["limit", "end"]


def test_what_is_fine_passes() -> None:
    UsageQuery(REACH, 0, 1, limit=1440).check()
    UsageQuery(REACH, 5).check()
    EventQuery(REACH, end_us=4, limit=1000).check()


def test_order_and_repetition_of_filter_values_do_not_matter() -> None:
    model = (Dimension.MODEL,)
    assert conditions_of([(model, ["b", "a", "b"]), (model, [])]) == (Condition(model, ("a", "b")),)


def test_a_question_is_the_same_on_every_page_and_differs_by_asker() -> None:
    query = UsageQuery(REACH, 0, 9)
    assert query.question == replace(query, limit=3, page="cursor").question
    assert query.question != replace(query, reach=replace(REACH, asker="other")).question
    assert query.question != replace(query, end_us=8).question
