"""Times as files write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tallybook.cli.instants import BadInstant, day_or_instant, find_zone, start_of_last, utc_text

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2023-11-16 18:17:03.9799600", "2023-11-16T18:17:03.979960Z"),
        ("2023-11-16 18:17:03.9799609", "2023-11-16T18:17:03.979960Z"),
        ("2023-11-16T18:17:03Z", "2023-11-16T18:17:03Z"),
        ("2023-11-16t18:17:03.5z", "2023-11-16T18:17:03.500000Z"),
        ("2023-11-16T18:17:03+05:30", "2023-11-16T12:47:03Z"),
        ("1700158623", "2023-11-16T18:17:03Z"),
        ("1700158623.1234569", "2023-11-16T18:17:03.123456Z"),
    ],
)
def test_instants(text: str, instant: str) -> None:
    assert utc_text(text, UTC) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-15 12:00:00", "2024-01-15T11:00:00Z"),
        ("2024-07-15 12:00:00", "2024-07-15T10:00:00Z"),
        # 02:30 comes twice on this night; the first one is still summer time.
        ("2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
        # 02:30 does not exist on this night; it is read with the offset before the change.
        ("2024-03-31 02:30:00", "2024-03-31T01:30:00Z"),
        ("2024-07-15 12:00:00Z", "2024-07-15T12:00:00Z"),
    ],
)
def test_times_without_a_zone_are_of_the_given_one(text: str, instant: str) -> None:
    assert utc_text(text, BERLIN) == instant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "must be a date and time"),
        ("2023-11-16", "must be a date and time"),
        ("2023-13-16 00:00:00", "no valid date"),
        ("2023-11-16 18:17:60", "no valid date"),
        ("2023-11-16T18:17:03+99:00", "no valid date"),
        ("0001-01-01T00:00:00+05:00", "no valid date"),
        ("1700158623000", "in seconds"),
        ("1e9", "must be a date and time"),
        ("-1.5", "before 1970"),
    ],
)
def test_what_is_no_instant(text: str, message: str) -> None:
    with pytest.raises(BadInstant, match=message):
        utc_text(text, UTC)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        find_zone(name)


@pytest.mark.parametrize(
    ("span", "zone", "start"),
    [
        ("1d", "UTC", "2026-03-30T00:00:00Z"),
        ("30d", "UTC", "2026-03-01T00:00:00Z"),
        ("2d", "Europe/Berlin", "2026-03-28T23:00:00Z"),  # a day of 23 hours
        ("2w", "Europe/Berlin", "2026-03-16T23:00:00Z"),
        ("1h", "UTC", "2026-03-30T05:00:00Z"),
        ("1h", "Asia/Kolkata", "2026-03-30T05:30:00Z"),
        ("24h", "UTC", "2026-03-29T06:00:00Z"),
        ("90m", "UTC", "2026-03-30T04:16:00Z"),
    ],
)
def test_a_span_ends_with_the_present(span: str, zone: str, start: str) -> None:
    now = datetime(2026, 3, 30, 5, 45, 30, tzinfo=UTC)
    assert start_of_last(span, find_zone(zone), now) == start


@pytest.mark.parametrize("span", ["", "d", "0d", "-1d", "1.5h", "1mo", "30 d", "9999999d", "9999999w"])
def test_a_span_that_says_nothing_is_refused(span: str) -> None:
    with pytest.raises(BadInstant):
        start_of_last(span, UTC, datetime(2026, 3, 30, tzinfo=UTC))


def test_a_date_is_midnight_in_the_zone() -> None:
    assert day_or_instant("2026-07-01", find_zone("Europe/Berlin")) == "2026-06-30T22:00:00Z"
    assert day_or_instant("2026-07-01T00:00:00Z", find_zone("Europe/Berlin")) == "2026-07-01T00:00:00Z"
