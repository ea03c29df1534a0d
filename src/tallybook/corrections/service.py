"""The one way to correct an event: look at it, decide, commit if it is still so, answer."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.errors import NoSuchEvent
from tallybook.analytics.query import Reach
from tallybook.analytics.service import UsageService
from tallybook.core.counters import Usage
from tallybook.core.errors import TallybookError
from tallybook.core.ids import object_id
from tallybook.core.unit_of_work import Repeat
from tallybook.corrections.errors import Overtaken
from tallybook.corrections.model import Address, Corrected, CorrectionRecord, Decision, Wish
from tallybook.corrections.rules import decide
from tallybook.corrections.store import Committer, CorrectionStore
from tallybook.metering.event import UsageEvent
from tallybook.metering.rating import Rater, rate_event
from tallybook.pricing.cost import Rating


class Shown(NamedTuple):
    """An event as a correction left it, and that correction."""

    event: EventRecord
    correction: CorrectionRecord


class CorrectionService:
    """`direct` and `billed` commit the corrections of events without and with a transaction of the ledger.

    `charged` says what of an event's usage its cost is for. `before_read` is as in `UsageService`.
    """

    def __init__(
        self,
        usage: UsageService,
        store: CorrectionStore,
        direct: Committer,
        billed: Committer,
        rater: Rater,
        charged: Callable[[UsageEvent], Usage],
        before_read: Callable[[], None] = lambda: None,
    ) -> None:
        self._usage = usage
        self._store = store
        self._direct = direct
        self._billed = billed
        self._rater = rater
        self._charged = charged
        self._before_read = before_read

    async def correct(
        self, address: Address, wish: Wish | Callable[[EventRecord], Wish], repeat: Repeat | None = None
    ) -> Corrected:
        """Answers after the commit. `wish` may depend on the event as it is.

        With `repeat` the outcome, or its refusal, is kept and given again to repeats. Raises `NoSuchEvent` and what
        `decide` raises; with a refund `NothingToRefund`, `AboveCeiling`, and `InvalidInput`
        where what was paid along with the event has no known cost.
        """
        correction_id = object_id("cor")
        while True:
            event = await asyncio.to_thread(self.find, address)
            decided: Decision | TallybookError
            try:
                wished = wish(event) if callable(wish) else wish
                decided = decide(event, wished, address, correction_id, self.rate)
            except TallybookError as refusal:
                if repeat is None:
                    raise
                decided = refusal
            try:
                return await self.committer_of(event).once(repeat, decided)
            except Overtaken:
                continue

    def find(self, address: Address) -> EventRecord:
        """The event as it is, or as it was last if it is voided. Raises `NoSuchEvent`."""
        reach = Reach(address.actor, (address.org_id,), external_user_id=address.external_user_id)
        return self._usage.get_event(reach, address.uid, with_voided=True)

    def shown(self, org_id: str, corrected: Corrected) -> Shown:
        """The event as the correction left it, whatever came later."""
        revision = corrected.replacement or corrected.superseded or 0
        events, corrections = self.history(org_id, corrected.uid)
        event = next(each for each in events if each.revision == revision)
        claimed = (corrected.superseded, corrected.replacement)
        return Shown(event, next(each for each in corrections if (each.superseded, each.replacement) == claimed))

    def at_revision(self, org_id: str, uid: str, revision: int) -> EventRecord:
        """Raises `NoSuchEvent`."""
        events, _ = self.history(org_id, uid)
        found = next((each for each in events if each.revision == revision), None)
        if found is None:
            raise NoSuchEvent(uid)
        return found

    def history(self, org_id: str, uid: str) -> tuple[Sequence[EventRecord], Sequence[CorrectionRecord]]:
        """Every revision of an event, and every correction, in order."""
        self._before_read()
        return self._store.history(org_id, uid)

    def rate(self, org_id: str, event: UsageEvent, at_us: int) -> Rating:
        """What an event costs, as known now."""
        return rate_event(self._rater, org_id, event, at_us, self._charged(event))

    def committer_of(self, event: EventRecord) -> Committer:
        """No correction changes the transaction of an event, so this never changes."""
        return self._billed if "transaction_id" in event.fields else self._direct
