"""Instants, windows and bucket edges. Instants are microseconds since 1970, UTC; windows are half-open."""

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from tallybook.core.money import NotANumber, parse_number

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


class BadInstant(ValueError):
    """The text is no RFC 3339 date-time with a zone."""


class BadZone(ValueError):
    """No time zone of that name."""


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


class BucketRule(Protocol):
    """Where the buckets of one width begin, over all time. Buckets are contiguous."""

    def start_of(self, instant_us: int) -> int:
        """The last start at or before the instant."""
        ...

    def next_start(self, start_us: int) -> int:
        """The start that follows a start."""
        ...


@dataclass(frozen=True)
class TimeWindow:
    """`start_us <= instant < end_us`."""

    start_us: int
    end_us: int

    def widened(self, rule: BucketRule) -> "TimeWindow":
        """The smallest window of whole buckets which contains this one."""
        last = rule.start_of(self.end_us)
        end_us = last if last == self.end_us else rule.next_start(last)
        return TimeWindow(rule.start_of(self.start_us), end_us)

    def edges(self, rule: BucketRule, limit: int) -> list[int]:
        """The starts of the first `limit` buckets that the window touches, then the end of the last of them.

        The outer edges may lie outside the window. An empty window has no edges.
        """
        if self.end_us <= self.start_us:
            return []
        edges = [rule.start_of(self.start_us)]
        while edges[-1] < self.end_us and len(edges) <= limit:
            edges.append(rule.next_start(edges[-1]))
        return edges


UTC_ZONE = ZoneInfo("UTC")

_WIDTH_US = {
    Bucket.MINUTE: MINUTE_US,
    Bucket.FIVE_MINUTES: 5 * MINUTE_US,
    Bucket.QUARTER_HOUR: 15 * MINUTE_US,
    Bucket.HOUR: HOUR_US,
    Bucket.DAY: DAY_US,
    Bucket.WEEK: 7 * DAY_US,
}
_MONDAY_US = 4 * DAY_US  # 1970-01-05


def bucket_rule(bucket: Bucket, zone: ZoneInfo = UTC_ZONE) -> BucketRule:
    """Where buckets of that width begin in that zone. `Bucket.ALL` has no rule: it is the window itself.

    Parts of a day start when the zone's clock shows a full hour (or its 1, 5, 15-minute parts) and follow
    real elapsed time; days, weeks (from Monday) and months start at local midnight.
    """
    calendar = bucket in (Bucket.DAY, Bucket.WEEK, Bucket.MONTH)
    if bucket is Bucket.MONTH or (calendar and zone.key != "UTC"):
        return _CalendarBuckets(bucket, zone)
    if zone.key != "UTC":
        return _ClockBuckets(_WIDTH_US[bucket], zone)
    return _EqualBuckets(_WIDTH_US[bucket], _MONDAY_US if bucket is Bucket.WEEK else 0)


@dataclass(frozen=True)
class _EqualBuckets:
    """Equally long everywhere: pure arithmetic, for any integer."""

    width_us: int
    origin_us: int

    def start_of(self, instant_us: int) -> int:
        return instant_us - (instant_us - self.origin_us) % self.width_us

    def next_start(self, start_us: int) -> int:
        return start_us + self.width_us


@dataclass(frozen=True)
class _ClockBuckets:
    """Parts of a day by the clock of a zone.

    Where the zone changes its offset by a part of the width (Lord Howe moves by half an hour), the bucket in
    which it does lasts until the clock next shows a full width.
    """

    width_us: int
    zone: ZoneInfo

    def start_of(self, instant_us: int) -> int:
        start_us = self._aligned(instant_us, _offset_at(self.zone, instant_us))
        change_us = _offset_change(self.zone, start_us, instant_us)
        if change_us is None:
            return start_us
        # The offset changed since and no full width was shown after the change: the bucket began before it.
        return self._aligned(change_us - 1, _offset_at(self.zone, change_us - 1))

    def next_start(self, start_us: int) -> int:
        next_us = start_us + self.width_us
        change_us = _offset_change(self.zone, start_us, next_us)
        if change_us is None:
            return next_us
        return self._aligned(change_us + self.width_us - 1, _offset_at(self.zone, change_us))

    def _aligned(self, instant_us: int, offset_us: int) -> int:
        return instant_us - (instant_us + offset_us) % self.width_us


@dataclass(frozen=True)
class _CalendarBuckets:
    """Days, weeks or months by the calendar of a zone. A date the zone skipped has no bucket."""

    bucket: Bucket
    zone: ZoneInfo

    def start_of(self, instant_us: int) -> int:
        start_us = self._first_instant(self._first_date(_local(self.zone, instant_us).date()))
        # A clock set back across midnight shows the old date again; the new one has begun all the same.
        following_us = self.next_start(start_us)
        return start_us if instant_us < following_us else following_us

    def next_start(self, start_us: int) -> int:
        first = self._first_date(_local(self.zone, start_us).date())
        step = {Bucket.DAY: 1, Bucket.WEEK: 7}.get(self.bucket, 32)
        return self._first_instant(self._first_date(first + timedelta(days=step)))

    def _first_date(self, day: date) -> date:
        if self.bucket is Bucket.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.bucket is Bucket.MONTH else day

    def _first_instant(self, day: date) -> int:
        """The first instant whose local date is `day` or later: its midnight, or the end of a gap over it."""
        midnight = datetime.combine(day, time(), self.zone)  # fold=0: the first, where it is shown twice
        instant_us = (midnight - _EPOCH) // timedelta(microseconds=1)
        if _local(self.zone, instant_us).replace(tzinfo=None) == midnight.replace(tzinfo=None):
            return instant_us
        change_us = _offset_change(self.zone, instant_us - DAY_US, instant_us)
        return instant_us if change_us is None else change_us


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises `BadZone`."""
    if name not in _zone_names():
        raise BadZone("must be an IANA time zone such as Europe/Berlin")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zone_names() -> set[str]:
    # Asked first, because ZoneInfo opens whatever file its argument names.
    return zoneinfo.available_timezones()


def _local(zone: ZoneInfo, instant_us: int) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant_us)).astimezone(zone)


def _offset_at(zone: ZoneInfo, instant_us: int) -> int:
    offset = _local(zone, instant_us).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


def _offset_change(zone: ZoneInfo, after_us: int, until_us: int) -> int | None:
    """The instant in (after, until] from which another offset holds, if it changed, once at most."""
    before = _offset_at(zone, after_us)
    if _offset_at(zone, until_us) == before:
        return None
    low, high = after_us // SECOND_US, -(-until_us // SECOND_US)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_at(zone, middle * SECOND_US) == before else (low, middle)
    return high * SECOND_US


def parse_instant(text: str) -> int:
    """Microseconds from an RFC 3339 date-time with zone, cut at the microsecond. Raises `BadInstant`."""
    if not _RFC3339.match(text):
        raise BadInstant("must be an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise BadInstant("is no valid date and time") from None
    since = moment - _EPOCH
    return since.days * DAY_US + since.seconds * SECOND_US + since.microseconds


def parse_span(text: str) -> TimeWindow:
    """The instants that a text means: a date is its whole day (UTC), a date-time with zone itself.

    Raises `BadInstant`.
    """
    if _DATE.fullmatch(text):
        start_us = parse_instant(f"{text}T00:00:00Z")
        return TimeWindow(start_us, start_us + DAY_US)
    instant_us = parse_instant(text)
    return TimeWindow(instant_us, instant_us + 1)


def parse_instant_or_seconds(text: str) -> int:
    """As `parse_instant`, or Unix seconds in decimal digits, cut at the microsecond. Raises `BadInstant`."""
    if "-" in text[1:]:
        return parse_instant(text)
    try:
        numerator, denominator = parse_number(text).as_integer_ratio()
    except NotANumber:
        raise BadInstant("must be an RFC 3339 date-time with a zone, or Unix seconds") from None
    return numerator * SECOND_US // denominator


def instant_text(instant_us: int) -> str:
    """RFC 3339 in UTC with `Z`; the fraction appears only where there is one."""
    moment = _EPOCH + timedelta(microseconds=instant_us)
    return moment.isoformat().replace("+00:00", "Z")


def instant_text_or_none(instant_us: int | None) -> str | None:
    return None if instant_us is None else instant_text(instant_us)
