"""Token totals include their parts: how tokens are dealt out so that each is charged once. Pure.

A part with a rate of its own leaves the pools of its totals; a part without one stays there, covered by the
total's rate. Tokens that are in two charged pools at once (cached audio) leave one of them, with a rate of
their own or not: caching comes before modality, so cached audio without a rate is charged as cached input.
"""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from tallybook.core.counters import COUNTERS, PARTS, Usage


class Step(NamedTuple):
    """What is left of `counter` goes to the pool of `unit`, and out of every reported total it is part of."""

    counter: str
    unit: str
    totals: tuple[str, ...]


class Deal(NamedTuple):
    """How the counters of an event become pools, one for each of the `units` that are charged.

    Without `steps` no counters overlap and each is its own pool. `uncovered` are reported billable counters
    that no rate covers, with their reported totals: unpriced unless their tokens were all charged as
    something else. `differences`, where the steps come down to them, are the pools as (unit, counter, parts):
    the counter less those parts, as long as none is negative. Where they do not, there are none.
    """

    units: tuple[str, ...]
    steps: tuple[Step, ...]
    uncovered: tuple[tuple[str, tuple[str, ...]], ...]
    differences: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def deal_for(reported: Container[str], rated: Container[str]) -> Deal:
    """The deal of events that report these counters (above 0), under a price with rates for those units."""
    payers = {counter: payer_of(counter, rated) for counter in COUNTERS if counter in reported}
    charged = {
        # A part is covered by its total's pool, unless that total is not reported and so has no pool.
        counter
        for counter, payer in payers.items()
        if payer == counter or (payer is not None and payer not in reported)
    }
    steps = [
        Step(counter, payer, _among(reported, _TOTALS[counter]))
        for counter in _PARTS_FIRST
        if (payer := payers.get(counter)) is not None
        and (counter in charged or len(_among(charged, _DIRECT_TOTALS.get(counter, ()))) > 1)
    ]
    uncovered = [
        (counter, _among(reported, _TOTALS[counter]))
        for counter, payer in payers.items()
        if payer is None and COUNTERS[counter].billable
    ]
    overlapping = any(step.totals or step.counter != step.unit for step in steps)
    units = _among({step.unit for step in steps}, tuple(COUNTERS))
    differences = () if uncovered else _differences(steps)
    return Deal(units, tuple(steps) if overlapping else (), tuple(uncovered), differences)


def _differences(steps: Sequence[Step]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The pools as plain differences, in the order of `COUNTERS`; none where it takes more than that."""
    parts: dict[str, tuple[str, ...]] = {step.counter: () for step in steps}
    for step in steps:
        if any(total not in parts for total in step.totals):
            return ()
        if parts[step.counter] and step.totals:
            return ()
        for total in step.totals:
            parts[total] = (*parts[total], step.counter)
    if len({step.unit for step in steps}) < len(steps):
        return ()
    by_unit = {step.unit: step.counter for step in steps}
    return tuple((unit, by_unit[unit], parts[by_unit[unit]]) for unit in COUNTERS if unit in by_unit)


def deal_out(deal: Deal, usage: Usage) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """The pool of each unit, and what is left of each counter. Parts beyond their total are cut to it."""
    if not deal.steps:
        return {unit: usage[unit] for unit in deal.units}, usage
    pools = dict.fromkeys(deal.units, 0)
    left = dict(usage)
    for counter, unit, totals in deal.steps:
        share = left[counter]
        for total in totals:
            if left[total] < share:
                share = left[total]
        for total in totals:
            left[total] -= share
        pools[unit] += share
    return pools, left


def unpriced_of(deal: Deal, left: Mapping[str, int]) -> tuple[str, ...]:
    """The counters whose tokens are charged by no rate, in the order of `COUNTERS`."""
    return tuple(
        [counter for counter, totals in deal.uncovered if left[counter] and all(map(left.__getitem__, totals))]
    )


def _direct_totals() -> dict[str, tuple[str, ...]]:
    direct: dict[str, tuple[str, ...]] = {}
    for total, groups in PARTS.items():
        for group in groups:
            for part in group:
                direct[part] = (*direct.get(part, ()), total)
    return direct


_DIRECT_TOTALS = _direct_totals()


def _totals_of(counter: str) -> tuple[str, ...]:
    direct = _DIRECT_TOTALS.get(counter, ())
    return tuple(dict.fromkeys([*direct, *(beyond for total in direct for beyond in _totals_of(total))]))


_TOTALS = {counter: _totals_of(counter) for counter in COUNTERS}
"""Every total a counter is part of, nearest first; of equally near ones, caching before modality."""

_PARTS_FIRST = sorted(COUNTERS, key=lambda counter: -len(_TOTALS[counter]))


def payer_of(counter: str, rated: Container[str]) -> str | None:
    """The unit whose rate covers the counter: its own, or that of the nearest total that has one."""
    return next((unit for unit in (counter, *_TOTALS[counter]) if unit in rated), None)


def _among(wanted: Container[str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in wanted)
