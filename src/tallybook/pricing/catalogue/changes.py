"""What taking over a newer list of prices adds to those already recorded. Pure.

What the newer list says differently holds from the sync on. Only what it dates itself begins in the past, and then
at a date that the recorded prices know nothing of. What it no longer has ends with the sync.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tallybook.core.time_window import DAY_US
from tallybook.pricing.price import DailyWindow, NewPrice, Price, PriceKey, Rate

Rates = Mapping[str, Rate]
Sheet = Mapping[DailyWindow | None, Rates]
"""What is in force at an instant: the rates of each part of the day, or of the whole day under None."""


@dataclass(frozen=True)
class Change:
    """A price to be recorded, in force from `at_us` on instead of `before`: the rates recorded for then, if any.

    One that `ends` says the same as the recorded price that it supersedes, up to `at_us`. Of two prices that begin
    together one supersedes the other, so that it does not matter when they were recorded.
    """

    at_us: int
    price: NewPrice
    before: Rates | None

    @property
    def ends(self) -> bool:
        return _is_over(self.price, self.at_us)


def changes(recorded: Iterable[Price], wanted: Iterable[NewPrice], now_us: int) -> list[Change]:
    """What is to be recorded at that instant so that from it on exactly the newer list is in force."""
    known, newer = _by_key(recorded), _by_key(wanted)
    return [
        change for key in (known | newer) for change in _changes_of_key(known.get(key, []), newer.get(key, []), now_us)
    ]


def sheet_at(prices: Sequence[NewPrice], at_us: int) -> Sheet:
    """What is in force at an instant, of prices with the same key."""
    return {price.daily: price.rates for price in _in_force(prices, at_us)}


def _by_key(prices: Iterable[NewPrice]) -> dict[PriceKey, list[NewPrice]]:
    by_key: dict[PriceKey, list[NewPrice]] = {}
    for price in prices:
        by_key.setdefault(price.key, []).append(price)
    return by_key


def _changes_of_key(recorded: Sequence[NewPrice], wanted: Sequence[NewPrice], now_us: int) -> list[Change]:
    if not recorded:
        return [Change(price.effective_from_us, price, None) for price in wanted]
    made: list[Change] = []
    for at_us in _instants(recorded, wanted, now_us):
        made += _differences(_after(recorded, made), wanted, at_us)
    return made


def _instants(recorded: Sequence[NewPrice], wanted: Sequence[NewPrice], now_us: int) -> list[int]:
    """When the two may begin to differ: the newer list's own dates in the past, the sync, and all that lies ahead."""
    dated = {price.effective_from_us for price in wanted} - {price.effective_from_us for price in recorded}
    ahead = {
        edge_us
        for price in (*recorded, *wanted)
        for edge_us in (price.effective_from_us, price.effective_to_us)
        if edge_us is not None and edge_us > now_us
    }
    return sorted({now_us} | dated | ahead)


def _after(recorded: Sequence[NewPrice], made: Sequence[Change]) -> list[NewPrice]:
    superseded = {change.price.supersedes for change in made}
    return [
        *(price for price in recorded if not (isinstance(price, Price) and price.id in superseded)),
        *(change.price for change in made),
    ]


def _differences(recorded: Sequence[NewPrice], wanted: Sequence[NewPrice], at_us: int) -> list[Change]:
    before, newer = sheet_at(recorded, at_us), _in_force(wanted, at_us)
    if before == {price.daily: price.rates for price in newer}:
        return []
    standing = [price for price in recorded if isinstance(price, Price) and _has_begun(price, at_us)]
    beginning = [price for price in standing if price.effective_from_us == at_us]
    # Where the newer ones leave a part of the day free, none from before may be in force there again.
    hidden = [] if _cover_the_day(newer) else [price for price in standing if price.effective_from_us < at_us]
    replaced = [*(price.id for price in beginning), *[None] * len(newer)]
    return [
        *(
            Change(at_us, replace(price, effective_from_us=at_us, supersedes=old), before.get(price.daily))
            for price, old in zip(newer, replaced, strict=False)
        ),
        *(_end(price, at_us) for price in (*beginning[len(newer) :], *hidden)),
    ]


def _cover_the_day(prices: Sequence[NewPrice]) -> bool:
    windows = [price.daily for price in prices]
    if None in windows:
        return True
    # What is left free begins where a window ends, on some day of the week.
    ends_us = [day * DAY_US + end_us for day in range(7) for end_us in (0, *(each.end_us for each in windows if each))]
    return all(any(window and window.covers(end_us) for window in windows) for end_us in ends_us)


def _end(price: Price, at_us: int) -> Change:
    same = {name: value for name, value in vars(price).items() if name in NewPrice.__dataclass_fields__}
    return Change(at_us, NewPrice(**same | {"effective_to_us": at_us, "supersedes": price.id}), price.rates)


def _in_force(prices: Sequence[NewPrice], at_us: int) -> list[NewPrice]:
    """Those that began last: one, or those of all parts of the day."""
    begun = [price for price in prices if _has_begun(price, at_us)]
    newest_us = max((price.effective_from_us for price in begun), default=None)
    return [price for price in begun if price.effective_from_us == newest_us]


def _has_begun(price: NewPrice, at_us: int) -> bool:
    return price.effective_from_us <= at_us and not _is_over(price, at_us)


def _is_over(price: NewPrice, at_us: int) -> bool:
    return price.effective_to_us is not None and price.effective_to_us <= at_us
