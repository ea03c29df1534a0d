"""Statistics of one user on the mka1 wire (contract section 10.1): totals, by model, by day."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from tallybook.analytics.answer import UsageBucket
from tallybook.analytics.query import Dimension, Reach, UsageQuery, conditions_of
from tallybook.auth.key import Caller
from tallybook.core.errors import Forbidden, invalid
from tallybook.core.time_window import TimeWindow, instant_text, parse_span
from tallybook.http.mka1.costs import LLM_KINDS
from tallybook.http.mka1.numbers import to_wire_number
from tallybook.http.mka1.wire import StatsParams
from tallybook.http.query_params import span_of
from tallybook.http.reach import reach_of

MEASURES = ("requests", "input_tokens", "output_tokens", "cost_usd", "unpriced_requests")

# Days are answered all at once, so a range is cut to those that can hold events: from the year 2000 on.
_EARLIEST_US = parse_span("1999-12-31").start_us
_LATEST_US = parse_span("2100-12-31").start_us


def to_stats_query(user_id: str, params: StatsParams, caller: Caller, *, buckets_max: int) -> UsageQuery:
    """Days of usage by model, of the platform user or delegated end user with that id.

    Raises `InvalidInput` for its dates and `Forbidden` for a user that the caller may not see.
    """
    reach = reach_to(user_id, caller)
    first, last = _span("startDate", params.startDate), _span("endDate", params.endDate)
    if first and last and last.end_us <= first.start_us:
        raise invalid("query", "endDate", msg="must not be before startDate")
    start_us = _possible(first.start_us) if first else _EARLIEST_US
    return UsageQuery(
        reach=reach,
        start_us=start_us,
        end_us=max(_possible(last.end_us), start_us + 1) if last else None,
        group_by=(Dimension.MODEL,),
        conditions=(
            LLM_KINDS,
            *conditions_of([((Dimension.USER_ID, Dimension.EXTERNAL_USER_ID), [user_id])]),
        ),
        measures=MEASURES,
        buckets_max=buckets_max,
    )


def reach_to(user_id: str, caller: Caller) -> Reach:
    """The caller's reach. Raises `Forbidden` for a user that is beyond it."""
    reach = reach_of(caller)
    if reach.user_id not in (None, user_id) and reach.external_user_id != user_id:
        raise Forbidden("this key may only see usage of its own user")
    return reach


def to_wire_stats(user_id: str, params: StatsParams, days: Iterable[UsageBucket]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    by_model: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    by_date: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for day in days:
        for (model,), numbers in day.rows:
            figures = {name: number or 0 for name, number in zip(MEASURES, numbers, strict=True)}
            for sums in (total, by_model[model], by_date[instant_text(day.window.start_us)[:10]]):
                sums.update(figures)
    models = [{"model": model, "requests": sums["requests"], **_figures(sums)} for model, sums in by_model.items()]
    whole = _figures(total)
    return {
        "userId": user_id,
        "startDate": params.startDate,
        "endDate": params.endDate,
        "totalRequests": total["requests"],
        "totalCostUsd": whole.pop("costUsd"),
        **whole,
        "modelUsage": sorted(models, key=lambda shown: (-shown["totalTokens"], shown["model"] or "")),
        "dailyUsage": [
            {"date": date, "requests": sums["requests"], **_figures(sums)} for date, sums in by_date.items()
        ],
    }


def _span(name: str, text: str | None) -> TimeWindow | None:
    return None if text is None else span_of(text, "query", name)


def _possible(instant_us: int) -> int:
    return min(max(instant_us, _EARLIEST_US), _LATEST_US)


def _figures(sums: Counter[str]) -> dict[str, Any]:
    return {
        "promptTokens": sums["input_tokens"],
        "completionTokens": sums["output_tokens"],
        "totalTokens": sums["input_tokens"] + sums["output_tokens"],
        "costUsd": to_wire_number(sums["cost_usd"], 12),
        "unpricedRequests": sums["unpriced_requests"],
    }
