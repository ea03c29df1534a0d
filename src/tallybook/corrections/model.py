"""What may be asked of an event that is stored, and what a correction is once it is decided.

Instants are microseconds since 1970, UTC; costs picodollars, credits microcredits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, NamedTuple

import msgspec

from tallybook.analytics.answer import EventRecord
from tallybook.metering.event import Submission


class Action(StrEnum):
    AMEND = "amend"
    VOID = "void"
    RESTORE = "restore"
    REPRICE = "reprice"
    UNDO = "undo"


class Refund(Enum):
    """Whether the credits are given back that a correction makes too many. REQUIRED: else it is refused."""

    NONE = "none"
    IF_ANY = "if_any"
    REQUIRED = "required"


@dataclass(frozen=True)
class Address:
    """An event, and by whom and why it is corrected.

    `expected_revision` None: whichever is there. `external_user_id`: only if it is an event of that end user.
    """

    org_id: str
    uid: str
    actor: str
    reason: str | None = None
    expected_revision: int | None = None
    external_user_id: str | None = None


@dataclass(frozen=True)
class Amend:
    """`set`: fields of `UsageEvent` with their new values; None clears. What is not named stays.

    `revive`: a voided event is put back with it, and then nothing need be set.
    """

    set: Mapping[str, Any]
    refund: Refund = Refund.NONE
    revive: bool = False


@dataclass(frozen=True)
class Void:
    refund: Refund = Refund.NONE


@dataclass(frozen=True)
class Restore:
    pass


Wish = Amend | Void | Restore


class Change(msgspec.Struct, frozen=True):
    """A correction of one event as it is stored.

    `superseded` is the revision that it ends (None: a restore), `replacement` the one that it begins, whose content is
    `row` (None: a void). `before` is the content of the revision before, which it ends or which was voided.
    `refunded`: the new one costs nothing any more, as it was given back. `refund_id` is the transaction that gives
    credits back.
    """

    org_id: str
    uid: bytes
    occurred_at_us: int
    superseded: int | None
    replacement: int | None
    row: Submission | None
    before: Submission
    id: str
    action: Action
    actor: str
    reason: str | None
    refunded: bool = False
    refund_id: str | None = None


class GiveBack(NamedTuple):
    """What a change makes of the cost of `event`, for its transaction to follow."""

    required: bool
    transaction_id: str
    event: EventRecord
    after_pico: int

    @property
    def before_pico(self) -> int:
        """0 also where it is not known."""
        return self.event.cost_pico or 0


class Decision(NamedTuple):
    change: Change
    give_back: GiveBack | None = None
    transaction_id: str | None = None


class Corrected(msgspec.Struct, frozen=True):
    """What a correction did. `refund_micro` are the credits of the transaction `refund_id`."""

    uid: str
    id: str
    action: Action
    superseded: int | None
    replacement: int | None
    refund_id: str | None = None
    refund_micro: int | None = None


class CorrectionRecord(NamedTuple):
    """A correction as it was recorded."""

    uid: str
    id: str
    action: Action
    superseded: int | None
    replacement: int | None
    occurred_at_us: int
    recorded_at_us: int
    seq: int
    actor: str
    reason: str | None
    refund_id: str | None


def corrected_by(change: Change, uid: str, refund_micro: int | None = None) -> Corrected:
    return Corrected(
        uid, change.id, change.action, change.superseded, change.replacement, change.refund_id, refund_micro
    )
