"""Instants, windows and bucket edges. Instants are integer microseconds since 1970, UTC; windows are half-open."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))\Z", re.ASCII
)


class BadInstant(ValueError):
    """The text is no RFC 3339 date-time with a zone."""


class Bucket(Enum):
    """Width of a time bucket. Native queries take all of them; `ALL` is one bucket over the whole window."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HOUR = "1h"
    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"
    ALL = "all"


FIXED_WIDTH_US = {
    Bucket.MINUTE: MINUTE_US,
    Bucket.FIVE_MINUTES: 5 * MINUTE_US,
    Bucket.QUARTER_HOUR: 15 * MINUTE_US,
    Bucket.HOUR: HOUR_US,
    Bucket.DAY: DAY_US,
}
"""Widths that are equally long everywhere in UTC, so that a bucket is found by integer division."""


@dataclass(frozen=True)
class TimeWindow:
    """`start_us <= instant < end_us`."""

    start_us: int
    end_us: int

    def widened(self, width_us: int) -> "TimeWindow":
        """The smallest window of whole UTC buckets of that width which contains this one."""
        return TimeWindow(self.start_us // width_us * width_us, -(-self.end_us // width_us) * width_us)

    def buckets_total(self, width_us: int) -> int:
        """How many UTC buckets of that width the window touches, by arithmetic alone."""
        if self.end_us <= self.start_us:
            return 0
        return (self.end_us - 1) // width_us - self.start_us // width_us + 1

    def buckets(self, width_us: int) -> Iterator["TimeWindow"]:
        """The UTC buckets of that width that the window touches, ascending, the outer two clipped to the window."""
        edge = self.start_us
        while edge < self.end_us:
            following = min((edge // width_us + 1) * width_us, self.end_us)
            yield TimeWindow(edge, following)
            edge = following


@lru_cache(maxsize=4096)
def _minute_us(date: str, minute: str) -> int:
    # Cached because streams of events share their minutes; validates the calendar date once per minute.
    moment = datetime.fromisoformat(f"{date}T{minute}:00+00:00")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_instant(text: str) -> int:
    """Microseconds from an RFC 3339 date-time with zone; digits beyond the microsecond are cut. Raises `BadInstant`."""
    match = _RFC3339.match(text)
    if match is None:
        raise BadInstant("must be an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z")
    date, minute, second, fraction, zulu, sign, zone_hours, zone_minutes = match.groups()
    try:
        instant = _minute_us(date, minute) + _second(second) * SECOND_US
    except ValueError:
        raise BadInstant("is no valid date and time") from None
    if fraction is not None:
        instant += int(fraction[:6].ljust(6, "0"))
    if zulu is None:
        instant -= _offset_us(sign, int(zone_hours), int(zone_minutes))
    return instant


def _second(text: str) -> int:
    second = int(text)
    if second > 59:
        raise ValueError("second out of range")
    return second


def _offset_us(sign: str, hours: int, minutes: int) -> int:
    if hours > 23 or minutes > 59:
        raise BadInstant("has no valid zone offset")
    offset = hours * HOUR_US + minutes * MINUTE_US
    return offset if sign == "+" else -offset


def instant_text(instant_us: int) -> str:
    """RFC 3339 in UTC with `Z`; the fraction appears only where there is one."""
    moment = _EPOCH + timedelta(microseconds=instant_us)
    return moment.isoformat().replace("+00:00", "Z")
