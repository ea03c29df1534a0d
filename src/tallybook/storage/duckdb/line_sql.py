"""Cost lines as DuckDB SQL: the cost columns of the facts summed up, then turned into one row for each. Pure."""

from collections.abc import Iterable, Sequence

from tallybook.analytics.plan import LinePlan, Span
from tallybook.analytics.query import GIVEN, LineItem
from tallybook.pricing.cost import Pricing
from tallybook.storage.duckdb.in_force import Sql, facts, joined
from tallybook.storage.duckdb.usage_sql import LINES, POOLED, addends, conditions_of, grouping, key, value

_GIVEN_COST = f"CASE WHEN pricing = '{Pricing.GIVEN.value}' THEN cost END"


def charged(span: Span) -> Sql:
    """One row: for each of `LINES`, whether any fact of the span was charged for it."""
    return Sql("SELECT " + ", ".join(f"count(cost_{unit}) > 0" for unit in LINES)) + facts(span)


def lines(plan: LinePlan, units: Sequence[str], *, corrected: bool) -> Sql:
    """Rows of (bucket, grouped values…, model, unit, cost, quantity), in the order of `UsageStore.lines`.

    `units` are those that are charged for in the span: each that is summed up takes its time.
    """
    keys = [*grouping(plan.counted), Sql("fact.model")]
    values = [each for unit in units for each in _charged_for(unit)] + [_GIVEN_COST]
    conditions = conditions_of(plan.counted) + Sql("AND cost IS NOT NULL")
    grouped = [key(number) for number in range(len(keys))]
    # Summed first: a row for each line of each event would be many times as many.
    each_line = f"unnest([{', '.join(_summed(units))}], recursive := true)"
    summed = (
        Sql(f"SELECT {', '.join(grouped)} AS line_model, {each_line} FROM (")
        + addends(plan.counted.span, conditions, keys, values, corrected=corrected)
        + Sql(f") GROUP BY {', '.join(grouped)}")
    )
    order = ", ".join(f"{ordinal} NULLS LAST" for ordinal in range(1, len(keys) + 2))
    return (
        Sql("SELECT * FROM (")
        + summed
        + Sql(") WHERE line_cost > 0")
        + _wanted(plan.line_items)
        + Sql(f"ORDER BY {order} LIMIT ?", (plan.counted.rows_max + 1,))
    )


def _charged_for(unit: str) -> Iterable[str]:
    """What an event cost for a unit, and how many that was for."""
    yield f"cost_{unit}"
    yield f"CASE WHEN cost_{unit} IS NOT NULL THEN {_quantity(unit)} END"


def _summed(units: Sequence[str]) -> Iterable[str]:
    for number, unit in enumerate(units):
        yield _line(unit, f"sum({value(2 * number)})", f"sum({value(2 * number + 1)})")
    yield _line(GIVEN, f"sum({value(2 * len(units))})", "NULL::HUGEINT")


def _line(unit: str, cost: str, quantity: str) -> str:
    return f"{{'line_unit': '{unit}', 'line_cost': {cost}, 'line_quantity': {quantity}}}"


def _quantity(unit: str) -> str:
    if unit == "requests":
        return "coalesce(requests, 1)"
    return f"coalesce(pool_{unit}, {unit})" if unit in POOLED else unit


def _wanted(items: Iterable[LineItem]) -> Sql:
    either = [Sql("line_model IS NOT DISTINCT FROM ? AND line_unit = ?", (item.model, item.unit)) for item in items]
    return Sql("AND (") + joined(" OR ", either) + Sql(")") if either else Sql("")
