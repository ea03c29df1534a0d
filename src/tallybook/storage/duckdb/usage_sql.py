"""Questions about usage as DuckDB SQL: values of text and parameters, run by `reading.py`. Pure."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from tallybook.analytics.plan import AggregatePlan, ListPlan, Slices, Span
from tallybook.analytics.query import MEASURES, Condition, Dimension, Measure, Value
from tallybook.core.counters import COUNTERS, PARTS, Aggregate
from tallybook.core.time_window import DAY_US
from tallybook.storage.duckdb.in_force import Sql, in_force, is_voided, joined, one_of

_REQUESTS = "coalesce(requests, 1)"
# Orgs name their sessions alone: the same id in two orgs is two sessions.
_NAMED_SESSIONS = "count(DISTINCT (org_id, session_id)) FILTER (WHERE session_id IS NOT NULL)"
_UNCACHED = "coalesce(input_tokens, 0) - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0)"
_UNCACHED_AUDIO = f"least(coalesce(input_audio_tokens, 0) - coalesce(cache_read_audio_tokens, 0), {_UNCACHED})"
_UNCACHED_IMAGE = (
    f"least(coalesce(input_image_tokens, 0) - coalesce(cache_read_image_tokens, 0), {_UNCACHED} - {_UNCACHED_AUDIO})"
)
_MEASURED = {
    "requests": f"sum({_REQUESTS})",
    "cost_usd": "coalesce(sum(cost), 0)",
    "known_cost_usd": "sum(known_cost)",
    "events": "count(*)",
    "unpriced_events": "count(*) FILTER (WHERE cost IS NULL)",
    "operations": "coalesce(sum(coalesce(operations, CASE WHEN kind = 'sandbox' THEN 1 END)), 0)",
    "uncached_audio_tokens": f"sum({_UNCACHED_AUDIO})",
    "uncached_image_tokens": f"sum({_UNCACHED_IMAGE})",
    "web_search_calls": f"sum(coalesce(web_searches, {_REQUESTS}))",
    "sessions": f"{_NAMED_SESSIONS} + count(*) FILTER (WHERE session_id IS NULL)",
    "unpriced_requests": f"coalesce(sum({_REQUESTS}) FILTER (WHERE cost IS NULL), 0)",
}

FIELDS = (
    "source",
    "kind",
    "user_id",
    "external_user_id",
    "project_id",
    "team_id",
    "api_key_id",
    "account_id",
    "transaction_id",
    "session_id",
    "context",
    "image_size",
    "image_quality",
    "image_operation",
    "vector_store_id",
    "context_level",
    "api_source",
    "session_kind",
    "provider",
    "model",
    "operation",
    "endpoint",
    "service_tier",
    "batch",
    "background",
    "stream",
    "request_id",
    "finish_reason",
    "description",
    "metadata",
    "api_key_used",
    "latency_ms",
    "ttft_ms",
)
"""Columns that an event shows under their own name when they are set."""

LINES = tuple(name for name, counter in COUNTERS.items() if counter.aggregate is Aggregate.SUM)
"""Counters that have a cost column."""

_OVERLAPPING = set(PARTS) | {part for groups in PARTS.values() for group in groups for part in group}
POOLED = tuple(name for name in LINES if name in _OVERLAPPING)
"""Counters that overlap with others: a line may be charged for less than they hold."""

EVENT_COLUMNS = (
    "uid",
    "org_id",
    "revision",
    "seq",
    "occurred_at",
    "recorded_at",
    "event_id",
    "pricing",
    "price_id",
    "matched",
    "cost",
    "known_cost",
    "unpriced_units",
    "refunded",
    *FIELDS,
    *COUNTERS,
    *(f"cost_{name}" for name in LINES),
    *(f"pool_{name}" for name in POOLED),
    "voided",
)


def aggregate(plan: AggregatePlan, *, corrected: bool, in_64_bits: bool = False) -> Sql:
    """Rows of (bucket, grouped values…, measures…), ascending by bucket and group, None last.

    `in_64_bits`: a number that does not fit is None.
    """
    keys = grouping(plan)
    numbers = [Sql(_number(MEASURES[name])) for name in plan.measures]
    if in_64_bits:
        numbers = [Sql("TRY_CAST(") + number + Sql("AS BIGINT)") for number in numbers]
    ordinals = range(1, len(keys) + 1)
    return (
        Sql("SELECT")
        + joined(", ", [*keys, *numbers])
        + chosen(plan, corrected=corrected)
        + Sql("GROUP BY " + ", ".join(map(str, ordinals)))
        + Sql("ORDER BY " + ", ".join(f"{ordinal} NULLS LAST" for ordinal in ordinals))
        + Sql("LIMIT ?", (plan.rows_max + 1,))
    )


def grouping(plan: AggregatePlan) -> list[Sql]:
    """The bucket and the grouped values, to select and group by."""
    return [_bucket(plan.slices), *(Sql(f"fact.{name}") for name in plan.group_by)]


def chosen(plan: AggregatePlan, *, corrected: bool) -> Sql:
    """`FROM … WHERE …`: the facts that a plan counts. Further conditions follow with AND."""
    return in_force(plan.span, corrected=corrected) + _and(map(_holds, plan.conditions))


def newest(plan: ListPlan, uids: Sequence[UUID] | None, *, corrected: bool) -> Sql:
    """Rows of (occurred_at, uid), newest first from the offset on, one more than the limit. `uids`: of these only."""
    return (
        Sql("SELECT occurred_at, uid")
        + listed(plan, uids, corrected=corrected)
        + Sql("ORDER BY occurred_at DESC, uid DESC LIMIT ? OFFSET ?", (plan.limit + 1, plan.offset))
    )


def listed(plan: ListPlan, uids: Sequence[UUID] | None = None, *, corrected: bool) -> Sql:
    """`FROM … WHERE …`: the facts that a plan lists, on all its pages. `uids`: of these only."""
    return in_force(plan.span, corrected=corrected) + _and(_list_conditions(plan, uids))


def events(span: Span, uids: Sequence[UUID], conditions: Iterable[Condition] = (), *, corrected: bool) -> Sql:
    """Rows of `EVENT_COLUMNS`, in no order: to sort so many columns takes longer to plan than all the rest.

    Not `corrected`: every revision, in force or not.
    """
    return (
        _event_columns(span, corrected=corrected)
        + in_force(span, corrected=corrected)
        + _and([one_of("fact.uid", uids), *map(_holds, conditions)])
    )


def listed_events(plan: ListPlan, uids: Sequence[UUID], *, corrected: bool) -> Sql:
    """As `events`, of those that a plan lists on all its pages."""
    return _event_columns(plan.span, corrected=corrected) + listed(plan, uids, corrected=corrected)


def _event_columns(span: Span, *, corrected: bool) -> Sql:
    voided = is_voided(span) if corrected and span.with_voided else Sql("false")
    return Sql("SELECT " + ", ".join(EVENT_COLUMNS[:-1]) + ",") + voided


def located(identities: Sequence[UUID], requests: Sequence[UUID]) -> Sql:
    """Rows of (occurred_at, uid): every event that one of these identities or request keys leads to."""
    # A request key by itself is found by the least and greatest of each part of a run; several together are not.
    each = [[key] for key in requests] if len(requests) <= _APART_MAX else [requests]
    found = [Sql("SELECT occurred_at, uid FROM keys WHERE") + one_of("key", identities)]
    found += [Sql("SELECT occurred_at, uid FROM request_keys WHERE") + one_of("key", keys) for keys in each]
    return joined(" UNION ", found)


_APART_MAX = 4


def counted_by_day(plan: ListPlan, *, corrected: bool) -> Sql:
    """Rows of (day since 1970, events listed), newest first."""
    return (
        Sql(f"SELECT occurred_at // {DAY_US}, count(*)")
        + listed(plan, corrected=corrected)
        + Sql("GROUP BY 1 ORDER BY 1 DESC")
    )


def counted(plan: ListPlan, *, corrected: bool) -> Sql:
    """How many events a plan lists on all its pages."""
    return Sql("SELECT count(*)") + listed(plan, corrected=corrected)


def has_any(span: Span, dimension: Dimension, values: Iterable[Value]) -> Sql:
    """Whether any fact of the span, in force or not, has one of the values."""
    return (
        Sql("SELECT EXISTS (SELECT 1")
        + in_force(span, corrected=False)
        + _and([one_of(f"fact.{dimension}", values)])
        + Sql(")")
    )


def _bucket(slices: Slices | None) -> Sql:
    if slices is None:
        return Sql("0")
    number = Sql("(occurred_at - ?) // ?", (slices.origin_us, slices.step_us))
    if slices.lookup is None:
        return number
    return Sql("list_extract(?::INTEGER[],", (slices.lookup,)) + number + Sql("+ 1)")


def _number(measure: Measure) -> str:
    if measure.name in _MEASURED:
        return _MEASURED[measure.name]
    return f"max({measure.name})" if measure.aggregate is Aggregate.MAX else f"coalesce(sum({measure.name}), 0)"


def _list_conditions(plan: ListPlan, uids: Sequence[UUID] | None) -> Iterable[Sql]:
    yield from map(_holds, plan.conditions)
    if plan.ids:
        yield one_of("event_id", plan.ids)
    if plan.sources:
        yield one_of("source", plan.sources)
    if plan.request_ids:
        yield one_of("coalesce(request_id, event_id)", plan.request_ids)
    if uids is not None:
        yield one_of("fact.uid", uids)
    if plan.after is not None:
        # The window already ends with the instant of the last event; this leaves out what stood before it.
        yield Sql("NOT (occurred_at = ? AND uid >= ?)", (plan.after.occurred_at_us, UUID(plan.after.uid)))


def _holds(condition: Condition) -> Sql:
    either = [one_of(f"fact.{dimension}", condition.values) for dimension in condition.dimensions]
    holds = Sql("(") + joined(" OR ", either) + Sql(")")
    return Sql("NOT coalesce(") + holds + Sql(", false)") if condition.excluded else holds


def _and(conditions: Iterable[Sql]) -> Sql:
    return joined(" ", [Sql("AND") + condition for condition in conditions])
