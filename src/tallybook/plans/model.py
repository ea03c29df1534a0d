"""Plans, which account is on which, and what was granted.

Amounts are integers of microcredits (1e-6 credit), instants microseconds since 1970, UTC.
"""

from enum import StrEnum

import msgspec

OCCURRENCES_MAX = 10_000
"""Most grants of a plan that ends: centuries of months, and every end is a date that can be written."""


class Interval(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class NewPlan(msgspec.Struct, frozen=True):
    """`credits_micro` (above 0) per grant, `occurrences` of them (1 to 10 000; None: without end).

    `accumulate`: unused credits stay when new ones come. `price` is a decimal as text and means nothing here.
    """

    name: str
    credits_micro: int
    interval: Interval
    occurrences: int | None = None
    accumulate: bool = True
    active: bool = True
    description: str | None = None
    price: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """As `NewPlan`, and never changed but by archiving, which ends `active`: accounts may no longer be put on it."""

    id: str
    name: str
    description: str | None
    price: str | None
    credits_micro: int
    interval: Interval
    occurrences: int | None
    accumulate: bool
    active: bool
    created_at_us: int
    updated_at_us: int


class Assignment(msgspec.Struct, frozen=True):
    """An account on a plan, at the instant it was looked at.

    `deferred`: its first grant is due one interval after the start. `expires_at_us`: where its last period ends, or
    where it was ended; None while there is no end. `granted` counts the grants written; `next_grant_at_us` is None
    when none will follow.
    """

    id: str
    account_id: str
    external_id: str | None
    plan: Plan
    active: bool
    started_at_us: int
    expires_at_us: int | None
    deferred: bool
    granted: int
    next_grant_at_us: int | None


class Grant(msgspec.Struct, frozen=True):
    """Grant `number` (from 1) of an assignment: the credit `transaction_id`, due at `due_at_us` and maybe later made.

    `expirable_micro`: right after it, what is unspent of the credits that will not outlive the period, held ones of
    earlier periods included.
    """

    assignment_id: str
    number: int
    due_at_us: int
    transaction_id: str
    expirable_micro: int


class Assigned(msgspec.Struct, frozen=True):
    """`balance_micro`: the account's, after the first grant if that was due at once."""

    assignment: Assignment
    balance_micro: int


class Unassigned(msgspec.Struct, frozen=True):
    """The assignment that was ended; None where none was active."""

    assignment: Assignment | None
