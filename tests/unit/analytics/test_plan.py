"""Slices: how an engine finds the bucket of an instant."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tallybook.analytics.plan import Slices
from tallybook.core.time_window import DAY_US, HOUR_US, Bucket, TimeWindow, bucket_rule, parse_instant

MARCH = parse_instant("2026-03-01T00:00:00Z")


def number_of(slices: Slices, instant: int) -> int:
    number = (instant - slices.origin_us) // slices.step_us
    return slices.begun[number] + (instant >= slices.turns[number]) if slices.turns else number


def test_equal_buckets_are_a_division() -> None:
    assert Slices.between([0, 10, 20, 30]) == Slices(0, 10)


def test_unequal_buckets_are_looked_up_by_steps_as_wide_as_the_least() -> None:
    assert Slices.between([5, 25, 55, 65]) == Slices(5, 10, (0, 0, 1, 1, 1, 2), (25, 25, 55, 55, 55, 65))
    assert Slices.between([0, 10, 25, 36]) == Slices(0, 10, (0, 1, 1, 2), (10, 25, 25, 36))


def test_a_single_bucket_needs_none() -> None:
    assert Slices.between([5, 25]) is None


@pytest.mark.parametrize("bucket", [Bucket.HOUR, Bucket.DAY, Bucket.WEEK, Bucket.MONTH])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia"])
def test_every_instant_finds_its_bucket(bucket: Bucket, zone: str) -> None:
    edges = TimeWindow(MARCH, MARCH + 60 * DAY_US).edges(bucket_rule(bucket, ZoneInfo(zone)), 1440)
    slices = Slices.between(edges)
    assert slices is not None
    for number, (start, end) in enumerate(pairwise(edges)):
        assert {number_of(slices, instant) for instant in (start, start + HOUR_US // 3, end - 1)} == {number}


def test_a_year_of_hours_in_a_changing_zone_stays_small() -> None:
    edges = TimeWindow(MARCH, MARCH + 60 * DAY_US).edges(bucket_rule(Bucket.HOUR, ZoneInfo("Europe/Berlin")), 1440)
    assert Slices.between(edges) == Slices(edges[0], HOUR_US)


def test_decades_of_months_stay_small_where_an_offset_had_seconds() -> None:
    window = TimeWindow(parse_instant("1970-06-01T00:00:00Z"), parse_instant("2026-12-01T00:00:00Z"))
    edges = window.edges(bucket_rule(Bucket.MONTH, ZoneInfo("Africa/Monrovia")), 1440)  # -0:44:30 until 1972
    slices = Slices.between(edges)
    assert slices is not None
    assert len(slices.begun) < 2 * len(edges)
    for number, (start, end) in enumerate(pairwise(edges)):
        assert {number_of(slices, instant) for instant in (start, end - 1)} == {number}
