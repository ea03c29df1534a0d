"""Named places at which a test may end the process, as a power cut would. In production nothing happens there.

The engine is handed a function that it calls at each of them; `TALLYBOOK_FAILPOINT`, read once at the start, makes one
that kills.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum


class Failpoint(StrEnum):
    """In the order in which a write passes them."""

    FLUSH_BEGUN = "flush_begun"  # the transaction is open, nothing is done
    HALF_POSTED = "half_posted"  # a transaction is in, the balance it leads to is not
    HALF_EXPIRED = "half_expired"  # expiries are in, the balances are not yet freed
    EFFECT_DONE = "effect_done"  # an effect is applied, its idempotent outcome is not stored
    JOB_DONE = "job_done"  # one job of a flush is complete
    HALF_RECORDED = "half_recorded"  # transactions lead to usage that is not in the outbox
    HALF_CORRECTED = "half_corrected"  # what a correction gives back is posted, the correction is not claimed
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"  # durable, nobody answered
    DELIVERY_BEGUN = "delivery_begun"  # usages that a commit promised are read, none is delivered
    DELIVERED = "delivered"  # they are in the event store, and still to be delivered
    UNLINKED = "unlinked"  # events are stored, the links from their transactions are not


AtFailpoint = Callable[[Failpoint], None]
"""Called with each failpoint as it is reached."""


def go_on(point: Failpoint) -> None:
    """What production does at every failpoint: nothing."""


def kill_at(text: str | None) -> AtFailpoint:
    """Ends the process (SIGKILL) at what the text names: `before_commit`, or `before_commit:3` for the third time.

    Without a text nothing happens. Raises `ValueError` for a name that is none.
    """
    if text is None:
        return go_on
    name, _, count = text.partition(":")
    chosen = Failpoint(name)
    left = int(count or 1)

    def reach(point: Failpoint) -> None:
        nonlocal left
        if point is chosen:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach
