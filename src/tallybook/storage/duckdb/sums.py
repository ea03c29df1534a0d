"""Questions of sums that were asked before: what is in order is not added up again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import add
from typing import Any

import duckdb

from tallybook.analytics.plan import AggregatePlan
from tallybook.core.time_window import TimeWindow
from tallybook.storage.duckdb import runs, usage_sql
from tallybook.storage.duckdb.in_force import Sql
from tallybook.storage.duckdb.remembered import InOrder, Remembered

_ROWS_MAX = 10_000
"""Of an answer: with more, reading them takes less time than putting them together."""

_REMEMBERED_ROWS = 50_000
"""Of all questions; some 600 bytes each."""

Row = tuple[Any, ...]
"""Bucket, grouped values…, measures…"""

_Sums = Mapping[Row, Sequence[int]]
"""How many facts and the sum of each measure, by bucket and grouped values."""


class RememberedSums:
    """Answers `usage_sql.aggregate` of plans that add up, from the second time on that the same is asked for."""

    def __init__(self) -> None:
        self._known: Remembered[InOrder[_Sums]] = Remembered(_REMEMBERED_ROWS, lambda known: 1 + len(known.given))

    def rows(
        self, reader: duckdb.DuckDBPyConnection, plan: AggregatePlan, tables: Sequence[str], *, corrected: bool
    ) -> list[Row] | None:
        """The rows of the answer; None if they are to be asked for as a whole, as for the first time."""
        inner = _inner(plan)
        known = self._known.of(_question(inner))
        if known is None or not known.serves(until := runs.newest(reader).until):
            return None
        if known.until < until:
            more = _sums(reader, plan, usage_sql.sums_between(inner, known.until, until, tables))
            known = InOrder(until, _together(known.given, more))
            self._known.remember(_question(inner), known)
        besides = usage_sql.sums_besides(plan, inner.span.window, until, tables, corrected=corrected)
        return _in_force(_together(known.given, _sums(reader, plan, besides)))[: plan.rows_max + 1]

    def meet(self, plan: AggregatePlan, rows: int) -> None:
        """Says that the plan was answered without, with so many rows."""
        question = _question(_inner(plan))
        if rows <= _ROWS_MAX and usage_sql.adds_up(plan) and self._known.of(question) is None:
            self._known.remember(question, InOrder(0, {}))


def _question(plan: AggregatePlan) -> AggregatePlan:
    return replace(plan, rows_max=0)


def _inner(plan: AggregatePlan) -> AggregatePlan:
    """The plan of its whole buckets: those stay the same where the window moves on with the clock."""
    slices, window = plan.slices, plan.span.window
    if slices is None or slices.turns:
        return plan
    origin_us, step_us = slices.origin_us, slices.step_us
    start_us = window.start_us + (origin_us - window.start_us) % step_us
    end_us = window.end_us - (window.end_us - origin_us) % step_us
    if start_us >= end_us:
        return plan
    return replace(plan, span=replace(plan.span, window=TimeWindow(start_us, end_us)))


def _sums(reader: duckdb.DuckDBPyConnection, plan: AggregatePlan, sql: Sql) -> _Sums:
    keys = 1 + len(plan.group_by)
    rows = reader.execute(sql.text, sql.parameters).fetchall()
    return {row[:keys]: row[keys:] for row in rows}


def _together(some: _Sums, more: _Sums) -> _Sums:
    both = dict(some)
    for key, sums in more.items():
        both[key] = tuple(map(add, both[key], sums)) if key in both else sums
    return both


def _in_force(sums: _Sums) -> list[Row]:
    """Rows as `usage_sql.aggregate` has them, of the groups of which any fact is in force."""
    rows = [(key, numbers) for key, (present, *numbers) in sums.items() if present]
    rows.sort(key=lambda row: [(value is None, value) for value in row[0]])
    return [(*key, *numbers) for key, numbers in rows]
