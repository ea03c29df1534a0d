"""From submissions to columns: light Arrow arrays for what differs within a flush, parameters for what does not.

DuckDB binds every column of a statement, so an `INSERT` names only the columns that hold something.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import nanoarrow as na
from nanoarrow.c_array import CArray

from tallybook.metering.event import Submission, UsageEvent

Values = Sequence[Any]

UUID = na.extension_type(na.fixed_size_binary(16), "arrow.uuid", b"")
_TYPES = {str: na.string(), int: na.int64(), bool: na.bool_()}

# Fields of an event that stand in `facts` under their own name; the rest is filled in, spread over columns or told by
# `pricing`.
_SPREAD = {"id", "usage", "cost_pico", "occurred_at_us", "user_id", "api_key_id", "project_id", "unreported"}
_EVENT_COLUMNS = tuple((name, name not in _SPREAD) for name in UsageEvent.__struct_fields__)


Columns = Mapping[str, Values]


def joined(parts: Sequence[Columns]) -> dict[str, Values]:
    """The columns of several batches below each other; what a batch lacks is null."""
    if len(parts) == 1:
        return dict(parts[0])
    whole: dict[str, Values] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        values: list[Any] = []
        for part in parts:
            values.extend(part.get(name) or [None] * len(part["uid"]))
        whole[name] = values
    return whole


def fact_parts(rows: Sequence[Submission], *, revision: int) -> list[Columns]:
    """The columns of `facts` for these rows, some rows at a time, without those of the commit.

    By name; what has no value in a part is left out of it. Each event is walked through many times, so no more are
    taken at once than stay near the processor.
    """
    return [_fact_values(rows[start : start + _NEAR], revision) for start in range(0, len(rows), _NEAR)]


_NEAR = 250


def request_key_columns(rows: Sequence[Submission], seq: int) -> Columns:
    """The columns of `request_keys` for these rows of one commit."""
    return {
        "key": [row.request_key for row in rows],
        "uid": [row.uid for row in rows],
        "occurred_at": [row.occurred_at_us for row in rows],
        "seq": [seq] * len(rows),
    }


def _fact_values(rows: Sequence[Submission], revision: int) -> Columns:
    columns: dict[str, Values] = {
        "org_id": [row.org_id for row in rows],
        "uid": [row.uid for row in rows],
        "revision": [revision] * len(rows),
        "recorded_by": [row.recorded_by for row in rows],
        "occurred_at": [row.occurred_at_us for row in rows],
        "event_id": [row.event_id for row in rows],
        "user_id": [row.user_id for row in rows],
        "api_key_id": [row.api_key_id for row in rows],
        "project_id": [row.project_id for row in rows],
    }
    told = zip(*[msgspec.structs.astuple(row.event) for row in rows], strict=True)
    columns.update({name: values for (name, is_column), values in zip(_EVENT_COLUMNS, told, strict=True) if is_column})
    columns.update(_spread([row.event.usage for row in rows], "{}"))
    columns.update(_spread([dict(row.rating.lines) for row in rows], "cost_{}"))
    columns.update(_spread([dict(row.rating.pools) for row in rows], "pool_{}"))
    columns["pricing"] = [row.rating.pricing._value_ for row in rows]
    columns["price_id"] = [row.rating.price_id for row in rows]
    columns["matched"] = [row.rating.matched for row in rows]
    columns["unpriced_units"] = [",".join(row.rating.unpriced_units) or None for row in rows]
    columns["cost"] = [row.rating.cost_pico for row in rows]
    columns["known_cost"] = [row.rating.known_cost_pico for row in rows]
    return {name: values for name, values in columns.items() if not _is_one(values, None)}


def _spread(mappings: Sequence[Mapping[str, int]], column: str) -> dict[str, Values]:
    names = sorted(set().union(*mappings))
    return {column.format(name): [mapping.get(name) for mapping in mappings] for name in names}


def batch_of(columns: Mapping[str, Values], length: int) -> tuple[na.Array, list[str], list[Any]]:
    """An Arrow table of the columns that vary, the SELECT expression of every column, the parameters of the rest."""
    varying: dict[str, CArray] = {}
    expressions: list[str] = []
    parameters: list[Any] = []
    for name, values in columns.items():
        if length > 1 and not isinstance(values[0], bytes) and _is_one(values, values[0]):
            expressions.append("?")
            parameters.append(values[0])
        else:
            expressions.append(name)
            varying[name] = _column(values)
    schema = na.struct(
        {name: UUID if column.schema.format == "w:16" else column.schema for name, column in varying.items()}
    )
    table = na.c_array_from_buffers(schema, length, [None], children=list(varying.values()))
    return na.Array(table), expressions, parameters


def _is_one(values: Values, value: Any) -> bool:
    """Whether all values are this one. The ends nearly always tell."""
    return values[0] == values[-1] == value and values.count(value) == len(values)


def _column(values: Values) -> CArray:
    sample = next(value for value in values if value is not None)
    if isinstance(sample, bytes):
        return na.c_array_from_buffers(UUID, len(values), [None, b"".join(values)])
    if type(sample) is int and None not in values:
        return na.c_array_from_buffers(na.int64(), len(values), [None, array("q", values)])
    return na.c_array(values, _TYPES[type(sample)])
