"""The two cost reports of the mka1 wire (contract sections 9.9 and 9.11): what was spent, by group, over one range.

A report adds up the costs that are known in full and counts the requests whose cost is not, as an extension of ours:
`unpriced_requests`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tallybook.analytics.answer import UsageRow
from tallybook.analytics.query import Condition, Dimension, UsageQuery
from tallybook.auth.key import Caller
from tallybook.core.money import apportion
from tallybook.core.time_window import SECOND_US, Bucket
from tallybook.http.mka1.numbers import to_wire_number
from tallybook.http.mka1.wire import CostParams
from tallybook.http.reach import reach_of

CURRENCY = "USD"
"""Costs are US dollars; nothing is converted."""

SERVICES = {"sandbox": "sandbox", "api_call": "api"}
"""The service that a kind of event belongs to; every other kind is of `llm`."""

LLM_KINDS = Condition((Dimension.KIND,), tuple(SERVICES), excluded=True)

LLM_DIMENSIONS = ("model", "api_key_id", "team_id", "external_user_id", "org_id")
DIMENSIONS = ("service", "task_type", "model", "api_key_id", "team_id", "user_id", "external_user_id", "org_id")

_OF_KINDS = {"service": Dimension.KIND, "task_type": Dimension.KIND}
_PICO_PER_NANO = 1_000

Group = tuple[str | None, ...]


@dataclass(frozen=True)
class Spend:
    group: Group
    cost_pico: int
    unpriced_requests: int


def to_cost_query(
    params: CostParams, names: Sequence[str], caller: Caller, conditions: tuple[Condition, ...] = ()
) -> UsageQuery:
    """By the dimensions `names`. Raises `Forbidden` for an organization beyond the caller's."""
    foreign = params.org_id is not None and params.org_id != caller.org_id
    return UsageQuery(
        reach=reach_of(caller, org_ids=[params.org_id] if params.org_id and foreign else ()),
        start_us=params.start_time * SECOND_US,
        end_us=params.end_time * SECOND_US,
        bucket=Bucket.ALL,
        group_by=tuple(dict.fromkeys(_OF_KINDS.get(name) or Dimension(name) for name in names)),
        conditions=conditions,
        measures=("cost_usd", "unpriced_requests"),
    )


def spends(names: Sequence[str], query: UsageQuery, rows: Iterable[UsageRow]) -> list[Spend]:
    """One per combination of the dimensions `names` for which something was spent or is unpriced, the dearest first."""
    sums: dict[Group, list[int]] = {}
    for row in rows:
        told = dict(zip(query.group_by, row.group, strict=True))
        spent = sums.setdefault(tuple(_value(name, told) for name in names), [0, 0])
        for measure, number in enumerate(row.numbers):
            spent[measure] += number or 0
    found = [Spend(group, *spent) for group, spent in sums.items() if any(spent)]
    return sorted(found, key=lambda spend: (-spend.cost_pico, _order(spend.group)))


def to_wire_llm_costs(params: CostParams, names: Sequence[str], found: Sequence[Spend]) -> dict[str, Any]:
    costs_nano, total_nano = apportion([spend.cost_pico for spend in found], _PICO_PER_NANO)
    rows = sorted(zip(found, costs_nano, strict=True), key=lambda row: (-row[1], _order(row[0].group)))
    return {
        "object": "usage.costs",
        **_head(params, names),
        "data": [
            {
                **_labels(LLM_DIMENSIONS, names, spend),
                "cost": to_wire_number(cost_nano, 9),
                "cost_nano": str(cost_nano),
                "unpriced_requests": spend.unpriced_requests,
            }
            for spend, cost_nano in rows
        ],
        "total_cost": to_wire_number(total_nano, 9),
        "total_cost_nano": str(total_nano),
        "unpriced_requests": sum(spend.unpriced_requests for spend in found),
    }


def to_wire_costs(params: CostParams, names: Sequence[str], found: Sequence[Spend]) -> dict[str, Any]:
    return {
        **_head(params, names),
        "data": [
            {
                **_labels(DIMENSIONS, names, spend),
                "cost": to_wire_number(spend.cost_pico, 12),
                "unpriced_requests": spend.unpriced_requests,
            }
            for spend in found
        ],
        "total_cost": to_wire_number(sum(spend.cost_pico for spend in found), 12),
        "unpriced_requests": sum(spend.unpriced_requests for spend in found),
    }


def _value(name: str, told: Mapping[Dimension, Any]) -> Any:
    if name == "service":
        return SERVICES.get(told[Dimension.KIND], "llm")
    return told[_OF_KINDS.get(name) or Dimension(name)]


def _order(group: Group) -> list[tuple[bool, str]]:
    """None last."""
    return [(value is None, value or "") for value in group]


def _head(params: CostParams, names: Sequence[str]) -> dict[str, Any]:
    return {
        "currency": CURRENCY,
        "start_time": params.start_time,
        "end_time": params.end_time,
        "group_by": names,
    }


def _labels(dimensions: Sequence[str], names: Sequence[str], spend: Spend) -> dict[str, str | None]:
    return {**dict.fromkeys(dimensions), **dict(zip(names, spend.group, strict=True))}
