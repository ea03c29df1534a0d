"""Times as files write them."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from tallybook.cli.instants import BadInstant, find_zone, utc_text

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
