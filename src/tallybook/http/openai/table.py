"""The rows of an answer as this dialect words their groups: those that become equal by it are one."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

from tallybook.analytics.answer import Group, GroupValue, LinePage, Numbers, UsagePage

_IMAGE = "image."
"""Begins every source of this dialect; events may say `generation` or `image.generation`."""


class Table(NamedTuple):
    """Rows a column at a time: which ones each bucket has, their keys, and their numbers."""

    rows: Sequence[slice]
    keys: Sequence[Sequence[Any]]
    numbers: Sequence[Sequence[int]]

    @property
    def length(self) -> int:
        return self.rows[-1].stop if self.rows else 0


def table_of_usage(names: Sequence[str], page: UsagePage) -> Table:
    """The keys are the `names` that are grouped by."""
    if not {"api_source", "source"}.intersection(names):
        return Table(page.rows, page.groups, cast(Sequence[Sequence[int]], page.numbers))  # all sums: never None
    keyed = (((_worded(names, group), numbers) for group, numbers in bucket.rows) for bucket in page.buckets)
    return _merged(keyed, len(names), len(page.numbers))


def table_of_lines(names: Sequence[str], page: LinePage, *, by_line: bool) -> Table:
    """The keys are the `names` that are grouped by, then the line item, None unless `by_line`; cost and quantity."""
    keyed = (
        (
            ((*_worded(names, row.group), row.item if by_line else None), (row.cost_pico, row.quantity))
            for row in bucket.rows
        )
        for bucket in page.buckets
    )
    return _merged(keyed, len(names) + 1, 2)


def spellings(source: str) -> tuple[str, str]:
    """How events may say a source of this dialect."""
    return source, source.removeprefix(_IMAGE)


def _worded(names: Sequence[str], group: Group) -> Group:
    return tuple(_word(name, value) for name, value in zip(names, group, strict=True))


def _word(name: str, value: GroupValue) -> GroupValue:
    match name, value:
        case "api_source", _:
            return value if value == "agents_api" else "unlabeled"
        case "source", str(text):
            return text if text.startswith(_IMAGE) else _IMAGE + text
    return value


def _merged(buckets: Iterable[Iterable[tuple[tuple[Any, ...], Numbers]]], keys_width: int, numbers_width: int) -> Table:
    """Rows of equal keys of a bucket added up, in the order of the first."""
    ends, keys, sums = [0], list[tuple[Any, ...]](), list[tuple[int, ...]]()
    for rows in buckets:
        merged: dict[tuple[Any, ...], tuple[int, ...]] = {}
        for key, numbers in rows:
            before = merged.get(key, (0,) * numbers_width)
            merged[key] = tuple(sum_ + (number or 0) for sum_, number in zip(before, numbers, strict=True))
        keys += merged
        sums += merged.values()
        ends.append(len(keys))
    return Table([slice(*edges) for edges in pairwise(ends)], _columns(keys, keys_width), _columns(sums, numbers_width))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(width)]
