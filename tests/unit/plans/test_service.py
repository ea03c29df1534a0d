"""Plans as their users see them: each test reads like a month on the account."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallybook.core.errors import Conflict, InvalidInput, NotFound
from tallybook.core.time_window import DAY_US, instant_text
from tallybook.ledger.errors import AboveCeiling, TooManyResults, UnknownAccount
from tallybook.ledger.model import CEILING_MICRO, Account, Address, NewAccount, Slice, Terms
from tallybook.plans.errors import PlanNotActive, UnknownPlan
from tallybook.plans.model import Interval
from tests.unit.ledger.rooms import CREDIT, ORG, repeat
from tests.unit.plans.rooms import OpenPlans

GRANTED, EXPIRED = "Plan credits granted", "Plan credits expired"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[OpenPlans]:
    opened = OpenPlans(tmp_path)
    opened.at("2026-01-31T12:00:00Z")
    yield opened
    opened.verify()
    opened.close()


@pytest.fixture
def ada(room: OpenPlans) -> Account:
    return room.account("ada")


# Grants.


def test_the_first_grant_is_made_with_the_assignment(room: OpenPlans, ada: Account) -> None:
    made = room.assign(ada, room.plan(100))
    assert made.balance_micro == 100 * CREDIT
    assert (made.assignment.active, made.assignment.granted, made.assignment.expires_at_us) == (True, 1, None)
    assert room.statement(ada) == [("credit", 100, 100, GRANTED)]
    assert room.grant() == 0


def test_a_deferred_one_comes_an_interval_later(room: OpenPlans, ada: Account) -> None:
    made = room.assign(ada, room.plan(100), deferred=True)
    assert (made.balance_micro, made.assignment.granted) == (0, 0)
    room.at("2026-02-28T11:59:59.999999Z")
    assert room.grant() == 0
    room.at("2026-02-28T12:00:00Z")
    assert room.grant() == 1
    assert room.statement(ada) == [("credit", 100, 100, GRANTED)]


def test_missed_periods_are_caught_up_once_each_and_in_order(room: OpenPlans, ada: Account) -> None:
    room.assign(ada, room.plan(100))
    room.at("2026-05-15T00:00:00Z")
    assert room.grant() == 3
    assert room.grant() == 0
    assert [date[:10] for date in room.dates(ada)] == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    assert room.statement(ada) == [("credit", 100, 100 * n, GRANTED) for n in (1, 2, 3, 4)]


def test_batches_go_through_the_accounts_by_the_instants_that_are_due(room: OpenPlans) -> None:
    plan = room.plan(1, Interval.DAY)
    accounts = []
    for _ in range(3):
        accounts.append(room.account())
        room.assign(accounts[-1], plan)
        room.clock.now += 1
    room.clock.now += 2 * DAY_US
    assert [room.run(room.plans.grant_due(4)) for _ in range(3)] == [4, 2, 0]
    assert [room.figures(account)[0] for account in accounts] == [3, 3, 3]
    (counts,) = room.engine.read().execute("SELECT count(DISTINCT number) FROM plan_grants")
    assert counts == (3,)


def test_a_grant_that_fails_keeps_nobody_else_from_theirs(
    room: OpenPlans, ada: Account, caplog: pytest.LogCaptureFixture
) -> None:
    broken = room.assign(ada, room.plan(100, accumulate=False)).assignment
    others = [room.account(name) for name in ("ben", "cem")]
    for other in others:
        room.clock.now += 1
        room.assign(other, room.plan(7))
    room.run(room.engine.write(lambda writer: writer.execute("DELETE FROM plan_grants WHERE account_plan = 1")))
    room.at("2026-03-01T00:00:00Z")
    assert room.grant() == 2
    assert [room.figures(account)[0] for account in (ada, *others)] == [100, 14, 14]
    (told,) = caplog.records
    assert (told.message, vars(told)["assignment_id"]) == ("plan not granted", broken.id)
    assert told.exc_info is not None


def test_a_grant_says_what_it_is_of(room: OpenPlans, ada: Account) -> None:
    plan = room.plan(100, accumulate=False)
    assignment = room.assign(ada, plan).assignment
    room.at("2026-03-01T00:00:00Z")
    room.grant()
    entries = list(room.ledger.list_transactions(ORG, Address(ada.id), Slice(10)).rows)
    told = [msgspec.json.decode(entry.metadata or "{}") for entry in entries]
    of = {"planId": plan.id, "accountPlanId": assignment.id}
    assert told[::-1] == [
        {**of, "occurrence": 1, "dueAt": "2026-01-31T12:00:00Z"},
        {**of, "occurrence": 1},
        {**of, "occurrence": 2, "dueAt": "2026-02-28T12:00:00Z"},
    ]
    assert instant_text(entries[0].created_at_us) == "2026-03-01T00:00:00Z"


def test_occurrences_count_the_grants_and_end_the_last_period(room: OpenPlans, ada: Account) -> None:
    room.assign(ada, room.plan(100, occurrences=2))
    room.at("2026-03-15T00:00:00Z")
    assert room.grant() == 1
    (assignment,) = room.of(ada)
    assert (assignment.active, assignment.granted, assignment.next_grant_at_us) == (True, 2, None)
    room.at("2027-01-01T00:00:00Z")
    assert room.grant() == 0
    (assignment,) = room.of(ada)
    assert not assignment.active
    assert instant_text(assignment.expires_at_us or 0) == "2026-03-31T12:00:00Z"
    assert room.unassign(ada).assignment is None
    assert room.statement(ada) == [("credit", 100, 100, GRANTED), ("credit", 100, 200, GRANTED)]


def test_a_grant_that_does_not_fit_under_the_ceiling_is_cut(room: OpenPlans, ada: Account) -> None:
    plan = room.plan(100, Interval.DAY, accumulate=False)
    room.assign(ada, plan, deferred=True)
    room.post(ada, CEILING_MICRO // CREDIT - 30)
    room.clock.now += 2 * DAY_US
    room.grant()
    with pytest.raises(AboveCeiling):
        room.assign(ada, plan)
    assert [line[1] for line in room.statement(ada)[1:]] == [30, 30, 30]
    assert [assignment.granted for assignment in room.of(ada)] == [2]


# Unused credits of a plan that does not accumulate.


def spending(room: OpenPlans, ada: Account) -> None:
    room.assign(ada, room.plan(100, accumulate=False))


def test_what_is_unspent_expires_before_the_next_grant(room: OpenPlans, ada: Account) -> None:
    spending(room, ada)
    room.post(ada, -30)
    room.at("2026-02-28T12:00:00Z")
    room.grant()
    assert room.statement(ada)[2:] == [("debit", 70, 0, EXPIRED), ("credit", 100, 100, GRANTED)]


def test_nothing_expires_where_all_was_spent(room: OpenPlans, ada: Account) -> None:
    spending(room, ada)
    room.post(ada, -100)
    room.at("2026-02-28T12:00:00Z")
    room.grant()
    assert room.statement(ada)[2:] == [("credit", 100, 100, GRANTED)]


@pytest.mark.parametrize("before", [True, False])
def test_other_credits_are_spent_last_and_never_expire(room: OpenPlans, ada: Account, before: bool) -> None:
    if before:
        room.post(ada, 50)
    spending(room, ada)
    if not before:
        room.post(ada, 50)
    room.post(ada, -120)
    room.at("2026-04-01T00:00:00Z")
    room.grant()
    assert room.statement(ada)[3:] == [
        ("credit", 100, 130, GRANTED),
        ("debit", 100, 30, EXPIRED),
        ("credit", 100, 130, GRANTED),
    ]


def test_what_is_held_stays_and_expires_a_period_later(room: OpenPlans, ada: Account) -> None:
    spending(room, ada)
    room.at("2026-02-28T00:00:00Z")
    hold = room.reserve(ada, 80, 86_400)
    room.at("2026-02-28T12:00:00Z")
    room.grant()
    assert room.statement(ada)[1:] == [("debit", 20, 80, EXPIRED), ("credit", 100, 180, GRANTED)]
    assert room.figures(ada) == (180, 80, 100)
    room.run(room.ledger.confirm(ORG, hold.id, 50 * CREDIT, Terms()))
    room.at("2026-03-31T12:00:00Z")
    room.grant()
    assert room.statement(ada)[4:] == [("debit", 130, 0, EXPIRED), ("credit", 100, 100, GRANTED)]


def test_other_credits_can_back_a_hold_while_those_of_the_plan_expire(room: OpenPlans, ada: Account) -> None:
    room.post(ada, 100)
    room.assign(ada, room.plan(50, accumulate=False))
    room.at("2026-02-28T00:00:00Z")
    room.reserve(ada, 60, 86_400)
    room.at("2026-02-28T12:00:00Z")
    room.grant()
    assert room.statement(ada)[2:] == [("debit", 50, 100, EXPIRED), ("credit", 50, 150, GRANTED)]
    assert room.figures(ada) == (150, 60, 90)


def test_a_hold_whose_time_has_passed_keeps_nothing(room: OpenPlans, ada: Account) -> None:
    spending(room, ada)
    room.at("2026-02-28T11:59:00Z")
    room.reserve(ada, 80, 60)
    room.at("2026-02-28T12:00:00Z")
    room.grant()
    assert room.statement(ada)[1:] == [("debit", 100, 0, EXPIRED), ("credit", 100, 100, GRANTED)]


def test_missed_periods_expire_one_after_the_other(room: OpenPlans, ada: Account) -> None:
    spending(room, ada)
    room.at("2026-04-01T00:00:00Z")
    room.grant()
    assert room.statement(ada)[1:] == [("debit", 100, 0, EXPIRED), ("credit", 100, 100, GRANTED)] * 2


def test_credits_of_the_plan_before_are_others(room: OpenPlans, ada: Account) -> None:
    spending(room, ada)
    room.assign(ada, room.plan(10, accumulate=False))
    room.post(ada, -15)
    room.at("2026-02-28T12:00:00Z")
    room.grant()
    assert room.statement(ada)[2:] == [("debit", 15, 95, None), ("credit", 10, 105, GRANTED)]


# Assigning, ending, archiving.


def test_a_new_plan_takes_the_place_of_the_old_one_and_takes_nothing_back(room: OpenPlans, ada: Account) -> None:
    old, new = room.plan(100), room.plan(7, Interval.WEEK)
    room.assign(ada, old)
    room.at("2026-02-10T00:00:00Z")
    assert room.assign(ada, new).balance_micro == 107 * CREDIT
    current, past = room.of(ada)
    assert (current.plan.id, current.active, past.plan.id, past.active) == (new.id, True, old.id, False)
    assert (past.expires_at_us, past.next_grant_at_us) == (room.clock.now, None)
    room.at("2026-03-01T00:00:00Z")
    assert room.grant() == 2
    assert room.figures(ada)[0] == 121


def test_what_was_due_is_granted_before_it_is_replaced_or_ended(room: OpenPlans, ada: Account) -> None:
    room.assign(ada, room.plan(100))
    room.at("2026-04-01T00:00:00Z")
    assert room.assign(ada, room.plan(1)).balance_micro == 301 * CREDIT
    room.at("2026-05-01T00:00:00Z")
    ended = room.unassign(ada).assignment
    assert ended is not None
    assert (ended.active, ended.granted, ended.expires_at_us) == (False, 2, room.clock.now)
    assert room.figures(ada)[0] == 302
    room.at("2027-05-01T00:00:00Z")
    assert room.grant() == 0


def test_only_an_active_assignment_of_the_named_plan_is_ended(room: OpenPlans, ada: Account) -> None:
    one, other = room.plan(), room.plan()
    assert room.unassign(ada).assignment is None
    room.assign(ada, one)
    assert room.unassign(ada, other.id).assignment is None
    assert room.of(ada)[0].active
    assert room.unassign(ada, one.id).assignment is not None
    assert room.unassign(ada, one.id).assignment is None
    with pytest.raises(UnknownPlan):
        room.unassign(ada, "plan_nothing")


def test_an_archived_plan_goes_on_for_those_who_have_it(room: OpenPlans, ada: Account) -> None:
    plan = room.plan(100)
    room.assign(ada, plan)
    room.clock.now += 1
    archived = room.run(room.plans.archive(ORG, plan.id))
    assert (archived.active, archived.updated_at_us) == (False, room.clock.now)
    room.clock.now += 1
    assert room.run(room.plans.archive(ORG, plan.id)) == archived
    with pytest.raises(PlanNotActive):
        room.assign(room.account(), plan)
    with pytest.raises(PlanNotActive):
        room.assign(ada, plan)
    room.at("2026-03-01T00:00:00Z")
    assert room.grant() == 1
    assert [(each.active, each.plan.active) for each in room.of(ada)] == [(True, False)]


def test_a_clock_set_back_ends_nothing_before_it_began(room: OpenPlans, ada: Account) -> None:
    room.assign(ada, room.plan(100))
    room.clock.now -= DAY_US
    ended = room.unassign(ada).assignment
    assert ended is not None
    assert ended.expires_at_us == ended.started_at_us


def test_a_repeat_assigns_nothing_more_and_is_answered_alike(room: OpenPlans, ada: Account) -> None:
    plan, key = room.plan(100), repeat("once", "/v1/accounts/plans/assign")
    first = room.assign(ada, plan, repeat=key)
    room.at("2026-06-01T00:00:00Z")
    assert room.assign(ada, plan, repeat=key) == first
    assert len(room.of(ada)) == 1


# Refusals leave no trace.


def test_unknown_and_foreign_things_are_not_found(room: OpenPlans, ada: Account) -> None:
    plan = room.plan()
    nobody, foreign = Address("acc_nobody"), room.account(org_id="other")
    for address, plan_id, error in (
        (nobody, plan.id, UnknownAccount),
        (Address(foreign.id), plan.id, UnknownAccount),
        (Address(ada.id), "plan_nothing", UnknownPlan),
    ):
        with pytest.raises(error):
            room.run(room.plans.assign(ORG, address, plan_id))
    for command in (
        room.plans.assign("other", Address(foreign.id), plan.id),
        room.plans.archive("other", plan.id),
        room.plans.unassign("other", Address(foreign.id), plan.id),
    ):
        with pytest.raises(NotFound):
            room.run(command)
    assert list(room.plans.list_plans("other").rows) == []
    assert room.of(ada) == []


@pytest.mark.parametrize("wanted", [{"credits": 0}, {"credits": -1}, {"occurrences": 0}, {"occurrences": 10_001}])
def test_impossible_plans_are_refused(room: OpenPlans, wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        room.plan(**wanted)
    with pytest.raises(AboveCeiling):
        room.plan(CEILING_MICRO)
    assert list(room.plans.list_plans(ORG).rows) == []


def test_what_does_not_fit_is_not_assigned_and_ends_nothing(room: OpenPlans, ada: Account) -> None:
    room.assign(ada, room.plan(100))
    room.post(ada, CEILING_MICRO // CREDIT - 100)
    for key in (None, repeat("full", "/v1/accounts/plans/assign")):
        with pytest.raises(Conflict):
            room.assign(ada, room.plan(1), repeat=key)
    assert [(each.active, each.granted) for each in room.of(ada)] == [(True, 1)]


# Lists.


def test_lists_are_newest_first_with_pages_for_those_who_ask(room: OpenPlans, ada: Account) -> None:
    plans = []
    for _ in range(5):
        plans.append(room.plan())
        room.assign(ada, plans[-1])
        room.clock.now += 1
    assert [plan.id for plan in room.plans.list_plans(ORG).rows] == [plan.id for plan in plans[::-1]]
    assert [each.plan for each in room.of(ada)] == plans[::-1]
    page = room.plans.list_plans(ORG, Slice(2, 1))
    assert ([plan.id for plan in page.rows], page.total) == ([plans[3].id, plans[2].id], 5)
    of_ada = room.plans.list_assignments(ORG, Address(ada.id), Slice(2, 4))
    assert ([each.plan.id for each in of_ada.rows], of_ada.total) == ([plans[0].id], 5)


def test_a_list_above_its_bound_is_refused(tmp_path: Path) -> None:
    room = OpenPlans(tmp_path, list_rows_max=2)
    ada = room.run(room.ledger.create_account(ORG, NewAccount()))
    for _ in range(3):
        room.assign(ada, room.plan())
    with pytest.raises(TooManyResults):
        room.plans.list_plans(ORG)
    with pytest.raises(TooManyResults):
        room.of(ada)
    room.close()


# Lateness.


def test_it_says_for_how_long_grants_are_late(room: OpenPlans, ada: Account) -> None:
    assert room.plans.behind_us() == 0
    room.assign(ada, room.plan(1, Interval.DAY))
    assert room.plans.behind_us() == 0
    room.clock.now += 3 * DAY_US
    assert room.plans.behind_us() == 2 * DAY_US + 1
    room.grant()
    assert room.plans.behind_us() == 0
