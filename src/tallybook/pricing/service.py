"""The one way prices are recorded, and the one way usages are rated."""

import asyncio
from collections.abc import Callable

from tallybook.core.clock import Clock
from tallybook.core.counters import Usage
from tallybook.core.errors import Fault, InvalidInput
from tallybook.core.ids import object_id
from tallybook.core.unit_of_work import Journal, JournalEntry, Record, Repeat, Transaction, Writes
from tallybook.pricing.book import PriceBook
from tallybook.pricing.catalogue.changes import Change, changes
from tallybook.pricing.catalogue.names import with_former
from tallybook.pricing.catalogue.snapshot import Differences, PriceLists, Synced
from tallybook.pricing.comparison import Claim, Comparison, Opinions, compare
from tallybook.pricing.cost import context_tokens
from tallybook.pricing.errors import AlreadySuperseded, PriceExists
from tallybook.pricing.listing import Estimate, Model
from tallybook.pricing.price import Mode, NewPrice, Origin, Price, faults_of, rates_for
from tallybook.pricing.resolution import Resolution
from tallybook.pricing.store import Position, PriceStore
from tallybook.pricing.timeline import Circumstances

CLUSTER = "*"
"""Whom the admin log names where a change is for every org."""


class PricingService:
    """Keeps the prices of orgs and of the built-in catalogue, and rates usages with them.

    `read_lists` gives the newest catalogue and overlay that are installed; it may take a second.
    """

    def __init__(
        self, store: PriceStore, writes: Writes, journal: Journal, clock: Clock, read_lists: Callable[[], PriceLists]
    ) -> None:
        self._store = store
        self._writes = writes
        self._journal = journal
        self._clock = clock
        self._read_lists = read_lists
        self._book = PriceBook(store.list_in_force, store.list_names)
        self.rating = self._book.rating

    async def put(self, org_id: str, wanted: NewPrice, *, actor: str, repeat: Repeat | None) -> Price:
        """Records a price of the org; a repeat is answered with the same price. Stored events stay as rated.

        Raises `InvalidInput` for what no price may be, `PriceExists` when another price with the same key for the
        same part of the day begins at the same instant, and for what it supersedes `NotFound` or
        `AlreadySuperseded`.
        """
        faults = faults_of(wanted)
        if faults:
            raise InvalidInput([Fault(("body", *fault.loc), fault.msg) for fault in faults])

        def effect(transaction: Transaction) -> Record:
            superseded = self._superseded(transaction, org_id, wanted.supersedes)
            for other in self._store.list_beginning(org_id, wanted.effective_from_us, transaction):
                if (other.key, other.daily) == (wanted.key, wanted.daily) and other.id != wanted.supersedes:
                    raise PriceExists(other.id)
            now_us = self._clock.now_us()
            price = self._append(transaction, wanted, org_id, Origin.ORG, now_us)
            before = None if superseded is None else superseded.to_record()
            entry = JournalEntry(org_id, actor, "price.recorded", price.id, before, price.to_record())
            self._journal.append(transaction, entry, now_us)
            return {"v": 1, "price_id": price.id}

        outcome = await self._writes.once(repeat, effect)
        self._book.drop(org_id)
        return self._store.get(org_id, outcome["price_id"])

    async def sync(self, *, actor: str, repeat: Repeat | None = None) -> Synced:
        """Takes over the catalogue and overlay that are installed, in one commit: all of it or nothing.

        What events were rated with stays; a sync of what is recorded already records nothing. Raises
        `CatalogueUnreadable`.
        """
        lists = await asyncio.to_thread(self._read_lists)

        def effect(transaction: Transaction) -> Record:
            before = self._store.catalogue_version(transaction)
            now_us = self._clock.now_us()
            changed = self._changes(lists, now_us, transaction)
            for origin, change in changed:
                self._append(transaction, change.price, None, origin, now_us)
            if before != lists.catalogue.version:
                names = with_former(lists.catalogue.providers, self._store.list_names(transaction))
                self._store.append_names(transaction, lists.catalogue.version, names, now_us)
            if changed or before != lists.catalogue.version:
                done = {"version": lists.catalogue.version, "prices": len(changed)}
                old = None if before is None else {"version": before}
                entry = JournalEntry(CLUSTER, actor, "prices.synced", "catalogue", old, done)
                self._journal.append(transaction, entry, now_us)
            return {"v": 1, "before": before, "version": lists.catalogue.version, "recorded": len(changed)}

        outcome = await self._writes.once(repeat, effect)
        self._book.drop(None)
        return Synced(outcome["before"], outcome["version"], outcome["recorded"])

    def differences(self) -> Differences:
        """What a sync would record now. Raises `CatalogueUnreadable`."""
        lists = self._read_lists()
        changed = [change for _, change in self._changes(lists, self._clock.now_us())]
        return Differences(self._store.catalogue_version(), lists.catalogue.version, changed)

    def has_catalogue(self) -> bool:
        """Whether there has been a sync."""
        return self._store.catalogue_version() is not None

    def resolve(
        self,
        org_id: str,
        *,
        provider: str | None,
        model: str,
        mode: Mode,
        at_us: int | None = None,
        told: Circumstances | None = None,
    ) -> Resolution:
        """Which price an event gets that names these and occurs at that instant, now by default; and why."""
        if at_us is None:
            at_us = self._clock.now_us()
        return self._book.resolve(org_id, provider=provider, model=model, mode=mode, at_us=at_us, told=told)

    def compare(self, org_id: str, opinions: Opinions) -> Comparison:
        """Another list beside what the org is charged now. Some seconds for a list of thousands of models."""
        now_us = self._clock.now_us()

        def price_of(claim: Claim) -> Price | None:
            names = {"provider": claim.provider, "model": claim.model}
            return self._book.price(org_id, **names, mode=claim.mode, at_us=now_us, told=claim.said)

        return Comparison(now_us, compare(opinions.claims, price_of), opinions.unsaid)

    def list_models(self, org_id: str) -> list[Model]:
        """Every model that has a price now, by provider and id."""
        return self._book.models(org_id, self._clock.now_us())

    def find_model(self, org_id: str, name: str) -> Model | None:
        """What usage with that model name and no provider is rated as now; None where it has no price."""
        return self._book.model(org_id, name, self._clock.now_us())

    def estimate(self, org_id: str, name: str, usage: Usage) -> Estimate | None:
        """What a usage of that model would be rated as now; None where it has no price."""
        now_us = self._clock.now_us()
        model = self._book.model(org_id, name, now_us)
        if model is None:
            return None
        rating = self._book.rating(
            org_id, provider=None, model=name, service_tier=None, batch=False, at_us=now_us, usage=usage
        )
        return Estimate(model, rates_for(model.price.rates, context_tokens(usage)), rating)

    def find_price(self, org_id: str, price_id: str) -> Price | None:
        """A price of the org or of every org, whether or not it is in force."""
        return self._store.find(org_id, price_id)

    def list_prices(
        self,
        org_id: str,
        origin: Origin = Origin.ORG,
        *,
        provider: str | None,
        model: str | None,
        before: Position | None,
        limit: int,
    ) -> list[Price]:
        """At most `limit` prices of the org or of the other origin, newest first, from those older than `before`."""
        owner = org_id if origin is Origin.ORG else None
        return self._store.list_prices(owner, origin, provider=provider, model=model, before=before, limit=limit)

    def _superseded(self, transaction: Transaction, org_id: str, price_id: str | None) -> Price | None:
        if price_id is None:
            return None
        price = self._store.get(org_id, price_id, transaction)
        if self._store.is_superseded(org_id, price_id, transaction):
            raise AlreadySuperseded(price_id)
        return price

    def _changes(
        self, lists: PriceLists, now_us: int, transaction: Transaction | None = None
    ) -> list[tuple[Origin, Change]]:
        recorded = self._store.list_in_force(None, transaction)
        wanted = {Origin.CATALOGUE: lists.catalogue.prices, Origin.OVERLAY: lists.overlay}
        return [
            (origin, change)
            for origin, prices in wanted.items()
            for change in changes([price for price in recorded if price.origin is origin], prices, now_us)
        ]

    def _append(
        self, transaction: Transaction, wanted: NewPrice, org_id: str | None, origin: Origin, now_us: int
    ) -> Price:
        price = Price(**vars(wanted), id=object_id("price"), org_id=org_id, origin=origin, recorded_at_us=now_us)
        self._store.append(transaction, price)
        return price
