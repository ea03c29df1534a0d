"""Taking over newer lists of prices: from then on they hold, and what was in force before stays as it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.catalogues.installed import read_lists
from tallybook.core.time_window import DAY_US
from tallybook.pricing.book import PriceBook
from tallybook.pricing.catalogue.changes import changes
from tallybook.pricing.catalogue.names import ModelNames, ProviderNames, Rule
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, NewPrice, Origin, Price, PriceKey, Rate
from tests.unit.pricing.sheets import price

LAST_DAY = 12
MORNING, AFTERNOON = DailyWindow(0, DAY_US // 2), DailyWindow(DAY_US // 2, 0)
NAMES = [
    ProviderNames(
        "openai", None, None, (), tuple(ModelNames(name, Rule("equals", name)) for name in ("gpt-a", "gpt-b"))
    )
]
PLACES = [(model, half * DAY_US // 2) for model in ("gpt-a", "gpt-b") for half in range(2 * (LAST_DAY + 2))]

Sheet = None | int | tuple[int | None, int | None]
"""US dollars per input token: of the whole day, or of morning and afternoon; None where there is no price."""


@dataclass(frozen=True)
class History:
    """The sheets of a model, each from its day on."""

    model: str
    sheets: tuple[tuple[int, Sheet], ...]

    def prices(self) -> list[NewPrice]:
        if not self.sheets:
            return []
        ends: list[int | None] = [*(day * DAY_US for day, _ in self.sheets[1:]), None]
        return [
            NewPrice(
                provider="openai",
                model=self.model,
                match=Match.EQUALS,
                mode=Mode.STANDARD,
                effective_from_us=day * DAY_US,
                effective_to_us=end_us,
                daily=daily,
                rates={"input_tokens": Rate(Decimal(usd), 1)},
            )
            for (day, sheet), end_us in zip(self.sheets, ends, strict=True)
            for daily, usd in parts(sheet)
        ]


def parts(sheet: Sheet) -> list[tuple[DailyWindow | None, int]]:
    match sheet:
        case None:
            return []
        case int():
            return [(None, sheet)]
        case morning, afternoon:
            return [(daily, usd) for daily, usd in ((MORNING, morning), (AFTERNOON, afternoon)) if usd is not None]


class Recorded:
    """What is on the disk after syncs, and what it says."""

    def __init__(self, origin: Origin = Origin.CATALOGUE) -> None:
        self.origin = origin
        self.prices: list[Price] = []

    def sync(self, wanted: Sequence[NewPrice], now_us: int) -> int:
        """How many prices were recorded."""
        made = changes(self._taking_part(), wanted, now_us)
        self.prices += [price(None, origin=self.origin, recorded_at_us=now_us, **vars(change.price)) for change in made]
        return len(made)

    def usd_at(self, model: str, at_us: int) -> Decimal | None:
        return usd_at(self._taking_part(), model, at_us)

    def _taking_part(self) -> list[Price]:
        superseded = {each.supersedes for each in self.prices}
        assert len(superseded - {None}) == sum(each.supersedes is not None for each in self.prices)
        return [each for each in self.prices if each.id not in superseded]


def usd_at(prices: Sequence[Price], model: str, at_us: int) -> Decimal | None:
    """The price that events get, by the book."""
    book = PriceBook(lambda owner: () if owner else prices, lambda: NAMES)
    rating = book.rating(
        "acme", provider="openai", model=model, service_tier=None, batch=False, at_us=at_us, usage={"input_tokens": 1}
    )
    found = book.resolve("acme", provider="openai", model=model, mode=Mode.STANDARD, at_us=at_us).price
    assert rating.price_id == (None if found is None else found.id)
    return None if found is None else found.rates["input_tokens"].usd


def said(wanted: Sequence[NewPrice], model: str, at_us: int) -> Decimal | None:
    """What a list alone says."""
    listed = [price(None, origin=Origin.CATALOGUE, **vars(each)) for each in wanted]
    return usd_at(listed, model, at_us)


def listed(*histories: History) -> list[NewPrice]:
    return [each for history in histories for each in history.prices()]


A = "gpt-a"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param([(0, 1)], [(0, 1)], {0: 1, 5: 1, 9: 1}, id="nothing changed"),
        pytest.param([(0, 1)], [(0, 2)], {0: 1, 4: 1, 5: 2, 9: 2}, id="changed in place: from the sync on"),
        pytest.param([(0, 1)], [(0, 1), (3, 2)], {2: 1, 3: 2, 5: 2, 9: 2}, id="changed by a date: from that date on"),
        pytest.param([(0, 1)], [(0, 9), (3, 2)], {2: 1, 3: 2, 9: 2}, id="only what is dated begins in the past"),
        pytest.param([(0, 1)], [(0, 1), (8, 2)], {5: 1, 7: 1, 8: 2}, id="announced"),
        pytest.param([(0, 1), (8, 2)], [(0, 1)], {5: 1, 8: 1, 9: 1}, id="an announcement withdrawn"),
        pytest.param([(0, 1), (8, 2)], [(0, 1), (8, 3)], {7: 1, 8: 3}, id="an announcement changed"),
        pytest.param([(0, 1), (8, 2)], [(0, 1), (10, 2)], {8: 1, 9: 1, 10: 2}, id="an announcement put off"),
        pytest.param([(0, 1)], [], {0: 1, 4: 1, 5: None, 9: None}, id="removed: ends with the sync"),
        pytest.param([(0, 1), (8, 2)], [], {4: 1, 5: None, 8: None}, id="removed with what was announced"),
        pytest.param([], [(0, 1)], {0: 1, 9: 1}, id="new: from its own date"),
        pytest.param([(0, 1)], [(0, 1), (7, None)], {5: 1, 6: 1, 7: None}, id="to be discontinued"),
        pytest.param([(0, 1)], [(0, (1, 2))], {4: 1, 4.5: 1, 5: 1, 5.5: 2}, id="a window from the sync on"),
        pytest.param([(0, (1, 2))], [(0, 3)], {4.5: 2, 5: 3, 5.5: 3}, id="a window no more"),
        pytest.param([(0, 1)], [(0, (2, None))], {4.5: 1, 5: 2, 5.5: None}, id="only a part of the day left"),
        pytest.param([(0, (1, None))], [(0, (None, 2))], {4: 1, 5: None, 5.5: 2}, id="another part of the day"),
        pytest.param([(0, 1), (8, (2, 3))], [(0, 1), (8, 4)], {8: 4, 8.5: 4}, id="an announced window withdrawn"),
    ],
)
def test_what_holds_after_a_sync_on_day_5(
    before: list[tuple[int, Sheet]], after: list[tuple[int, Sheet]], expected: dict[float, int | None]
) -> None:
    recorded = Recorded()
    recorded.sync(History(A, tuple(before)).prices(), DAY_US)
    recorded.sync(History(A, tuple(after)).prices(), 5 * DAY_US)
    assert {day: recorded.usd_at(A, int(day * DAY_US)) for day in expected} == expected


def test_a_price_that_was_changed_twice_ends_as_a_whole() -> None:
    recorded = Recorded()
    for now, sheet in enumerate((1, 2, 3)):
        recorded.sync(History(A, ((0, sheet),)).prices(), now * DAY_US)
    recorded.sync([], 3 * DAY_US)
    assert [recorded.usd_at(A, day * DAY_US) for day in range(5)] == [1, 2, 3, None, None]


usds = st.none() | st.integers(1, 3)
sheets = usds | st.tuples(usds, usds)
days = st.lists(st.integers(1, LAST_DAY), max_size=3, unique=True).map(lambda later: [0, *sorted(later)])
histories = st.builds(
    lambda model, days, sheets: History(model, tuple(zip(days, sheets, strict=False))),
    st.sampled_from(["gpt-a", "gpt-b"]),
    days,
    st.lists(sheets, min_size=4, max_size=4),
)
lists = st.lists(histories, max_size=2, unique_by=lambda history: history.model).map(lambda found: listed(*found))
steps = st.integers(1, 5).map(lambda halves: halves * DAY_US // 2)


@given(st.sampled_from([Origin.CATALOGUE, Origin.OVERLAY]), st.lists(st.tuples(steps, lists), min_size=1, max_size=5))
def test_from_each_sync_on_the_newest_list_holds_and_the_past_stays(
    origin: Origin, syncs: list[tuple[int, list[NewPrice]]]
) -> None:
    recorded, now_us = Recorded(origin), 0
    for step_us, wanted in syncs:
        now_us += step_us
        before = {place: recorded.usd_at(*place) for place in PLACES}
        known = {(each.model, each.effective_from_us) for each in recorded.prices}
        recorded.sync(wanted, now_us)
        for model, at_us in PLACES:
            found = recorded.usd_at(model, at_us)
            if at_us < now_us and found == before[model, at_us]:
                continue
            assert found == said(wanted, model, at_us)
            if at_us < now_us:
                assert (model, began_last(wanted, model, at_us)) not in known
        assert recorded.sync(wanted, now_us) == 0


def began_last(wanted: Sequence[NewPrice], model: str, at_us: int) -> int:
    return max(each.effective_from_us for each in wanted if each.model == model and each.effective_from_us <= at_us)


def test_the_installed_lists_are_such_lists() -> None:
    """Of each key one price ends before another begins, unless they are for different parts of the day."""
    lists = read_lists()
    for prices in (lists.catalogue.prices, lists.overlay):
        by_key: dict[PriceKey, list[NewPrice]] = {}
        for each in prices:
            by_key.setdefault(each.key, []).append(each)
        for same_key in by_key.values():
            for one, other in combinations(same_key, 2):
                first, second = sorted((one, other), key=lambda price: price.effective_from_us)
                if first.effective_from_us == second.effective_from_us:
                    assert first.daily != second.daily, first
                else:
                    assert first.effective_to_us is not None, first
                    assert first.effective_to_us <= second.effective_from_us, first
