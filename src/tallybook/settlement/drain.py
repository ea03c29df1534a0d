"""Delivers what the ledger's commits promised to the event store: in order, many at a time, before anybody reads it.

A crash between the two repeats a delivery; the event store keeps each event once.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from tallybook.core.errors import Overloaded
from tallybook.core.failpoints import AtFailpoint, Failpoint
from tallybook.corrections.model import Change
from tallybook.metering.event import Outcome, Status, Submission
from tallybook.settlement.store import Outbox, Waiting

_PAUSE_SECONDS = 3.0
"""For which usage may gather when nobody asks for it: to deliver much at once is cheap. Also between two attempts."""
_ROWS = 4_000
"""Usages delivered at a time."""
_PART = 250
"""Of which so many are taken at once: what is made of them is made while they are near the processor."""
_REST_SECONDS = 0.02
"""Between two parts, as nobody waits."""

log = logging.getLogger("tallybook.drain")


class Drain:
    """One thread delivers, and all who wait share it. `catch_up` links what has to be linked after each delivery.

    `apply` takes corrections to the event store, each once however often it is delivered.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliver: Callable[[Iterable[Sequence[Submission]]], Sequence[Outcome]],
        catch_up: Callable[[], None],
        reach: AtFailpoint,
        apply: Callable[[Sequence[Change]], None] = lambda changes: None,
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._catch_up = catch_up
        self._reach = reach
        self._apply = apply
        self._changed = threading.Condition()
        self._nudged = True
        self._wanted = self._delivered = self._failures = 0
        self._failure: Exception | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
        self.is_caught_up = False
        """Whether all that was promised before the start is delivered and linked."""

    def start(self) -> None:
        self._outbox.tell(self.nudge)
        self._thread.start()

    def nudge(self) -> None:
        """Says that a commit may have promised something. Cheap; from any thread."""
        if not self._nudged or self._is_worth_it():
            with self._changed:
                self._nudged = True
                self._changed.notify_all()

    def before_read(self) -> None:
        """Holds the calling thread until all that was promised when it came is delivered.

        Raises what keeps it from being delivered, which is always worth a repeat.
        """
        newest = self._outbox.newest_waiting()
        if newest is None or newest <= self._delivered:
            return
        with self._changed:
            failures = self._failures
            self._wanted = max(self._wanted, newest)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._delivered >= newest or self._failures > failures or self._closing)
            if self._delivered < newest:
                raise self._failure if isinstance(self._failure, Overloaded) else Overloaded("usage is not delivered")

    def close(self) -> None:
        """Delivers what it can, and stops."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._try(self._deliver_and_link)
            if self._is_quiet():
                self._try(self._outbox.remove_delivered)
            self._await_more()
        self._try(self._deliver_and_link)
        self._try(self._outbox.remove_delivered)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self._give_up(error)

    def _deliver_and_link(self) -> None:
        self._deliver_waiting()
        self._catch_up()
        self.is_caught_up = True

    def _is_quiet(self) -> bool:
        """Whether nothing comes for a while."""
        with self._changed:
            return not self._changed.wait_for(self._is_called, _PAUSE_SECONDS)

    def _await_more(self) -> None:
        with self._changed:
            self._changed.wait_for(self._is_called)
            self._changed.wait_for(lambda: self._is_asked() or self._closing or self._is_worth_it(), _PAUSE_SECONDS)
            self._nudged = False

    def _is_called(self) -> bool:
        return self._nudged or self._is_asked() or self._closing

    def _is_asked(self) -> bool:
        return self._wanted > self._delivered

    def _is_worth_it(self) -> bool:
        """Whether so much waits that more would hardly make it cheaper."""
        return self._outbox.outbox_length() >= _ROWS

    def _deliver_waiting(self) -> None:
        """Delivers all that waits as it begins.

        What comes meanwhile gathers: on a busy ledger there is always some, and a few cost nearly as much as many.
        """
        newest, delivered = self._outbox.newest_waiting() or 0, 0
        while delivered < newest:
            delivered = self._deliver_some(newest)

    def _deliver_some(self, until: int) -> int:
        """Delivers about `_ROWS` usages of the commits up to that one, and returns the number of the last."""
        self._reach(Failpoint.DELIVERY_BEGUN)
        taken: list[Waiting] = []
        outcomes = self._deliver(self._parts(until, taken))
        changes = [change for part in taken for change in part.changes]
        if changes:
            self._apply(changes)
        self._reach(Failpoint.DELIVERED)
        newest = taken[-1].newest
        if any(outcome.status is Status.CONFLICT for outcome in outcomes):
            log.error("usage met another event of its name", extra={"newest": newest})
        with self._changed:
            self._delivered = newest
            self._changed.notify_all()
        self._outbox.note_delivered(newest)
        return newest

    def _parts(self, until: int, taken: list[Waiting]) -> Iterator[Sequence[Submission]]:
        """What waits, a little at a time; `taken` is where it is noted."""
        count = last = 0
        while last < until and count < _ROWS and (part := self._outbox.oldest_waiting(_PART, last)):
            taken.append(part)
            yield part.submissions
            last, count = part.newest, count + len(part.submissions) + len(part.changes)
            self._rest()

    def _rest(self) -> None:
        """Leaves the interpreter to the ledger for a while, unless somebody waits."""
        if self.is_caught_up:
            with self._changed:
                self._changed.wait_for(lambda: self._is_asked() or self._closing, _REST_SECONDS)

    def _give_up(self, error: Exception) -> None:
        """For now: whoever waits is told, and after a pause it is tried again."""
        log.warning("usage not delivered", extra={"reason": str(error)}, exc_info=not isinstance(error, Overloaded))
        with self._changed:
            self._failure, self._failures, self._nudged, self._wanted = error, self._failures + 1, True, 0
            self._changed.notify_all()
