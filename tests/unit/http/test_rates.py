"""Limits per key: windows of the clock, counted apart, and nothing counted that was refused."""

import pytest

from tallybook.core.errors import RateLimited
from tallybook.core.time_window import SECOND_US, parse_instant
from tallybook.http.rates import KeyRates
from tests.admin_rooms import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock(parse_instant("2026-01-31T12:00:58.5Z"))


def passed(rates: KeyRates, key_id: str = "key_a") -> int | None:
    """None if the request passed, else the seconds to wait."""
    try:
        rates.count(key_id)
    except RateLimited as error:
        return error.retry_after_seconds
    return None


def test_without_limits_everything_passes(clock: StillClock) -> None:
    rates = KeyRates(clock, {1: None, 60: None})
    assert [passed(rates) for _ in range(1000)] == [None] * 1000


def test_each_key_has_its_own_count(clock: StillClock) -> None:
    rates = KeyRates(clock, {60: 2})
    assert [passed(rates) for _ in range(3)] == [None, None, 2]
    assert [passed(rates, "key_b") for _ in range(3)] == [None, None, 2]


def test_the_next_window_begins_with_the_clock(clock: StillClock) -> None:
    rates = KeyRates(clock, {60: 1})
    assert [passed(rates), passed(rates)] == [None, 2]
    clock.now += SECOND_US
    assert passed(rates) == 1
    clock.now += SECOND_US // 2
    assert [passed(rates), passed(rates)] == [None, 60]


def test_the_longest_wait_of_several_limits_is_not_told_before_it_is_reached(clock: StillClock) -> None:
    rates = KeyRates(clock, {1: 1, 3600: 3})
    assert [passed(rates), passed(rates)] == [None, 1]
    for _ in range(2):
        clock.now += SECOND_US
        assert passed(rates) is None
    clock.now += SECOND_US
    assert passed(rates) == 3600 - 61


def test_a_refused_request_is_counted_nowhere(clock: StillClock) -> None:
    rates = KeyRates(clock, {1: 1, 60: 2})
    assert [passed(rates) for _ in range(9)] == [None] + [1] * 8
    clock.now += SECOND_US
    assert passed(rates) is None
