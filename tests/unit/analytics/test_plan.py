"""Slices: how an engine finds the bucket of an instant."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tallybook.analytics.plan import Slices
from tallybook.core.time_window import DAY_US, HOUR_US, Bucket, TimeWindow, bucket_rule, parse_instant

MARCH = parse_instant("2026-03-01T00:00:00Z")


def number_of(slices: Slices, instant: int) -> int:
    number = (instant - slices.origin_us) // slices.step_us
    return number if slices.lookup is None else slices.lookup[number]


def test_equal_buckets_are_a_division() -> None:
    assert Slices.between([0, 10, 20, 30]) == Slices(0, 10)


def test_unequal_buckets_are_a_lookup_by_their_greatest_common_part() -> None:
    assert Slices.between([5, 25, 55, 65]) == Slices(5, 10, (0, 0, 1, 1, 1, 2))


def test_a_single_bucket_needs_none() -> None:
    assert Slices.between([5, 25]) is None


@pytest.mark.parametrize("bucket", [Bucket.HOUR, Bucket.DAY, Bucket.WEEK, Bucket.MONTH])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_every_instant_finds_its_bucket(bucket: Bucket, zone: str) -> None:
    edges = TimeWindow(MARCH, MARCH + 60 * DAY_US).edges(bucket_rule(bucket, ZoneInfo(zone)), 1440)
    slices = Slices.between(edges)
    assert slices is not None
    for number, (start, end) in enumerate(pairwise(edges)):
        assert {number_of(slices, instant) for instant in (start, start + HOUR_US // 3, end - 1)} == {number}


def test_a_year_of_hours_in_a_changing_zone_stays_small() -> None:
    edges = TimeWindow(MARCH, MARCH + 60 * DAY_US).edges(bucket_rule(Bucket.HOUR, ZoneInfo("Europe/Berlin")), 1440)
    assert Slices.between(edges) == Slices(edges[0], HOUR_US)
