"""Questions about usage as DuckDB SQL: values of text and parameters, run by `reading.py`. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from tallybook.analytics.plan import AggregatePlan, ListPlan, Slices, Span
from tallybook.analytics.query import MEASURES, Condition, Dimension, Measure, Value
from tallybook.core.counters import COUNTERS, PARTS, Aggregate
from tallybook.core.time_window import DAY_US, TimeWindow
from tallybook.storage.duckdb import key_generations
from tallybook.storage.duckdb.in_force import SHOWN, Sql, facts, in_force, is_voided, joined, one_of, superseded
from tallybook.storage.duckdb.key_filters import Places

_REQUESTS = "coalesce(requests, 1)"
_UNCACHED = "coalesce(input_tokens, 0) - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0)"
_UNCACHED_AUDIO = f"least(coalesce(input_audio_tokens, 0) - coalesce(cache_read_audio_tokens, 0), {_UNCACHED})"
_UNCACHED_IMAGE = (
    f"least(coalesce(input_image_tokens, 0) - coalesce(cache_read_image_tokens, 0), {_UNCACHED} - {_UNCACHED_AUDIO})"
)
_VALUES = {
    "requests": _REQUESTS,
    "cost_usd": "cost",
    "known_cost_usd": "known_cost",
    "events": "1",
    "unpriced_events": "CASE WHEN cost IS NULL THEN 1 END",
    "operations": "coalesce(operations, CASE WHEN kind = 'sandbox' THEN 1 END)",
    "uncached_audio_tokens": _UNCACHED_AUDIO,
    "uncached_image_tokens": _UNCACHED_IMAGE,
    "web_search_calls": f"coalesce(web_searches, {_REQUESTS})",
    # Orgs name their sessions alone: the same id in two orgs is two sessions.
    "sessions": "CASE WHEN session_id IS NOT NULL THEN (org_id, session_id) END",
    "unpriced_requests": f"CASE WHEN cost IS NULL THEN {_REQUESTS} END",
}
"""What an event gives to a measure, where that is not the counter of its name."""
_SESSIONS = "count(DISTINCT {0}) + count(*) FILTER (WHERE {0} IS NULL)"

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

_OF_EACH = ("uid", "org_id", "revision", "seq", "occurred_at", "recorded_at", "event_id", "pricing", "known_cost")

EVENT_COLUMNS = (
    *_OF_EACH,
    "price_id",
    "matched",
    "cost",
    "unpriced_units",
    "refunded",
    *FIELDS,
    *COUNTERS,
    *(f"cost_{name}" for name in LINES),
    *(f"pool_{name}" for name in POOLED),
)
"""All that is read of an event."""


def columns_of(wanted: Sequence[str] | None) -> Sequence[str]:
    """What is read of an event of which these fields and counters are wanted; None: all."""
    return EVENT_COLUMNS if wanted is None else (*_OF_EACH, *wanted)


def aggregate(plan: AggregatePlan, tables: Sequence[str], *, corrected: bool, in_64_bits: bool = False) -> Sql:
    """Rows of (bucket, grouped values…, measures…), ascending by bucket and group, None last.

    `tables`: those of the facts; of a plan that does not add up only what is shown is read. `in_64_bits`: a number that
    does not fit is None.
    """
    measures = [MEASURES[name] for name in plan.measures]
    keys, values, conditions = grouping(plan), _values_of(plan), conditions_of(plan)
    if adds_up(plan):
        rows = addends(plan.span, conditions, keys, values, tables, corrected=corrected)
    else:
        rows = _selected(keys, "1", values) + in_force(plan.span, corrected=corrected) + conditions
    numbers = [_number(measure, value(number)) for number, measure in enumerate(measures)]
    if in_64_bits:
        numbers = [f"TRY_CAST({number} AS BIGINT)" for number in numbers]
    grouped = [key(number) for number in range(len(keys))]
    return (
        Sql(f"SELECT {', '.join([*grouped, *numbers])} FROM (")
        + rows
        + Sql(f") GROUP BY {', '.join(grouped)} HAVING sum(present) > 0")
        + Sql("ORDER BY " + ", ".join(f"{name} NULLS LAST" for name in grouped))
        + Sql("LIMIT ?", (plan.rows_max + 1,))
    )


def adds_up(plan: AggregatePlan) -> bool:
    """Whether the answers about parts of the facts can be added up to that about all of them."""
    return all(_adds_up(MEASURES[name]) for name in plan.measures)


def sums_between(plan: AggregatePlan, after: int, until: int, tables: Sequence[str]) -> Sql:
    """Rows of (bucket, grouped values…, facts, sums…), in no order, of the facts of these commits, in force or not."""
    commits = Sql("fact.seq > ? AND fact.seq <= ?", (after, until))
    return _sums(plan, [_added(plan, plan.span, commits, table) for table in tables])


def sums_besides(plan: AggregatePlan, window: TimeWindow, until: int, tables: Sequence[str], *, corrected: bool) -> Sql:
    """As `sums_between`, of all that `aggregate` counts besides the facts of the window and the commits `until` then.

    With those the rows add up to the facts in force. The window is a part of the plan's. Facts after `until`, the end
    of a run, are in no volume.
    """
    whole = plan.span.window
    edges = TimeWindow(whole.start_us, window.start_us), TimeWindow(window.end_us, whole.end_us)
    added = [_added(plan, replace(plan.span, window=window), Sql("fact.seq > ?", (until,)))]
    added += [
        _added(plan, replace(plan.span, window=edge), table=table)
        for edge in edges
        if edge.start_us < edge.end_us
        for table in tables
    ]
    if corrected:
        added.append(_superseded(plan.span, conditions_of(plan), grouping(plan), _values_of(plan)))
    return _sums(plan, added)


def _sums(plan: AggregatePlan, added: Iterable[Sql]) -> Sql:
    grouped = [key(number) for number in range(1 + len(plan.group_by))]
    sums = [f"coalesce(sum({value(number)}), 0)" for number in range(len(plan.measures))]
    return (
        Sql(f"SELECT {', '.join([*grouped, 'sum(present)', *sums])} FROM (")
        + joined(" UNION ALL ", added)
        + Sql(f") GROUP BY {', '.join(grouped)}")
    )


def _added(plan: AggregatePlan, span: Span, commits: Sql | None = None, table: str = "facts") -> Sql:
    return _selected(grouping(plan), "1", _values_of(plan)) + facts(span, commits, table) + conditions_of(plan)


def _values_of(plan: AggregatePlan) -> list[str]:
    return [_VALUES.get(name, name) for name in plan.measures]


def grouping(plan: AggregatePlan) -> list[Sql]:
    """The bucket and the grouped values, to select and group by."""
    return [_bucket(plan.slices), *(Sql(f"fact.{name}") for name in plan.group_by)]


def conditions_of(plan: AggregatePlan) -> Sql:
    """Which facts of its span a plan counts, to follow with AND."""
    return _and(map(_holds, plan.conditions))


def addends(
    span: Span,
    conditions: Sql,
    keys: Sequence[Sql],
    values: Sequence[str],
    tables: Sequence[str] = SHOWN,
    *,
    corrected: bool,
) -> Sql:
    """Rows of `key(0)…`, `present`, `value(0)…` whose sums are those of the facts in force.

    What is superseded stands among them twice, as it was and with its opposite. `present` adds up to how many facts
    are in force. `corrected` as in `in_force`, but several times as fast: no uid is read.
    """
    rows = [_selected(keys, "1", values) + facts(span, table=table) + conditions for table in tables]
    if corrected:
        rows.append(_superseded(span, conditions, keys, values))
    return joined(" UNION ALL ", rows)


def _superseded(span: Span, conditions: Sql, keys: Sequence[Sql], values: Sequence[str]) -> Sql:
    return _selected(keys, "-1", [f"-({each})" for each in values]) + superseded(span) + conditions


def key(number: int) -> str:
    return f"key_{number}"


def value(number: int) -> str:
    return f"value_{number}"


def _selected(keys: Sequence[Sql], present: str, values: Sequence[str]) -> Sql:
    named = [each + Sql(f"AS {key(number)}") for number, each in enumerate(keys)]
    rest = [f"{present} AS present", *(f"{each} AS {value(number)}" for number, each in enumerate(values))]
    return Sql("SELECT") + joined(", ", [*named, *map(Sql, rest)])


def _adds_up(measure: Measure) -> bool:
    return measure.aggregate is Aggregate.SUM and measure.name != "sessions"


def _number(measure: Measure, values: str) -> str:
    if measure.name == "sessions":
        return _SESSIONS.format(values)
    return f"max({values})" if measure.aggregate is Aggregate.MAX else f"coalesce(sum({values}), 0)"


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


def events(
    columns: Sequence[str], span: Span, uids: Sequence[UUID], conditions: Iterable[Condition] = (), *, corrected: bool
) -> Sql:
    """Rows of these columns and `voided`, in no order: to sort so many takes longer to plan than all the rest.

    Not `corrected`: every revision, in force or not.
    """
    return (
        _event_columns(columns, span, corrected=corrected)
        + in_force(span, corrected=corrected)
        + _and([one_of("fact.uid", uids), *map(_holds, conditions)])
    )


def revisions(columns: Sequence[str], span: Span, uids: Sequence[UUID]) -> Sql:
    """As `events`, every revision; `voided`: whether a correction has ended it."""
    return _with_voided(columns, is_voided(span)) + facts(span) + _and([one_of("fact.uid", uids)])


def listed_events(
    columns: Sequence[str], plan: ListPlan, uids: Sequence[UUID] | None = None, *, corrected: bool
) -> Sql:
    """As `events`, of those that a plan lists on all its pages. `uids`: of these only."""
    return _event_columns(columns, plan.span, corrected=corrected) + listed(plan, uids, corrected=corrected)


def _event_columns(columns: Sequence[str], span: Span, *, corrected: bool) -> Sql:
    return _with_voided(columns, is_voided(span) if corrected and span.with_voided else Sql("false"))


def _with_voided(columns: Sequence[str], voided: Sql) -> Sql:
    return Sql("SELECT") + joined(", ", [*map(Sql, columns), voided + Sql("AS voided")])


def located(identities: Sequence[bytes], older: Places, newest: int, requests: Sequence[bytes]) -> Sql:
    """Rows of (occurred_at, uid), some twice: every event that one of these identities or request keys leads to.

    `older`: where the identities may stand in generations, of which `newest` is the last.
    """
    found = [_keyed("keys WHERE", identities)]
    if older.known < newest:
        found.append(_keyed(f"older_keys WHERE generation > {older.known} AND", identities))
    for generations, some in older.generations.items():
        found += _apart(f"older_keys WHERE {key_generations.among(generations)} AND", some)
    return joined(" UNION ALL ", [*found, *_apart("request_keys WHERE", requests)])


def _apart(where: str, keys: Sequence[bytes]) -> Iterable[Sql]:
    # A key by itself is found by the least and greatest of each sorted part; several together are not.
    each = [[key] for key in keys] if len(keys) <= _APART_MAX else [keys]
    return [_keyed(where, some) for some in each]


def _keyed(where: str, keys: Sequence[bytes]) -> Sql:
    return Sql(f"SELECT occurred_at, uid FROM {where}") + one_of("key", [UUID(bytes=key) for key in keys])


_APART_MAX = 4


def counted_by_day(plan: ListPlan, tables: Sequence[str], *, corrected: bool) -> Sql:
    """Rows of (day since 1970, events listed), newest first."""
    days = [Sql(f"occurred_at // {DAY_US}")]
    rows = addends(plan.span, _and(_list_conditions(plan)), days, [], tables, corrected=corrected)
    return (
        Sql(f"SELECT {key(0)}, sum(present) FROM (")
        + rows
        + Sql(f") GROUP BY {key(0)} HAVING sum(present) > 0 ORDER BY {key(0)} DESC")
    )


def counted(plan: ListPlan, *, after: int, corrected: bool) -> Sql:
    """How many of the facts of the commits `after` that one a plan lists, less all that are superseded."""
    conditions = _and(_list_conditions(plan))
    counted_facts = _counted_facts(plan, Sql("fact.seq > ?", (after,)))
    if not corrected:
        return counted_facts
    return Sql("SELECT (") + counted_facts + Sql(") - (SELECT count(*)") + superseded(plan.span) + conditions + Sql(")")


def counted_between(plan: ListPlan, after: int, until: int, tables: Sequence[str]) -> Sql:
    """How many facts of these commits a plan lists, in force or not."""
    commits = Sql("fact.seq > ? AND fact.seq <= ?", (after, until))
    counts = [Sql("(") + _counted_facts(plan, commits, table) + Sql(")") for table in tables]
    return Sql("SELECT") + joined(" + ", counts)


def _counted_facts(plan: ListPlan, commits: Sql, table: str = "facts") -> Sql:
    return Sql("SELECT count(*)") + facts(plan.span, commits, table) + _and(_list_conditions(plan))


def has_any(span: Span, dimension: Dimension, values: Iterable[Value], table: str) -> Sql:
    """Whether any fact of the span in that table, in force or not, has one of the values."""
    found = facts(span, table=table) + _and([one_of(f"fact.{dimension}", values)])
    return Sql("SELECT EXISTS (SELECT 1") + found + Sql(")")


def _bucket(slices: Slices | None) -> Sql:
    if slices is None:
        return Sql("0::BIGINT")
    number = Sql("(occurred_at - ?) // ?", (slices.origin_us, slices.step_us))
    if not slices.turns:
        return number
    begun, turn = (
        Sql("list_extract(?::BIGINT[],", (each,)) + number + Sql("+ 1)") for each in (slices.begun, slices.turns)
    )
    return begun + Sql("+ (occurred_at >=") + turn + Sql(")::BIGINT")


def _list_conditions(plan: ListPlan, uids: Sequence[UUID] | None = None) -> Iterable[Sql]:
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
