"""Instants, windows and bucket edges: known days of odd zones, and what holds everywhere."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.core.time_window import (
    DAY_US,
    HOUR_US,
    BadInstant,
    BadZone,
    Bucket,
    TimeWindow,
    bucket_rule,
    instant_text,
    parse_instant,
    parse_instant_or_seconds,
    zone_named,
)

EARLIEST = parse_instant("1970-01-01T00:00:00Z")
LATEST = parse_instant("2201-01-01T00:00:00Z")

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Monrovia",
    "Africa/Casablanca",
]
WIDTHS = [bucket for bucket in Bucket if bucket is not Bucket.ALL]


def at(text: str) -> int:
    return parse_instant(text)


def edges(start: str, end: str, bucket: Bucket, zone: str, limit: int = 1440) -> list[str]:
    rule = bucket_rule(bucket, ZoneInfo(zone))
    return [instant_text(edge) for edge in TimeWindow(at(start), at(end)).edges(rule, limit)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.0000019z", 1),
        ("1970-01-01t01:00:00+01:00", 0),
        ("1969-12-31 23:59:59.5-00:00", -500_000),
        ("2024-02-29T12:00:00.25Z", 1_709_208_000_250_000),
    ],
)
def test_an_instant_is_read_to_the_microsecond(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-02-29T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00.Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "1700000000",
    ],
)
def test_what_is_no_date_time_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(BadInstant):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("0", 0),
        ("-1.5", -1_500_000),
        ("1700000000.1234567", 1_700_000_000_123_456),
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("9" * 18, int("9" * 18) * 1_000_000),
        ("0." + "0" * 17 + "1", 0),
    ],
)
def test_seconds_are_read_exactly(text: str, instant: int) -> None:
    assert parse_instant_or_seconds(text) == instant


@pytest.mark.parametrize("text", ["", "now", "NaN", "Infinity", "1e400", "1E+2000000", "1_000", " 1", "12-30"])
def test_what_is_neither_date_time_nor_seconds_is_refused(text: str) -> None:
    with pytest.raises(BadInstant):
        parse_instant_or_seconds(text)


@given(st.integers(EARLIEST, LATEST))
def test_an_instant_survives_its_text(instant: int) -> None:
    assert parse_instant(instant_text(instant)) == instant


@pytest.mark.parametrize(
    "name", ["", "Europe", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\0b", "europe/berlin"]
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(BadZone):
        zone_named(name)


@pytest.mark.parametrize(
    ("bucket", "start", "end"),
    [
        (Bucket.MINUTE, "2026-01-01T10:17:00Z", "2026-01-01T10:18:00Z"),
        (Bucket.FIVE_MINUTES, "2026-01-01T10:15:00Z", "2026-01-01T10:20:00Z"),
        (Bucket.QUARTER_HOUR, "2026-01-01T10:15:00Z", "2026-01-01T10:30:00Z"),
        (Bucket.HOUR, "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"),
        (Bucket.DAY, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        (Bucket.WEEK, "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
        (Bucket.MONTH, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    ],
)
def test_utc_buckets(bucket: Bucket, start: str, end: str) -> None:
    assert edges("2026-01-01T10:17:42.5Z", "2026-01-01T10:17:43Z", bucket, "UTC") == [start, end]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T00:00:00+01:00", 23),
        ("Europe/Berlin", "2026-10-25T00:00:00+02:00", 25),
        ("America/Sao_Paulo", "2018-11-04T01:00:00-02:00", 23),  # midnight did not exist
        ("America/Sao_Paulo", "2018-02-17T00:00:00-02:00", 25),  # it ended with 23:00 twice
        ("America/Havana", "2026-11-01T00:00:00-04:00", 25),  # midnight happens twice
    ],
)
def test_a_day_of_a_changed_clock_has_all_its_hours(zone: str, day: str, hours: int) -> None:
    rule = bucket_rule(Bucket.DAY, ZoneInfo(zone))
    start = at(day)
    end = rule.next_start(start)
    assert rule.start_of(start) == start
    assert rule.start_of(end - 1) == start
    assert end - start == hours * HOUR_US
    parts = TimeWindow(start, end).edges(bucket_rule(Bucket.HOUR, ZoneInfo(zone)), 100)
    assert parts == list(range(start, end + 1, HOUR_US))


def test_half_an_hour_of_change_lengthens_one_bucket() -> None:
    # Lord Howe: at 02:00 (+11) clocks went back to 01:30 (+10:30), and at 02:00 (+10:30) on to 02:30 (+11).
    assert edges("2026-04-04T14:00:00Z", "2026-04-04T16:31:00Z", Bucket.HOUR, "Australia/Lord_Howe") == [
        "2026-04-04T14:00:00Z",
        "2026-04-04T15:30:00Z",
        "2026-04-04T16:30:00Z",
        "2026-04-04T17:30:00Z",
    ]
    assert edges("2026-10-03T14:30:00Z", "2026-10-03T16:01:00Z", Bucket.HOUR, "Australia/Lord_Howe") == [
        "2026-10-03T14:30:00Z",
        "2026-10-03T16:00:00Z",
        "2026-10-03T17:00:00Z",
    ]


def test_hours_start_on_the_zones_full_hour() -> None:
    assert edges("2026-01-01T10:00:00Z", "2026-01-01T10:31:00Z", Bucket.HOUR, "Asia/Kolkata") == [
        "2026-01-01T09:30:00Z",
        "2026-01-01T10:30:00Z",
        "2026-01-01T11:30:00Z",
    ]


def test_a_date_that_never_was_has_no_bucket() -> None:
    # Samoa went from the end of the 29th straight to the 31st.
    assert edges("2011-12-29T00:00:00-10:00", "2012-01-01T00:00:00+14:00", Bucket.DAY, "Pacific/Apia") == [
        "2011-12-29T10:00:00Z",
        "2011-12-30T10:00:00Z",
        "2011-12-31T10:00:00Z",
    ]


def test_a_date_that_came_back_after_midnight_has_ended_all_the_same() -> None:
    # Newfoundland set its clocks back at 00:01, to 23:01 of the day before.
    rule = bucket_rule(Bucket.DAY, ZoneInfo("America/St_Johns"))
    midnight = at("2010-11-07T00:00:00-02:30")
    again = at("2010-11-06T23:30:00-03:30")
    assert rule.start_of(again) == midnight
    assert rule.next_start(midnight) - midnight == 25 * HOUR_US


def test_weeks_begin_on_monday_and_months_on_the_first_of_the_zone() -> None:
    assert edges("2026-03-27T12:00:00Z", "2026-04-01T00:00:00Z", Bucket.WEEK, "Europe/Berlin") == [
        "2026-03-22T23:00:00Z",
        "2026-03-29T22:00:00Z",
        "2026-04-05T22:00:00Z",
    ]
    assert edges("2026-02-01T00:00:00Z", "2026-03-31T22:00:01Z", Bucket.MONTH, "Europe/Berlin") == [
        "2026-01-31T23:00:00Z",
        "2026-02-28T23:00:00Z",
        "2026-03-31T22:00:00Z",
        "2026-04-30T22:00:00Z",
    ]


def test_only_a_page_of_edges_is_computed() -> None:
    far = TimeWindow(-(2**53) * 1_000_000, 2**53 * 1_000_000)
    assert len(far.edges(bucket_rule(Bucket.MINUTE), 7)) == 8


def test_an_empty_window_has_no_edges() -> None:
    assert TimeWindow(5, 5).edges(bucket_rule(Bucket.DAY), 7) == []


@given(
    st.integers(-(2**70), 2**70),
    st.integers(1, 10 * DAY_US),
    st.sampled_from([Bucket.MINUTE, Bucket.HOUR, Bucket.DAY]),
)
def test_a_widened_window_is_the_smallest_of_whole_buckets(start: int, length: int, bucket: Bucket) -> None:
    rule = bucket_rule(bucket)
    window = TimeWindow(start, start + length)
    widened = window.widened(rule)
    assert widened.start_us == rule.start_of(start)
    assert rule.start_of(widened.end_us) == widened.end_us
    assert widened.start_us <= start
    assert rule.start_of(widened.end_us - 1) < window.end_us <= widened.end_us


@settings(max_examples=300)
@given(st.integers(EARLIEST, LATEST), st.sampled_from(ZONES), st.sampled_from(WIDTHS))
def test_every_instant_is_in_one_bucket_that_starts_by_the_clock(instant: int, zone: str, bucket: Bucket) -> None:
    rule = bucket_rule(bucket, ZoneInfo(zone))
    start = rule.start_of(instant)
    end = rule.next_start(start)
    assert start <= instant < end
    assert rule.start_of(start) == start
    assert rule.start_of(end - 1) == start
    assert rule.start_of(end) == end
    shown = datetime.fromtimestamp(start // 1_000_000, UTC).astimezone(ZoneInfo(zone))
    assert shown.second == 0
    match bucket:
        case Bucket.MINUTE | Bucket.FIVE_MINUTES | Bucket.QUARTER_HOUR:
            assert shown.minute % int(bucket.value[:-1]) == 0
        case Bucket.HOUR:
            assert shown.minute == 0
        case Bucket.WEEK:
            assert shown.weekday() == 0
        case Bucket.MONTH:
            assert shown.day == 1


@settings(max_examples=100)
@given(st.integers(EARLIEST, LATEST), st.sampled_from(ZONES), st.sampled_from(WIDTHS), st.integers(1, 60))
def test_edges_rise_without_a_gap_and_pages_fit_together(start: int, zone: str, bucket: Bucket, limit: int) -> None:
    rule = bucket_rule(bucket, ZoneInfo(zone))
    window = TimeWindow(start, start + 40 * DAY_US)
    whole = window.edges(rule, 2 * limit)
    first = window.edges(rule, limit)
    assert all(edge < following for edge, following in pairwise(whole))
    assert whole[: len(first)] == first
    if first[-1] < window.end_us:
        assert first + TimeWindow(first[-1], window.end_us).edges(rule, limit)[1:] == whole
