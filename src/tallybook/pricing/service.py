"""The one way prices are recorded, and the one way usages are rated."""

from tallybook.core.clock import Clock
from tallybook.core.errors import Fault, InvalidInput
from tallybook.core.ids import object_id
from tallybook.core.unit_of_work import Journal, JournalEntry, Record, Repeat, Transaction, Writes
from tallybook.pricing.book import PriceBook
from tallybook.pricing.errors import AlreadySuperseded, PriceExists
from tallybook.pricing.price import NewPrice, Price, faults_of
from tallybook.pricing.store import Position, PriceStore


class PricingService:
    """Keeps the prices of orgs and rates usages with them."""

    def __init__(self, store: PriceStore, writes: Writes, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._writes = writes
        self._journal = journal
        self._clock = clock
        self._book = PriceBook(store.list_in_force)
        self.rating = self._book.rating

    async def put(self, org_id: str, wanted: NewPrice, *, actor: str, repeat: Repeat | None) -> Price:
        """Records a price of the org; a repeat is answered with the same price. Stored events stay as rated.

        Raises `InvalidInput` for what no price may be, `PriceExists` when another price with the same key
        begins at the same instant, and for what it supersedes `NotFound` or `AlreadySuperseded`.
        """
        faults = faults_of(wanted)
        if faults:
            raise InvalidInput([Fault(("body", *fault.loc), fault.msg) for fault in faults])

        def effect(transaction: Transaction) -> Record:
            superseded = self._superseded(transaction, org_id, wanted.supersedes)
            for other in self._store.list_beginning(org_id, wanted.effective_from_us, transaction):
                if other.key == wanted.key and other.id != wanted.supersedes:
                    raise PriceExists(other.id)
            now_us = self._clock.now_us()
            price = Price(**vars(wanted), id=object_id("price"), org_id=org_id, recorded_at_us=now_us)
            self._store.append(transaction, price)
            before = None if superseded is None else superseded.to_record()
            entry = JournalEntry(org_id, actor, "price.recorded", price.id, before, price.to_record())
            self._journal.append(transaction, entry, now_us)
            return {"v": 1, "price_id": price.id}

        outcome = await self._writes.once(repeat, effect)
        self._book.drop(org_id)
        return self._store.get(org_id, outcome["price_id"])

    def list_prices(
        self, org_id: str, *, provider: str | None, model: str | None, before: Position | None, limit: int
    ) -> list[Price]:
        """At most `limit` prices of the org, newest first, from those older than `before`."""
        return self._store.list_prices(org_id, provider=provider, model=model, before=before, limit=limit)

    def _superseded(self, transaction: Transaction, org_id: str, price_id: str | None) -> Price | None:
        if price_id is None:
            return None
        price = self._store.get(org_id, price_id, transaction)
        if self._store.is_superseded(org_id, price_id, transaction):
            raise AlreadySuperseded(price_id)
        return price
