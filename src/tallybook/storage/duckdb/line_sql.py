"""Cost lines as DuckDB SQL: the cost columns of the facts summed up, then turned into one row for each. Pure."""

from collections.abc import Iterable

from tallybook.analytics.plan import LinePlan, Span
from tallybook.analytics.query import GIVEN, LineItem
from tallybook.storage.duckdb.in_force import Sql, in_force, joined
from tallybook.storage.duckdb.usage_sql import LINES, POOLED, chosen, grouping


def charged(span: Span) -> Sql:
    """One row: for each of `LINES`, whether any fact of the span was charged for it."""
    return Sql("SELECT " + ", ".join(f"count(cost_{unit}) > 0" for unit in LINES)) + in_force(span, corrected=False)


def lines(plan: LinePlan, units: Iterable[str], *, corrected: bool) -> Sql:
    """Rows of (bucket, grouped values…, model, unit, cost, quantity), in the order of `UsageStore.lines`.

    `units` are those that are charged for in the span: each that is summed up takes its time.
    """
    keys = [*grouping(plan.counted), Sql("fact.model AS line_model")]
    order = ", ".join(f"{ordinal} NULLS LAST" for ordinal in range(1, len(keys) + 2))
    # Summed first: a row for each line of each event would be many times as many.
    summed = (
        Sql("SELECT")
        + joined(", ", keys)
        + Sql(f", unnest([{', '.join(_summed_lines(units))}], recursive := true)")
        + chosen(plan.counted, corrected=corrected)
        + Sql("AND cost IS NOT NULL GROUP BY " + ", ".join(str(ordinal) for ordinal in range(1, len(keys) + 1)))
    )
    return (
        Sql("SELECT * FROM (")
        + summed
        + Sql(") WHERE line_cost > 0")
        + _wanted(plan.line_items)
        + Sql(f"ORDER BY {order} LIMIT ?", (plan.counted.rows_max + 1,))
    )


def _summed_lines(units: Iterable[str]) -> Iterable[str]:
    for unit in units:
        quantity = f"sum({_quantity(unit)}) FILTER (WHERE cost_{unit} IS NOT NULL)"
        yield _line(unit, f"sum(cost_{unit})", quantity)
    yield _line(GIVEN, f"sum(cost) FILTER (WHERE pricing = '{GIVEN}')", "NULL::HUGEINT")


def _line(unit: str, cost: str, quantity: str) -> str:
    return f"{{'line_unit': '{unit}', 'line_cost': {cost}, 'line_quantity': {quantity}}}"


def _quantity(unit: str) -> str:
    if unit == "requests":
        return "coalesce(requests, 1)"
    return f"coalesce(pool_{unit}, {unit})" if unit in POOLED else unit


def _wanted(items: Iterable[LineItem]) -> Sql:
    either = [Sql("line_model IS NOT DISTINCT FROM ? AND line_unit = ?", (item.model, item.unit)) for item in items]
    return Sql("AND (") + joined(" OR ", either) + Sql(")") if either else Sql("")
