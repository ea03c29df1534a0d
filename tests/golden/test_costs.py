"""What published answers of providers cost at published prices, worked out by hand in `golden_costs.json`."""

from collections import Counter as Count
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallybook.catalogues.installed import read_lists
from tallybook.core.counters import COUNTERS, PARTS, Usage
from tallybook.core.money import parse_number, pico_from_usd, scaled
from tallybook.core.time_window import parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.cost import Pricing
from tallybook.pricing.price import Mode, NewPrice, Origin, Price

CASES_PATH = Path(__file__).parents[1] / "data" / "golden_costs.json"


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unit: str
    quantity: int | str
    usd: str
    per: int
    amount: str


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`usage` holds native counters, whose totals include their parts; `reported_as` is the answer as published.

    `price_day` is the day, month or year the price page is for. `charged_usd` is what the provider itself said it
    charged.
    """

    name: str
    provider: str
    model: str
    mode: Mode
    at: str
    usage: Mapping[str, int | str]
    reported_as: Mapping[str, Any] | None
    usage_source: str
    price_source: str
    price_day: str
    lines: Sequence[Line]
    cost_usd: str
    charged_usd: str | None = None
    note: str | None = None


CASES = msgspec.json.decode(CASES_PATH.read_bytes(), type=tuple[Case, ...])
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@each_case
def test_lines_add_up_to_the_cost(case: Case) -> None:
    for line in case.lines:
        assert Decimal(line.amount) * line.per == Decimal(line.quantity) * Decimal(line.usd)
    assert sum((Decimal(line.amount) for line in case.lines), Decimal(0)) == Decimal(case.cost_usd)
    assert case.charged_usd in (None, case.cost_usd)


@each_case
def test_every_token_stands_in_exactly_one_line(case: Case) -> None:
    charged: Count[str] = Count()
    for line in case.lines:
        charged[_total_of(line.unit)] += _stored(line.unit, line.quantity)
    del charged["requests"]  # counted without being reported
    assert charged == {counter: value for counter, value in usage_of(case).items() if value and _is_total(counter)}


@each_case
def test_no_line_is_larger_than_what_was_reported(case: Case) -> None:
    usage = {"requests": 1, **usage_of(case)}
    units = [line.unit for line in case.lines]
    assert len(set(units)) == len(units)
    assert all(0 < _stored(line.unit, line.quantity) <= usage[line.unit] for line in case.lines)


@each_case
def test_tallybook_rates_exactly_so(case: Case, book: PriceBook) -> None:
    rating = book.rating(
        "acme",
        provider=case.provider,
        model=case.model,
        service_tier=case.mode.value,
        batch=False,
        at_us=parse_instant(case.at),
        usage=usage_of(case),
    )
    assert dict(rating.lines) == {line.unit: pico_from_usd(Decimal(line.amount)) for line in case.lines}
    assert (rating.pricing, rating.cost_pico) == (Pricing.PRICED, pico_from_usd(Decimal(case.cost_usd)))


def test_cases_are_many_sourced_and_cover_every_mode() -> None:
    assert len(CASES) >= 70
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.mode for case in CASES} == set(Mode)
    assert sum(case.name.startswith("credits vector") for case in CASES) == 4
    assert all(case.usage_source and case.price_source and case.price_day for case in CASES)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """Rates with the prices that are installed."""
    lists = read_lists()
    prices = [*_recorded(Origin.OVERLAY, lists.overlay), *_recorded(Origin.CATALOGUE, lists.catalogue.prices)]
    return PriceBook(lambda owner: prices if owner is None else [], lambda: lists.catalogue.providers)


def _recorded(origin: Origin, prices: Sequence[NewPrice]) -> Iterator[Price]:
    for number, price in enumerate(prices):
        yield Price(**vars(price), id=f"price_{origin}_{number}", org_id=None, origin=origin, recorded_at_us=0)


def usage_of(case: Case) -> Usage:
    return {counter: _stored(counter, value) for counter, value in case.usage.items()}


def _stored(counter: str, value: int | str) -> int:
    return scaled(parse_number(value), COUNTERS[counter].scale)


def _total_of(counter: str) -> str:
    """The total that a counter's tokens are part of in the end; itself, if it is part of none."""
    for total, groups in PARTS.items():
        if any(counter in group for group in groups):
            return _total_of(total)
    return counter


def _is_total(counter: str) -> bool:
    return _total_of(counter) == counter
