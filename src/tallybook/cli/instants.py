"""Instants as people and files write them, turned into RFC 3339 in UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import click

_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_UNIX_SECONDS = re.compile(r"(-?\d{1,15})(?:\.(\d+))?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SPAN = re.compile(r"([1-9]\d{0,6})([mhdw])", re.ASCII)
_LENGTHS = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadInstant(ValueError):
    """The text names no instant; the message says what is expected."""


def utc_text(text: str, zone: tzinfo) -> str:
    """RFC 3339 in UTC, from RFC 3339 with or without a zone (then it is `zone`'s), or from Unix seconds.

    Digits beyond the microsecond are cut. A local time that occurs twice is taken as the first; one that a
    clock change leaves out is moved by the length of the change (`fold=0` of PEP 495). Raises `BadInstant`.
    """
    match = _DATE_TIME.fullmatch(text)
    try:
        moment = _from_unix(text) if match is None else _from_date_time(match, zone)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadInstant):
            raise
        raise BadInstant("is no valid date and time") from None


def _from_date_time(match: re.Match[str], zone: tzinfo) -> datetime:
    date, time, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{date}T{time}.{_micros(fraction)}{(offset or '').upper()}")
    return moment if offset else moment.replace(tzinfo=zone)


def _from_unix(text: str) -> datetime:
    match = _UNIX_SECONDS.fullmatch(text)
    if match is None:
        raise BadInstant("must be a date and time such as 2026-01-31T12:00:00Z, or Unix seconds")
    seconds, fraction = match.groups()
    if seconds.startswith("-") and fraction:
        raise BadInstant("is before 1970")
    try:
        return _EPOCH + timedelta(seconds=int(seconds), microseconds=int(_micros(fraction)))
    except OverflowError:
        raise BadInstant("is beyond the year 9999; Unix time is expected in seconds") from None


def _micros(fraction: str | None) -> str:
    return (fraction or "")[:6].ljust(6, "0")


def day_or_instant(text: str, zone: tzinfo) -> str:
    """As `utc_text`; a date is its midnight in the zone. Raises `BadInstant`."""
    return utc_text(f"{text}T00:00:00" if _DATE.fullmatch(text) else text, zone)


def start_of_last(span: str, zone: tzinfo, now: datetime) -> str:
    """The start of a span such as `30d` that ends with the present minute, hour or day of the zone (`w`: seven days).

    RFC 3339 in UTC. Raises `BadInstant`.
    """
    match = _SPAN.fullmatch(span)
    if match is None:
        raise BadInstant("must be a number of minutes, hours, days or weeks, such as 90m, 12h, 30d or 2w")
    count, unit = int(match[1]), match[2]
    local = now.astimezone(zone)
    try:
        if unit in "dw":  # by the calendar: a day may have 23 or 25 hours
            first = local.date() - timedelta(days=count * (7 if unit == "w" else 1) - 1)
            return day_or_instant(first.isoformat(), zone)
        minute = local.replace(second=0, microsecond=0)
        current = (minute if unit == "m" else minute.replace(minute=0)).astimezone(UTC)
        return utc_text((current - (count - 1) * _LENGTHS[unit]).isoformat(), UTC)
    except OverflowError:
        raise BadInstant("begins before the first of all years") from None


def find_zone(name: str) -> tzinfo:
    """The IANA zone of that name; UTC needs no zone data. Raises `ValueError`."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (
        OSError,
        ValueError,
        KeyError,
    ):  # no such zone, a folder's name, a name that leads out of the zone data
        raise ValueError(f"there is no time zone {name!r}") from None


def instant_option(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """For options that take a date (midnight UTC) or an instant."""
    if value is None:
        return None
    try:
        return day_or_instant(value, UTC)
    except BadInstant as error:
        raise click.BadParameter(f"{value!r} {error}") from None


start_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--start", metavar="INSTANT", callback=instant_option, help="From this date or instant on."
)
end_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--end", metavar="INSTANT", callback=instant_option, help="Up to this date or instant, which is left out."
)
