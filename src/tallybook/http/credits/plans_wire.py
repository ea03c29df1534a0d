"""Bodies and answers of plans, field by field (contract section 6), and their conversion."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from tallybook.core.errors import invalid
from tallybook.core.money import NotANumber, parse_number
from tallybook.core.time_window import instant_text, instant_text_or_none
from tallybook.http.credits.amounts import from_wire_amount, to_wire_amount
from tallybook.http.credits.wire import (
    Addressed,
    Flag,
    Id,
    Instant,
    LongText,
    Number,
    NumberOrNull,
    Pagination,
    Text,
)
from tallybook.plans.model import OCCURRENCES_MAX, Assignment, Interval, NewPlan, Plan

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00]*$",
        description="a string of 1 to 255 characters without U+0000",
    ),
]
Rhythm = Annotated[Literal["1d", "week", "month"], Meta(description="1d, week or month")]
Occurrences = Annotated[int, Meta(ge=1, le=OCCURRENCES_MAX, description=f"a whole number from 1 to {OCCURRENCES_MAX}")]

INTERVALS: Mapping[str, Interval] = {"1d": Interval.DAY, "week": Interval.WEEK, "month": Interval.MONTH}
PERIODS = {Interval.DAY: "daily", Interval.WEEK: "weekly", Interval.MONTH: "monthly"}
_RHYTHMS = {interval: text for text, interval in INTERVALS.items()}
_NULL = b"null"


class PlanWanted(Struct, rename="camel"):
    name: Name
    amount: Number
    interval: Rhythm
    occurrences: Occurrences | None = None
    accumulate: Flag | None = None
    mark_as_active: Flag | None = None
    description: LongText | None = None
    price: NumberOrNull = field(default_factory=Raw)


class ArchiveWanted(Struct, rename="camel"):
    plan_id: Id | None = None
    id: Id | None = None


class AssignWanted(Addressed, rename="camel", kw_only=True):
    plan_id: Id
    start_mode: Text | None = None


class UnassignWanted(Addressed, rename="camel", kw_only=True):
    plan_id: Id | None = None


class PlanShown(Struct, rename="camel"):
    id: str
    name: str
    description: str | None
    credits: Number
    price: NumberOrNull
    billing_period: str
    interval: str
    occurrences: int | None
    accumulate: bool
    is_active: bool
    created_at: Instant
    updated_at: Instant


class AccountPlanShown(Struct, rename="camel"):
    """`grants`: how many were made; `next_grant_at`: null when none will follow."""

    id: str
    account_id: str
    external_id: str | None
    plan_id: str
    active: bool
    started_at: Instant
    expires_at: Instant | None
    grants: int
    next_grant_at: Instant | None
    plan: PlanShown


class PlanMade(Struct):
    plan: PlanShown
    success: bool = True


class PlanList(Struct):
    plans: list[PlanShown]
    pagination: Pagination | UnsetType = UNSET
    success: bool = True


class AccountPlanList(Struct):
    plans: list[AccountPlanShown]
    pagination: Pagination | UnsetType = UNSET
    success: bool = True


class PlanAssigned(Struct, rename="camel"):
    account_plan: AccountPlanShown
    balance: Number
    success: bool = True


class PlanUnassigned(Struct, rename="camel"):
    account_plan: AccountPlanShown | None
    success: bool = True


def to_new_plan(wanted: PlanWanted) -> NewPlan:
    return NewPlan(
        name=wanted.name,
        credits_micro=from_wire_amount(wanted.amount, "amount"),
        interval=INTERVALS[wanted.interval],
        occurrences=wanted.occurrences,
        accumulate=wanted.accumulate is not False,
        active=wanted.mark_as_active is not False,
        description=wanted.description,
        price=_from_wire_price(bytes(wanted.price)),
    )


def plan_shown(plan: Plan) -> PlanShown:
    return PlanShown(
        id=plan.id,
        name=plan.name,
        description=plan.description,
        credits=to_wire_amount(plan.credits_micro),
        price=Raw(_NULL if plan.price is None else plan.price.encode()),
        billing_period=PERIODS[plan.interval],
        interval=_RHYTHMS[plan.interval],
        occurrences=plan.occurrences,
        accumulate=plan.accumulate,
        is_active=plan.active,
        created_at=instant_text(plan.created_at_us),
        updated_at=instant_text(plan.updated_at_us),
    )


def account_plan_shown(assignment: Assignment) -> AccountPlanShown:
    return AccountPlanShown(
        id=assignment.id,
        account_id=assignment.account_id,
        external_id=assignment.external_id,
        plan_id=assignment.plan.id,
        active=assignment.active,
        started_at=instant_text(assignment.started_at_us),
        expires_at=instant_text_or_none(assignment.expires_at_us),
        grants=assignment.granted,
        next_grant_at=instant_text_or_none(assignment.next_grant_at_us),
        plan=plan_shown(assignment.plan),
    )


def _from_wire_price(text: bytes) -> str | None:
    """The number in plain digits, as many as were given."""
    if text in (b"", _NULL):
        return None
    try:
        price = parse_number(text.decode())
    except NotANumber as fault:
        raise invalid("price", msg=str(fault)) from None
    if price < 0:
        raise invalid("price", msg="must be 0 or more")
    return format(price.copy_abs(), "f")  # a sent "-0" is 0
