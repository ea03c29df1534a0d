"""Between the openai wire and the analytics room."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import sub
from typing import Any

from msgspec import Raw

from tallybook.analytics.answer import LinePage, UsagePage
from tallybook.analytics.query import (
    GIVEN,
    MEASURES,
    Condition,
    Dimension,
    LineItem,
    LineQuery,
    UsageQuery,
    conditions_of,
)
from tallybook.auth.key import Caller
from tallybook.core.money import divide_half_even, plain_digits, usd_text
from tallybook.core.time_window import SECOND_US, Bucket
from tallybook.http.openai.operations import COST_GROUPS, COSTS_OBJECT, LINE_ITEM, Difference, Operation
from tallybook.http.openai.table import Table, spellings, table_of_lines, table_of_usage
from tallybook.http.openai.wire import CostParams, OrganizationParams
from tallybook.http.reach import reach_of
from tallybook.http.rows import Columns, seconds_page_json

COST_MEASURES = ("cost_usd", "unpriced_requests")

_FILTERS: Mapping[str, Dimension] = {
    "project_ids": Dimension.PROJECT_ID,
    "user_ids": Dimension.USER_ID,
    "api_key_ids": Dimension.API_KEY_ID,
    "models": Dimension.MODEL,
    "sizes": Dimension.IMAGE_SIZE,
    "sources": Dimension.IMAGE_OPERATION,
    "vector_store_ids": Dimension.VECTOR_STORE_ID,
    "context_levels": Dimension.CONTEXT_LEVEL,
}
_QUANTITY_UNITS = {"audio_seconds": "duration_seconds"}
"""Counters that this dialect calls otherwise; all kinds of tokens are `tokens`."""


def to_query(operation: Operation, params: OrganizationParams, caller: Caller) -> UsageQuery:
    return UsageQuery(
        **_asked(params, caller),
        group_by=tuple(operation.groups[name] for name in params.group_by),
        conditions=conditions_of([((Dimension.KIND,), operation.kinds)]) + _conditions(params),
        measures=operation.measures,
    )


def to_cost_query(params: CostParams, caller: Caller) -> UsageQuery:
    """A `LineQuery` where lines are asked for."""
    asked = {
        **_asked(params, caller),
        "group_by": tuple(COST_GROUPS[name] for name in _cost_names(params)),
        "conditions": _conditions(params),
    }
    if LINE_ITEM in params.group_by or params.line_items:
        return LineQuery(**asked, line_items=tuple(map(LineItem.of, sorted(set(params.line_items)))))
    return UsageQuery(**asked, measures=COST_MEASURES)


def to_wire_page(operation: Operation, params: OrganizationParams, page: UsagePage) -> bytes:
    table = table_of_usage(params.group_by, page)
    columns = {
        "object": [operation.object] * table.length,
        **_counts(operation, table),
        **_keys(operation.groups, params.group_by, table),
    }
    return seconds_page_json(page.windows, table.rows, columns, page.next_page)


def to_wire_costs(params: CostParams, page: UsagePage) -> bytes:
    """Costs of all lines together, and how many requests they do not cover because their cost is not known."""
    names = _cost_names(params)
    table = table_of_usage(names, page)
    columns = {**_costs(names, table), "unpriced_requests": table.numbers[1]}
    return seconds_page_json(page.windows, table.rows, columns, page.next_page)


def to_wire_lines(params: CostParams, page: LinePage) -> bytes:
    names = _cost_names(params)
    table = table_of_lines(names, page, by_line=LINE_ITEM in params.group_by)
    columns = {**_costs(names, table), **_lines(table.keys[-1], table.numbers[1])}
    return seconds_page_json([bucket.window for bucket in page.buckets], table.rows, columns, page.next_page)


def _asked(params: OrganizationParams, caller: Caller) -> dict[str, Any]:
    return {
        # This dialect knows no end users: whom a request was made for narrows nothing.
        "reach": replace(reach_of(caller), external_user_id=None),
        "start_us": params.start_time * SECOND_US,
        "end_us": None if params.end_time is None else params.end_time * SECOND_US,
        "bucket": Bucket(params.bucket_width),
        "whole_seconds": True,
        "limit": params.buckets,
        "page": params.page,
    }


def _conditions(params: OrganizationParams) -> tuple[Condition, ...]:
    asked = dict(params)
    batch = asked.get("batch")
    return conditions_of(
        [
            *(((dimension,), _spellings(name, asked.get(name, ()))) for name, dimension in _FILTERS.items()),
            ((Dimension.BATCH,), () if batch is None else (batch,)),
        ]
    )


def _spellings(name: str, values: Sequence[str]) -> Sequence[str]:
    return [spelling for value in values for spelling in spellings(value)] if name == "sources" else values


def _cost_names(params: CostParams) -> list[str]:
    return [name for name in params.group_by if name != LINE_ITEM]


def _counts(operation: Operation, table: Table) -> Columns:
    by_measure = dict(zip(operation.measures, table.numbers, strict=True))
    return {name: _count(parts, by_measure) for name, parts in operation.numbers.items()}


def _count(parts: Difference, by_measure: Mapping[str, Sequence[int]]) -> Sequence[int]:
    first, *others = parts
    exact = by_measure[first]
    for other in others:
        exact = list(map(sub, exact, by_measure[other]))
    decimals = MEASURES[first].decimals
    return [divide_half_even(number, 10**decimals) for number in exact] if decimals else exact


def _keys(groups: Iterable[str], names: Sequence[str], table: Table) -> Columns:
    """Every key of a result, null unless grouped by."""
    return {**dict.fromkeys(groups, [None] * table.length), **dict(zip(names, table.keys, strict=False))}


def _costs(names: Sequence[str], table: Table) -> Columns:
    return {
        "object": [COSTS_OBJECT] * table.length,
        "amount": [{"value": Raw(usd_text(cost_pico).encode()), "currency": "usd"} for cost_pico in table.numbers[0]],
        **dict.fromkeys((LINE_ITEM, "quantity", "quantity_unit"), [None] * table.length),
        **_keys(COST_GROUPS, names, table),
    }


def _lines(items: Sequence[LineItem | None], quantities: Sequence[int]) -> Columns:
    return {
        LINE_ITEM: [item and item.text for item in items],
        "quantity": [_quantity(item, quantity) for item, quantity in zip(items, quantities, strict=True)],
        "quantity_unit": [_quantity_unit(item) for item in items],
    }


def _quantity(item: LineItem | None, quantity: int) -> Raw | None:
    """None where no quantity stands behind a cost."""
    if item is None or item.unit == GIVEN:
        return None
    return Raw(plain_digits(quantity, MEASURES[item.unit].decimals).encode())


def _quantity_unit(item: LineItem | None) -> str | None:
    if item is None or item.unit == GIVEN:
        return None
    return "tokens" if item.unit.endswith("_tokens") else _QUANTITY_UNITS.get(item.unit, item.unit)
