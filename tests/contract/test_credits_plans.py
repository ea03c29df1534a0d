"""Plans: section 6 of the contract, over HTTP. Time that passes is in `tests/property` and `tests/unit/plans`."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import Ledger, done, fault, read, refused, unique
from tests.serving import ServerProcess

PLAN_FIELDS = {
    "id",
    "name",
    "description",
    "credits",
    "price",
    "billingPeriod",
    "interval",
    "occurrences",
    "accumulate",
    "isActive",
    "createdAt",
    "updatedAt",
}


@pytest.fixture
def ledger(admin: httpx.Client) -> Ledger:
    return Ledger(admin)


@pytest.fixture(scope="module")
def other(server: ServerProcess) -> Iterator[Ledger]:
    """The ledger of another org."""
    with server.client() as admin:
        admin.post("/v1/orgs", json={"id": "other", "name": "Other"}).raise_for_status()
        admin.headers["X-Org-Id"] = "other"
        yield Ledger(admin)


def create(ledger: Ledger, **fields: Any) -> dict[str, Any]:
    wanted = {"name": "Pro", "amount": 10_000, "interval": "month", **fields}
    answer = done(ledger.post("/plans/create", **wanted))
    assert set(answer) == {"success", "plan"}
    assert answer["success"] is True
    plan: dict[str, Any] = answer["plan"]
    return plan


def assign(ledger: Ledger, account_id: str, plan_id: str, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = done(ledger.post("/accounts/plans/assign", accountId=account_id, planId=plan_id, **fields))
    return answer


def plans_of(ledger: Ledger, account_id: str) -> list[dict[str, Any]]:
    answer = done(ledger.get("/accounts/plans", accountId=account_id))
    assert set(answer) == {"success", "plans"}
    plans: list[dict[str, Any]] = answer["plans"]
    return plans


# Creating, listing, archiving.


def test_create_answers_the_whole_plan(ledger: Ledger) -> None:
    plan = create(ledger, name="Pro", amount=10_000, interval="month", accumulate=False, markAsActive=True)
    assert plan.pop("id").startswith("plan_")
    assert plan["createdAt"].endswith("Z")
    assert plan.pop("createdAt") == plan.pop("updatedAt")
    assert plan == {
        "name": "Pro",
        "description": None,
        "credits": 10_000,
        "price": None,
        "billingPeriod": "monthly",
        "interval": "month",
        "occurrences": None,
        "accumulate": False,
        "isActive": True,
    }


def test_what_is_not_said_has_its_default(ledger: Ledger) -> None:
    nulls = dict.fromkeys(("occurrences", "accumulate", "markAsActive", "description", "price"))
    for more in ({}, nulls, {"unknown": [1], "credits": 5, "isActive": False}):
        plan = create(ledger, **more)
        assert set(plan) == PLAN_FIELDS
        defaults = [plan[name] for name in ("occurrences", "accumulate", "isActive", "description", "price")]
        assert defaults == [None, True, True, None, None]


@pytest.mark.parametrize(("interval", "period"), [("1d", "daily"), ("week", "weekly"), ("month", "monthly")])
def test_the_billing_period_follows_from_the_interval(ledger: Ledger, interval: str, period: str) -> None:
    plan = create(ledger, interval=interval)
    assert (plan["interval"], plan["billingPeriod"]) == (interval, period)


def test_credits_and_price_are_exact(ledger: Ledger) -> None:
    for amount, credits in (("0.000001", "0.000001"), ("1.50", "1.5"), ("1e3", "1000"), ("0.1", "0.1")):
        answer = ledger.send("/plans/create", f'{{"name":"P","interval":"1d","amount":{amount}}}'.encode())
        assert done(answer)["plan"]["credits"] == Decimal(credits)
        assert f'"credits":{credits},' in answer.text
    for price, shown in (("49.99", "49.99"), ("49.90", "49.90"), ("0", "0"), ("-0", "0"), ("1E+2", "100")):
        answer = ledger.send("/plans/create", f'{{"name":"P","interval":"1d","amount":1,"price":{price}}}'.encode())
        assert f'"price":{shown},' in answer.text


def test_the_list_is_newest_first_with_archived_ones_and_pages(ledger: Ledger) -> None:
    made = [create(ledger, name=unique("plan")) for _ in range(3)]
    archived = done(ledger.post("/plans/archive", planId=made[1]["id"]))["plan"]
    answer = done(ledger.get("/plans"))
    assert set(answer) == {"success", "plans"}
    assert answer["success"] is True
    assert answer["plans"][:3] == [made[2], archived, made[0]]
    total = len(answer["plans"])
    assert done(ledger.get("/plans", limit=2)) == {
        "success": True,
        "plans": answer["plans"][:2],
        "pagination": {"limit": 2, "offset": 0, "totalCount": total, "hasMore": True},
    }


@pytest.mark.parametrize("name", ["planId", "id"])
def test_archiving_twice_is_archiving_once(ledger: Ledger, name: str) -> None:
    plan = create(ledger)
    answer = done(ledger.post("/plans/archive", **{name: plan["id"]}))
    assert answer == {
        "success": True,
        "plan": {**plan, "isActive": False, "updatedAt": answer["plan"]["updatedAt"]},
    }
    assert done(ledger.post("/plans/archive", **{name: plan["id"]})) == answer


# Assigning.


def test_assign_grants_at_once(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(5, externalId=external_id)
    plan = create(ledger, amount=100)
    answer = assign(ledger, account_id, plan["id"])
    assert set(answer) == {"success", "accountPlan", "balance"}
    assert (answer["success"], answer["balance"]) == (True, 105)
    assignment = answer["accountPlan"]
    assert plans_of(ledger, account_id) == [assignment]
    assert assignment.pop("id").startswith("accountPlan_")
    started, following = (
        datetime.fromisoformat(assignment.pop(name).replace("Z", "+00:00")) for name in ("startedAt", "nextGrantAt")
    )
    assert timedelta(days=28) <= following - started <= timedelta(days=31)
    assert assignment == {
        "accountId": account_id,
        "externalId": external_id,
        "planId": plan["id"],
        "active": True,
        "expiresAt": None,
        "grants": 1,
        "plan": plan,
    }
    (entry, _) = done(ledger.get("/transactions", accountId=account_id))["items"]
    assert (entry["type"], entry["amount"], entry["balanceAfter"], entry["reservationId"]) == ("credit", 100, 105, None)
    assert entry["description"] == "Plan credits granted"
    assert (entry["metadata"]["planId"], entry["metadata"]["occurrence"]) == (plan["id"], 1)
    ledger.verify()


IMMEDIATE: list[str | None] = [None, "immediate", "now", "IMMEDIATE", "whatever", ""]
DEFERRED: list[str | None] = ["next_period", "next_interval", "scheduled", "deferred"]


@pytest.mark.parametrize("start_mode", IMMEDIATE + DEFERRED)
def test_unknown_start_modes_mean_at_once(ledger: Ledger, start_mode: str | None) -> None:
    account_id, plan = ledger.account(), create(ledger, amount=100, interval="week", occurrences=2)
    answer = assign(ledger, account_id, plan["id"], startMode=start_mode)
    deferred = start_mode in DEFERRED
    assert answer["balance"] == (0 if deferred else 100)
    assignment = answer["accountPlan"]
    assert (assignment["active"], assignment["grants"]) == (True, 0 if deferred else 1)
    started, first, end = (
        datetime.fromisoformat(assignment[name].replace("Z", "+00:00"))
        for name in ("startedAt", "nextGrantAt", "expiresAt")
    )
    assert first - started == timedelta(weeks=1)
    assert end - started == timedelta(weeks=3 if deferred else 2)


def test_a_new_plan_replaces_the_old_one(ledger: Ledger) -> None:
    account_id = ledger.account()
    old, new = create(ledger, amount=100), create(ledger, amount=7)
    first = assign(ledger, account_id, old["id"])["accountPlan"]
    assert assign(ledger, account_id, new["id"])["balance"] == 107
    current, past = plans_of(ledger, account_id)
    assert (current["planId"], current["active"], current["expiresAt"]) == (new["id"], True, None)
    assert past == {**first, "active": False, "expiresAt": current["startedAt"], "nextGrantAt": None}
    page = done(ledger.get("/accounts/plans", accountId=account_id, limit=1, offset=1))
    assert page == {
        "success": True,
        "plans": [past],
        "pagination": {"limit": 1, "offset": 1, "totalCount": 2, "hasMore": False},
    }


def test_an_archived_plan_stays_with_those_who_have_it(ledger: Ledger) -> None:
    account_id, plan = ledger.account(), create(ledger, amount=100)
    assign(ledger, account_id, plan["id"])
    done(ledger.post("/plans/archive", planId=plan["id"]))
    (assignment,) = plans_of(ledger, account_id)
    assert (assignment["active"], assignment["plan"]["isActive"]) == (True, False)
    assert assignment["nextGrantAt"] is not None
    for whom in (account_id, ledger.account()):
        details = refused(ledger.post("/accounts/plans/assign", accountId=whom, planId=plan["id"]), 409, "conflict")
        assert details == {"reason": "plan_not_active", "planId": plan["id"]}
    assert plans_of(ledger, account_id) == [assignment]
    assert ledger.statement(account_id) == [("credit", 100, 100)]


def test_a_plan_that_was_never_active_cannot_be_assigned(ledger: Ledger) -> None:
    account_id, plan = ledger.account(), create(ledger, markAsActive=False)
    assert plan["isActive"] is False
    refused(ledger.post("/accounts/plans/assign", accountId=account_id, planId=plan["id"]), 409, "conflict")
    assert plans_of(ledger, account_id) == []


# Ending.


def test_unassign_ends_the_active_plan_and_leaves_the_balance(ledger: Ledger) -> None:
    account_id, plan, unrelated = ledger.account(), create(ledger, amount=100), create(ledger)
    path = "/accounts/plans/unassign"
    nothing = {"success": True, "accountPlan": None}
    assert done(ledger.post(path, accountId=account_id)) == nothing
    made = assign(ledger, account_id, plan["id"])["accountPlan"]
    assert done(ledger.post(path, accountId=account_id, planId=unrelated["id"])) == nothing
    answer = done(ledger.post(path, accountId=account_id, planId=plan["id"]))
    ended = answer["accountPlan"]
    assert answer == {
        "success": True,
        "accountPlan": {**made, "active": False, "nextGrantAt": None, "expiresAt": ended["expiresAt"]},
    }
    assert ended["expiresAt"] >= ended["startedAt"]
    assert plans_of(ledger, account_id) == [ended]
    assert done(ledger.post(path, accountId=account_id)) == nothing
    assert ledger.statement(account_id) == [("credit", 100, 100)]


# Repeats.


def test_repeats_are_answered_byte_for_byte_and_do_nothing(ledger: Ledger) -> None:
    account_id, plan, gone = ledger.account(), create(ledger, amount=100), create(ledger)
    done(ledger.post("/plans/archive", planId=gone["id"]))
    address = {"accountId": account_id}
    for path, body, status in (
        ("/plans/create", {"name": unique("plan"), "amount": 1.5, "interval": "1d", "price": 9.9}, 200),
        ("/accounts/plans/assign", {**address, "planId": plan["id"]}, 200),
        ("/accounts/plans/unassign", address, 200),
        ("/plans/archive", {"planId": plan["id"]}, 200),
        ("/accounts/plans/assign", {**address, "planId": gone["id"]}, 409),
    ):
        key = unique("key")
        first = ledger.post(path, key, **body)
        assert first.status_code == status, first.text
        before = done(ledger.get("/plans")), plans_of(ledger, account_id), ledger.statement(account_id)
        for _ in range(2):
            again = ledger.post(path, key, **body)
            assert (again.status_code, again.content) == (status, first.content)
        assert before == (done(ledger.get("/plans")), plans_of(ledger, account_id), ledger.statement(account_id))
        assert refused(ledger.post(path, key, **body, more=1), 409, "conflict")["reason"] == "idempotency_key_reused"
    assert ledger.statement(account_id) == [("credit", 100, 100)]


# Bad input.

BAD_AMOUNTS: list[Any] = [None, 0, -1, "5", True, [], Decimal("0.0000001")]
BAD_PRICES: list[Any] = [-1, "9.99", True, {}, Decimal("1e400")]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": 5}, "name"),
        *(({"amount": amount}, "amount") for amount in BAD_AMOUNTS),
        *(({"interval": each}, "interval") for each in (None, "", "day", "1w", "year", "Month", 5)),
        *(({"occurrences": each}, "occurrences") for each in (0, -1, 10_001, Decimal("1.5"), "3", True, 10**30)),
        ({"accumulate": "false"}, "accumulate"),
        ({"markAsActive": 1}, "markAsActive"),
        ({"description": "x" * 4_097}, "description"),
        *(({"price": price}, "price") for price in BAD_PRICES),
    ],
    ids=str,
)
def test_bad_plans_are_refused_by_name_and_not_made(ledger: Ledger, wanted: dict[str, Any], field: str) -> None:
    before = done(ledger.get("/plans"))
    answer = ledger.post("/plans/create", **{"name": "Pro", "amount": 1, "interval": "month", **wanted})
    assert fault(answer) == field
    assert done(ledger.get("/plans")) == before


@pytest.mark.parametrize("missing", ["name", "amount", "interval"])
def test_what_a_plan_needs(ledger: Ledger, missing: str) -> None:
    wanted: dict[str, Any] = {"name": "Pro", "amount": 1, "interval": "month"}
    del wanted[missing]
    assert fault(ledger.post("/plans/create", **wanted)) == missing


def test_credits_have_a_ceiling(ledger: Ledger) -> None:
    assert create(ledger, amount=Decimal("8589934591.999999"))["credits"] == Decimal("8589934591.999999")
    answer = ledger.post("/plans/create", name="Pro", amount=8_589_934_592, interval="month")
    assert refused(answer, 409, "conflict")["reason"] == "above_ceiling"
    account_id, plan = ledger.account(Decimal("8589934591")), create(ledger, amount=1)
    answer = ledger.post("/accounts/plans/assign", accountId=account_id, planId=plan["id"])
    assert refused(answer, 409, "conflict")["reason"] == "above_ceiling"
    assert plans_of(ledger, account_id) == []


def test_which_plan_is_archived_must_be_said_once(ledger: Ledger) -> None:
    plan = create(ledger)
    for body in ({}, {"planId": None}, {"planId": plan["id"], "id": "plan_other"}, {"planId": 5}, {"planId": ""}):
        assert fault(ledger.post("/plans/archive", **body)) == "planId"
    refused(ledger.post("/plans/archive", planId="plan_nothing"), 404, "not_found")
    assert done(ledger.get("/plans"))["plans"][0] == plan


def test_bad_assignments_move_nothing(ledger: Ledger, other: Ledger) -> None:
    external_id = unique("user")
    account_id, stranger = ledger.account(1, externalId=external_id), ledger.account(1)
    plan, foreign = create(ledger), create(other)
    made = assign(ledger, account_id, plan["id"])["accountPlan"]
    path, address = "/accounts/plans/assign", {"accountId": account_id}
    for body, field in (
        ({"planId": plan["id"]}, "accountId"),
        (address, "planId"),
        ({**address, "planId": None}, "planId"),
        ({**address, "planId": 7}, "planId"),
        ({**address, "planId": plan["id"], "startMode": 7}, "startMode"),
        ({**address, "planId": plan["id"], "startMode": {}}, "startMode"),
        ({"accountId": stranger, "externalId": external_id, "planId": plan["id"]}, "externalId"),
    ):
        assert fault(ledger.post(path, **body)) == field, body
    for body in (
        {**address, "planId": "plan_nothing"},
        {**address, "planId": foreign["id"]},
        {"accountId": "acc_nobody", "planId": plan["id"]},
        {"externalId": external_id.upper(), "planId": plan["id"]},
    ):
        refused(ledger.post(path, **body), 404, "not_found")
        refused(ledger.post("/accounts/plans/unassign", **body), 404, "not_found")
    assert fault(ledger.post("/accounts/plans/unassign", planId=plan["id"])) == "accountId"
    assert fault(ledger.get("/accounts/plans")) == "accountId"
    refused(ledger.get("/accounts/plans", accountId="acc_nobody"), 404, "not_found")
    assert plans_of(ledger, account_id) == [made]
    assert plans_of(ledger, stranger) == []
    assert ledger.statement(account_id) == [("credit", 1, 1), ("credit", 10_000, 10_001)]


def test_either_id_names_the_account(ledger: Ledger) -> None:
    external_id, plan = unique("user"), create(ledger, amount=1)
    account_id = ledger.account(externalId=external_id)
    for count, address in enumerate(
        (
            {"externalId": external_id},
            {"external_id": external_id},
            {"accountId": account_id, "externalId": external_id},
        ),
        start=1,
    ):
        made = done(ledger.post("/accounts/plans/assign", **address, planId=plan["id"]))
        assert (made["accountPlan"]["accountId"], made["balance"]) == (account_id, count)
        assert done(ledger.get("/accounts/plans", **address))["plans"][0] == made["accountPlan"]


def test_nothing_of_another_org_is_seen(ledger: Ledger, other: Ledger) -> None:
    plan, account_id = create(other), other.account()
    assign(other, account_id, plan["id"])
    assert plan["id"] not in {each["id"] for each in done(ledger.get("/plans"))["plans"]}
    unknown = ledger.post("/plans/archive", planId="plan_nothing")
    assert ledger.post("/plans/archive", planId=plan["id"]).content == unknown.content
    refused(ledger.get("/accounts/plans", accountId=account_id), 404, "not_found")
    assert done(other.get("/plans"))["plans"][0] == plan


def test_bodies_that_are_no_object(ledger: Ledger) -> None:
    for path in ("/plans/create", "/plans/archive", "/accounts/plans/assign", "/accounts/plans/unassign"):
        for body in (b"", b"{", b"[]", b"null", b"\xff"):
            assert read(ledger.send(path, body))["code"] == "invalid_request"


def test_a_client_may_send_its_key_either_way(server: ServerProcess, ledger: Ledger) -> None:
    with httpx.Client(base_url=server.url) as nobody:
        for method, path in (("GET", "plans"), ("POST", "plans/create"), ("GET", "accounts/plans")):
            refused(nobody.request(method, f"/v1/{path}", json={}), 401, "unauthorized")
    member = ledger.http.post("/v1/keys", json={"name": "test", "role": "member", "user_id": "ana"}).json()["key"]
    refused(ledger.http.get("/v1/plans", headers={"Authorization": f"Bearer {member}"}), 403, "forbidden")
    ledger.verify()
