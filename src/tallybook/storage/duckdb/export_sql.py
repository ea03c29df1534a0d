"""Events as a file that DuckDB writes: one row for each that is in force, the same columns in every format. Pure."""

from collections.abc import Iterator
from itertools import starmap
from pathlib import Path

from tallybook.analytics.export import FileFormat
from tallybook.analytics.plan import ListPlan
from tallybook.core.counters import COUNTERS
from tallybook.storage.duckdb.in_force import Sql
from tallybook.storage.duckdb.usage_sql import FIELDS, LINES, listed

# Several threads write as they come: to keep an order, DuckDB would gather the whole file in memory.
_OPTIONS = {
    FileFormat.CSV: "FORMAT csv, HEADER, PRESERVE_ORDER false",
    # Lines of JSON that are whole already; no JSON has this delimiter in it.
    FileFormat.NDJSON: "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', PRESERVE_ORDER false",
    FileFormat.PARQUET: "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440, PRESERVE_ORDER false",
}
_WHOLE = ("org_id", "revision", "seq")
# A product of decimals is exact; a quotient would be a binary float. 19 digits hold every stored integer.
_SCALED = "{}::DECIMAL(19, 0) * {}"
_PICO, _MICRO = "0.000000000001::DECIMAL(12, 12)", "0.000001::DECIMAL(6, 6)"


def export(plan: ListPlan, file_format: FileFormat, path: Path, *, corrected: bool) -> Sql:
    """Writes all events of the plan, whatever its limit."""
    columns = _columns(file_format)
    if file_format is FileFormat.NDJSON:
        selected = f"'{{' || concat_ws(',', {', '.join(starmap(_member, columns))}) || '}}'"
    else:
        selected = ", ".join(f'{expression} AS "{name}"' for name, expression in columns)
    quoted = str(path).replace("'", "''")
    return (
        Sql(f"COPY (SELECT {selected}")
        + listed(plan, corrected=corrected)
        + Sql(f") TO '{quoted}' ({_OPTIONS[file_format]})")
    )


def _columns(file_format: FileFormat) -> Iterator[tuple[str, str]]:
    """Names as on the wire, and what they are made of."""
    yield "uid", "fact.uid::VARCHAR"
    yield from ((name, f"fact.{name}") for name in _WHOLE)
    yield "id", "event_id"
    yield "occurred_at", _instant("occurred_at", file_format)
    yield "recorded_at", _instant("recorded_at", file_format)
    yield from ((name, f"fact.{name}") for name in FIELDS if name != "request_id")
    yield "request_id", "coalesce(request_id, event_id)"
    for name, counter in COUNTERS.items():
        stored = "coalesce(requests, 1)" if name == "requests" else name
        yield name, _decimal(stored, _MICRO, 6, file_format) if counter.is_decimal else stored
    yield from ((name, f"fact.{name}") for name in ("pricing", "price_id", "matched", "unpriced_units"))
    yield "cost_usd", _decimal("cost", _PICO, 12, file_format)
    yield "known_cost_usd", _decimal("known_cost", _PICO, 12, file_format)
    yield "refunded", "coalesce(refunded, false)"
    yield from ((f"{name}_usd", _decimal(f"cost_{name}", _PICO, 12, file_format)) for name in LINES)


def _member(name: str, expression: str) -> str:
    """Of a JSON object; null, and so left out, where there is nothing. DuckDB's own objects take four times as long."""
    return f"""'"{name}":' || to_json({expression})::VARCHAR"""


def _instant(column: str, file_format: FileFormat) -> str:
    if file_format is FileFormat.PARQUET:
        return f"make_timestamptz({column})"
    return f"replace(strftime(make_timestamp({column}), '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z')"


def _decimal(column: str, unit: str, decimals: int, file_format: FileFormat) -> str:
    number = f"({_SCALED.format(column, unit)})"
    if file_format is FileFormat.PARQUET:
        return f"{number}::DECIMAL(38, {decimals})"
    return f"rtrim(rtrim({number}::VARCHAR, '0'), '.')"
