"""The plan an event is rated with at every instant, for the names it carries."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import Protocol

from tallybook.pricing.cost import Plan, TieredPlan
from tallybook.pricing.offers import Asked, Common, Offer, Rank, Shelf, offers_for, understood
from tallybook.pricing.price import DailyWindow, mode_of

NO_PRICE = Plan(None, {})


class Circumstances(Protocol):
    """What an event says that a price can have conditions on: the fields of `CONDITIONS`."""

    @property
    def context_level(self) -> str | None: ...
    @property
    def image_operation(self) -> str | None: ...
    @property
    def image_quality(self) -> str | None: ...
    @property
    def image_size(self) -> str | None: ...


Condition = tuple[tuple[str, str], ...]


def fulfils(told: Circumstances | None, when: Condition) -> bool:
    """Whether an event says all that a price asks for; `when` is in lower case."""
    return all((getattr(told, name, None) or "").lower() == word for name, word in when)


class _DailyPlan:
    """Other plans in other parts of the day; the first whose part it is counts."""

    def __init__(self, plans: Sequence[tuple[DailyWindow | None, Plan | TieredPlan]]) -> None:
        self._plans = plans

    def plan_at(self, at_us: int) -> Plan | TieredPlan:
        return next(plan for daily, plan in self._plans if daily is None or daily.covers(at_us))


class Timeline:
    """The plan in force at every instant: `plans[n]` from `edges_us[n]` to the next edge."""

    def __init__(self, edges_us: Sequence[int], plans: Sequence[Plan | TieredPlan | _DailyPlan]) -> None:
        self._edges_us = edges_us
        self._plans = [NO_PRICE, *plans]

    def plan_at(self, at_us: int, _: Circumstances | None = None) -> Plan | TieredPlan:
        plan = self._plans[bisect_right(self._edges_us, at_us)]
        return plan.plan_at(at_us) if isinstance(plan, _DailyPlan) else plan


class ConditionalTimeline:
    """Other timelines for events that fulfil other conditions: one for each set of them that occurs."""

    def __init__(self, asked: Asked, offers: Sequence[Offer]) -> None:
        self._asked = asked
        self._offers = offers
        self._conditions = sorted({offer.when for offer in offers})
        self._timeline = lru_cache(maxsize=_SETS_MAX)(self._timeline_for)

    def plan_at(self, at_us: int, told: Circumstances | None = None) -> Plan | TieredPlan:
        fulfilled = frozenset(when for when in self._conditions if fulfils(told, when))
        return self._timeline(fulfilled).plan_at(at_us)

    def _timeline_for(self, fulfilled: frozenset[Condition]) -> Timeline:
        return _of_offers(self._asked, [offer for offer in self._offers if offer.when in fulfilled])


_SETS_MAX = 64


def timeline_of(
    own: Shelf, common: Common, provider: str | None, model: str | None, service_tier: str | None, batch: bool
) -> Timeline | ConditionalTimeline:
    """The timeline of the plans for these names, to be rated with in that tier."""
    mode = mode_of(service_tier, batch)
    if mode is None:  # a tier that no price can be for
        return Timeline([], [])
    asked = understood(own, common, provider, model)
    offers = offers_for(own, common, asked, mode)
    return ConditionalTimeline(asked, offers) if any(offer.when for offer in offers) else _of_offers(asked, offers)


def _of_offers(asked: Asked, offers: Sequence[Offer]) -> Timeline:
    edges_us = sorted(
        {offer.price.effective_from_us for offer in offers}
        | {offer.price.effective_to_us for offer in offers if offer.price.effective_to_us is not None}
    )
    return Timeline(edges_us, _winners(offers, edges_us, asked))


def _winners(offers: Iterable[Offer], edges_us: Sequence[int], asked: Asked) -> list[Plan | TieredPlan | _DailyPlan]:
    """The plan of the best offer in force from each edge on, found in one sweep over time."""
    waiting = sorted(offers, key=lambda offer: -offer.price.effective_from_us)
    begun: list[tuple[Rank, Offer]] = []
    plans: list[Plan | TieredPlan | _DailyPlan] = []
    for edge_us in edges_us:
        while waiting and waiting[-1].price.effective_from_us <= edge_us:
            offer = waiting.pop()
            heappush(begun, (offer.rank(asked), offer))
        while begun and begun[0][1].is_over(edge_us):
            heappop(begun)
        plans.append(_plan_of_the_best(begun, edge_us))
    return plans


def _plan_of_the_best(begun: Sequence[tuple["Rank", Offer]], edge_us: int) -> Plan | TieredPlan | _DailyPlan:
    if not begun:
        return NO_PRICE
    best = begun[0][1]
    if best.price.daily is None:
        return best.plan
    return _DailyPlan(_through_the_day(sorted(begun, key=lambda ranked: ranked[0]), edge_us))


def _through_the_day(
    ranked: Iterable[tuple["Rank", Offer]], edge_us: int
) -> list[tuple[DailyWindow | None, Plan | TieredPlan]]:
    plans: list[tuple[DailyWindow | None, Plan | TieredPlan]] = []
    for _, offer in ranked:
        if not offer.is_over(edge_us):
            plans.append((offer.price.daily, offer.plan))
            if offer.price.daily is None:
                return plans
    return [*plans, (None, NO_PRICE)]
