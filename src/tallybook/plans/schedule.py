"""When grants are due. Pure: it follows from the interval, the start and the number of the grant.

Days are 24 hours and weeks seven of them. A month later is the same day of the next month at the same time, UTC, or
that month's last day if it is shorter. Every date counts from the start, so that the 31st comes back after a February.
"""

from calendar import monthrange
from datetime import date
from typing import assert_never

from tallybook.core.time_window import DAY_US
from tallybook.plans.model import Interval, Plan

_EPOCH_DAY = date(1970, 1, 1).toordinal()


def grant_at(plan: Plan, started_at_us: int, *, deferred: bool, number: int) -> int | None:
    """The instant at which grant `number` (from 1) is due; None beyond the last occurrence."""
    if plan.occurrences is not None and number > plan.occurrences:
        return None
    return later(started_at_us, plan.interval, number if deferred else number - 1)


def ends_at(plan: Plan, started_at_us: int, *, deferred: bool) -> int | None:
    """Where the period of the last grant ends; None for a plan without end."""
    if plan.occurrences is None:
        return None
    return later(started_at_us, plan.interval, plan.occurrences + deferred)


def later(start_us: int, interval: Interval, count: int) -> int:
    """The instant `count` intervals after `start_us`."""
    match interval:
        case Interval.DAY:
            return start_us + count * DAY_US
        case Interval.WEEK:
            return start_us + count * 7 * DAY_US
        case Interval.MONTH:
            return _months_later(start_us, count)
    assert_never(interval)


def _months_later(start_us: int, count: int) -> int:
    days, time_us = divmod(start_us, DAY_US)
    start = date.fromordinal(_EPOCH_DAY + days)
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    _, last_day = monthrange(year, month + 1)
    on = date(year, month + 1, min(start.day, last_day))
    return (on.toordinal() - _EPOCH_DAY) * DAY_US + time_us
