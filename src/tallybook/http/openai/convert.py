"""Between the openai wire and the analytics room."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from msgspec import Raw

from tallybook.analytics.answer import Group, LinePage, LineRow, Numbers, UsagePage, UsageRow
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
from tallybook.core.time_window import SECOND_US, Bucket, TimeWindow
from tallybook.http.openai.operations import COST_GROUPS, COSTS_OBJECT, LINE_ITEM, Difference, Operation
from tallybook.http.openai.wire import CostParams, OrganizationParams
from tallybook.http.reach import reach_of

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
_IMAGE = "image."
"""Begins every source of this dialect; events may say `generation` or `image.generation`."""

_QUANTITY_UNITS = {"audio_seconds": "duration_seconds"}
"""Counters that this dialect calls otherwise; all kinds of tokens are `tokens`."""

_Key = TypeVar("_Key", bound=Hashable)


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


def to_wire_page(operation: Operation, params: OrganizationParams, page: UsagePage) -> dict[str, Any]:
    def results(rows: Iterable[UsageRow]) -> list[dict[str, Any]]:
        merged = _merged((_shown(params.group_by, row.group), row.numbers) for row in rows)
        return [
            {
                "object": operation.object,
                **_counts(operation, numbers),
                **_keys(operation.groups, params.group_by, group),
            }
            for group, numbers in merged.items()
        ]

    return _page(((bucket.window, results(bucket.rows)) for bucket in page.buckets), page.next_page)


def to_wire_costs(params: CostParams, page: UsagePage) -> dict[str, Any]:
    """Costs of all lines together, and how many requests they do not cover because their cost is not known."""
    names = _cost_names(params)

    def results(rows: Iterable[UsageRow]) -> list[dict[str, Any]]:
        merged = _merged((_shown(names, row.group), row.numbers) for row in rows)
        return [
            {**_cost(names, group, cost_pico), "unpriced_requests": unpriced}
            for group, (cost_pico, unpriced) in merged.items()
        ]

    return _page(((bucket.window, results(bucket.rows)) for bucket in page.buckets), page.next_page)


def to_wire_lines(params: CostParams, page: LinePage) -> dict[str, Any]:
    names = _cost_names(params)
    by_line = LINE_ITEM in params.group_by

    def results(rows: Iterable[LineRow]) -> list[dict[str, Any]]:
        merged = _merged(
            ((row.item if by_line else None, _shown(names, row.group)), (row.cost_pico, row.quantity)) for row in rows
        )
        return [
            {**_cost(names, group, cost_pico), **({} if item is None else _line(item, quantity))}
            for (item, group), (cost_pico, quantity) in merged.items()
        ]

    return _page(((bucket.window, results(bucket.rows)) for bucket in page.buckets), page.next_page)


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
    return [*values, *(value.removeprefix(_IMAGE) for value in values)] if name == "sources" else values


def _cost_names(params: CostParams) -> list[str]:
    return [name for name in params.group_by if name != LINE_ITEM]


def _shown(names: Sequence[str], group: Group) -> Group:
    """Grouped values as this dialect words them; different ones may become equal."""
    return tuple(_word(name, value) for name, value in zip(names, group, strict=True))


def _word(name: str, value: str | bool | None) -> str | bool | None:
    match name, value:
        case "api_source", _:
            return value if value == "agents_api" else "unlabeled"
        case "source", str(text):
            return text if text.startswith(_IMAGE) else _IMAGE + text
    return value


def _merged(rows: Iterable[tuple[_Key, Numbers]]) -> dict[_Key, tuple[int, ...]]:
    """Rows of equal keys added up, in the order of the first."""
    merged: dict[_Key, tuple[int, ...]] = {}
    for key, numbers in rows:
        before = merged.get(key, (0,) * len(numbers))
        merged[key] = tuple(sum_ + (number or 0) for sum_, number in zip(before, numbers, strict=True))
    return merged


def _counts(operation: Operation, numbers: Sequence[int]) -> dict[str, int]:
    by_measure = dict(zip(operation.measures, numbers, strict=True))
    return {name: _count(parts, by_measure) for name, parts in operation.numbers.items()}


def _count(parts: Difference, by_measure: Mapping[str, int]) -> int:
    first, *others = parts
    exact = by_measure[first] - sum(by_measure[other] for other in others)
    return divide_half_even(exact, 10 ** MEASURES[first].decimals)


def _keys(groups: Iterable[str], names: Sequence[str], group: Group) -> dict[str, Any]:
    """Every key of a result, null unless grouped by."""
    return {**dict.fromkeys(groups), **dict(zip(names, group, strict=True))}


def _cost(names: Sequence[str], group: Group, cost_pico: int) -> dict[str, Any]:
    return {
        "object": COSTS_OBJECT,
        "amount": {"value": Raw(usd_text(cost_pico).encode()), "currency": "usd"},
        **dict.fromkeys((LINE_ITEM, "quantity", "quantity_unit")),
        **_keys(COST_GROUPS, names, group),
    }


def _line(item: LineItem, quantity: int) -> dict[str, Any]:
    if item.unit == GIVEN:  # a cost that no quantity stands behind
        return {LINE_ITEM: item.text}
    decimals = MEASURES[item.unit].decimals
    unit = "tokens" if item.unit.endswith("_tokens") else _QUANTITY_UNITS.get(item.unit, item.unit)
    return {
        LINE_ITEM: item.text,
        "quantity": Raw(plain_digits(quantity, decimals).encode()),
        "quantity_unit": unit,
    }


def _page(buckets: Iterable[tuple[TimeWindow, list[dict[str, Any]]]], next_page: str | None) -> dict[str, Any]:
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": window.start_us // SECOND_US,
                "end_time": window.end_us // SECOND_US,
                "results": results,
            }
            for window, results in buckets
        ],
        "has_more": next_page is not None,
        "next_page": next_page,
    }
