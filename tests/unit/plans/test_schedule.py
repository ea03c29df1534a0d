"""When grants are due."""

import pytest

from tallybook.core.time_window import instant_text, parse_instant
from tallybook.plans import schedule
from tallybook.plans.model import Interval, Plan


def later(start: str, interval: Interval, count: int) -> str:
    return instant_text(schedule.later(parse_instant(start), interval, count))


def plan(interval: Interval = Interval.MONTH, occurrences: int | None = None) -> Plan:
    return Plan("plan_1", "Pro", None, None, 1, interval, occurrences, True, True, 0, 0)


@pytest.mark.parametrize(
    ("start", "dates"),
    [
        ("2026-01-31", ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]),
        ("2026-01-30", ["2026-02-28", "2026-03-30", "2026-04-30"]),
        ("2026-01-28", ["2026-02-28", "2026-03-28"]),
        ("2028-01-31", ["2028-02-29", "2028-03-31"]),
        ("2028-02-29", ["2028-03-29", "2028-04-29"]),
        ("2026-11-30", ["2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"]),
        ("2026-12-31", ["2027-01-31", "2027-02-28"]),
    ],
)
def test_a_month_is_the_same_day_or_the_last_one_and_never_drifts(start: str, dates: list[str]) -> None:
    made = [later(f"{start}T23:59:59.999999Z", Interval.MONTH, count) for count in range(1, len(dates) + 1)]
    assert made == [f"{date}T23:59:59.999999Z" for date in dates]


def test_a_leap_day_comes_back_every_fourth_year() -> None:
    years = [later("2028-02-29T00:00:00Z", Interval.MONTH, 12 * year) for year in range(5)]
    assert [date[:10] for date in years] == ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]


def test_days_have_24_hours_and_weeks_seven_days() -> None:
    assert later("2026-02-27T06:00:00Z", Interval.DAY, 3) == "2026-03-02T06:00:00Z"
    assert later("2026-12-28T06:00:00Z", Interval.WEEK, 2) == "2027-01-11T06:00:00Z"


def grants(terms: Plan, *, deferred: bool) -> list[str | None]:
    """The dates of the first four grants of an assignment that starts on the 31st of January."""
    start = parse_instant("2026-01-31T00:00:00Z")
    found = [schedule.grant_at(terms, start, deferred=deferred, number=number) for number in range(1, 5)]
    return [None if at is None else instant_text(at)[:10] for at in found]


def test_grants_stand_at_the_start_of_each_period() -> None:
    assert grants(plan(), deferred=False) == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    assert grants(plan(), deferred=True) == ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]


def test_there_are_as_many_as_occurrences_say() -> None:
    assert grants(plan(occurrences=2), deferred=False) == ["2026-01-31", "2026-02-28", None, None]
    assert grants(plan(occurrences=1), deferred=True) == ["2026-02-28", None, None, None]


@pytest.mark.parametrize(("occurrences", "deferred", "end"), [(1, False, "2026-02-28"), (2, True, "2026-04-30")])
def test_it_ends_with_the_period_of_the_last_grant(occurrences: int, deferred: bool, end: str) -> None:
    start = parse_instant("2026-01-31T00:00:00Z")
    ends_at = schedule.ends_at(plan(occurrences=occurrences), start, deferred=deferred)
    assert ends_at is not None
    assert instant_text(ends_at)[:10] == end
    assert schedule.ends_at(plan(), start, deferred=deferred) is None


def test_the_longest_plan_ends_on_a_date() -> None:
    ends_at = schedule.ends_at(plan(occurrences=10_000), parse_instant("2200-01-31T00:00:00Z"), deferred=True)
    assert ends_at is not None
    assert instant_text(ends_at) == "3033-06-30T00:00:00Z"
