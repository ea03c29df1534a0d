"""The price book: which price an event is rated with, at its own time.

The names an event carries are resolved once per (org, provider, model, tier, batch) into a timeline of compiled
plans; an event then finds its plan by bisection on the instant it occurred.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from tallybook.core.counters import Usage
from tallybook.pricing.catalogue.names import ProviderNames
from tallybook.pricing.cost import Plan, Rating, given, rate
from tallybook.pricing.listing import Model, find_model, list_models
from tallybook.pricing.offers import EMPTY_SHELF, Common, Offer, Shelf
from tallybook.pricing.price import Mode, Price
from tallybook.pricing.resolution import Resolution, price_in_force, resolve
from tallybook.pricing.timeline import Circumstances, timeline_of


class PriceBook:
    """Rates usages from memory. `load` lists the prices of an owner: an org, or None for those of every org.

    `load_names` lists the names of the catalogue. Keeps at most `owners_max` owners' prices and `timelines_max`
    resolved names and `listings_max` orgs' lists of models. Safe to use from many threads.
    """

    def __init__(
        self,
        load: Callable[[str | None], Iterable[Price]],
        load_names: Callable[[], Sequence[ProviderNames]] = tuple,
        *,
        owners_max: int = 1_000,
        timelines_max: int = 20_000,
        listings_max: int = 16,
    ) -> None:
        self._load = load
        self._load_names = load_names
        self._owners_max = owners_max
        self._own: dict[str, Shelf] = {}
        self._common: Common | None = None
        self._loading = threading.Lock()
        # Shelves are compared by identity: what was made of a dropped shelf is never found again. It would keep that
        # shelf in memory until it aged out, so dropping one forgets all that was made.
        self._timeline = lru_cache(maxsize=timelines_max)(timeline_of)
        self._models = lru_cache(maxsize=listings_max)(list_models)

    def rating(
        self,
        org_id: str,
        *,
        provider: str | None,
        model: str | None,
        service_tier: str | None,
        batch: bool,
        at_us: int,
        usage: Usage,
        given_pico: int | None = None,
        told: Circumstances | None = None,
    ) -> Rating:
        """What a usage costs with the price in force at that instant, as known now; a given cost stands as it is.

        `told` is the event, where it says what prices can have conditions on.
        """
        if given_pico is not None:
            return given(given_pico)
        own = self._own.get(org_id) or self._loaded(org_id)
        common = self._common or self._loaded_common()
        plan = self._timeline(own, common, provider, model, service_tier, batch).plan_at(at_us, told)
        return rate(plan if isinstance(plan, Plan) else plan.plan_for(usage), usage)

    def resolve(
        self,
        org_id: str,
        *,
        provider: str | None,
        model: str,
        mode: Mode,
        at_us: int,
        told: Circumstances | None = None,
    ) -> Resolution:
        """How `rating` finds the price of an event that names these, with every candidate."""
        own, common = self._shelves(org_id)
        return resolve(own, common, provider=provider, model=model, mode=mode, at_us=at_us, told=told)

    def price(
        self,
        org_id: str,
        *,
        provider: str | None,
        model: str,
        mode: Mode,
        at_us: int,
        told: Circumstances | None = None,
    ) -> Price | None:
        """The price that `rating` uses for an event that names these, says that besides and occurs at that instant."""
        own, common = self._shelves(org_id)
        return price_in_force(own, common, provider=provider, model=model, mode=mode, at_us=at_us, told=told)

    def models(self, org_id: str, at_us: int) -> list[Model]:
        """Every model with a price in force, by provider and id. The first call after a change takes some 0.3 s."""
        listed = self._models(*self._shelves(org_id))
        return [model for each in listed if (model := each.at(at_us)) is not None]

    def model(self, org_id: str, name: str, at_us: int) -> Model | None:
        """What usage with that model name and no provider is rated as; None where no price is in force."""
        return find_model(*self._shelves(org_id), name).at(at_us)

    def drop(self, owner: str | None) -> None:
        """Forgets the prices of that owner. To be called after the commit that changed them."""
        # Waits for a load in progress, which may have begun before the commit.
        with self._loading:
            if owner is None:
                self._common = None
            else:
                self._own.pop(owner, None)
            self._forget()

    def _forget(self) -> None:
        self._timeline.cache_clear()
        self._models.cache_clear()

    def _shelves(self, org_id: str) -> tuple[Shelf, Common]:
        return self._own.get(org_id) or self._loaded(org_id), self._common or self._loaded_common()

    def _loaded(self, org_id: str) -> Shelf:
        with self._loading:
            shelf = self._own.get(org_id)
            if shelf is None:
                if len(self._own) >= self._owners_max and self._own.pop(next(iter(self._own))) is not EMPTY_SHELF:
                    self._forget()
                offers = list(map(Offer, self._load(org_id)))
                shelf = self._own[org_id] = Shelf(offers) if offers else EMPTY_SHELF
            return shelf

    def _loaded_common(self) -> Common:
        with self._loading:
            if self._common is None:
                self._common = Common(self._load(None), self._load_names())
            return self._common
