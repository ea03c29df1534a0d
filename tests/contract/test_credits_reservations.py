"""Holds and what becomes of them: section 8 of the contract and design rule 4, over HTTP."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tallybook.core.time_window import SECOND_US, parse_instant
from tests.contract.credit_calls import Ledger, done, fault, refused, unique
from tests.serving import ServerProcess


@pytest.fixture
def ledger(admin: httpx.Client) -> Ledger:
    return Ledger(admin)


@pytest.fixture
def strict(server: ServerProcess) -> Iterator[Ledger]:
    """An org that takes no late confirmation and nothing above the hold."""
    with server.client() as admin:
        admin.post("/v1/orgs", json={"id": "strict", "name": "Strict"})
        settings = {"late_confirm": "reject", "overrun": "held", "reservation_seconds": 60}
        admin.patch("/v1/orgs/strict/settings", json=settings).raise_for_status()
        admin.headers["X-Org-Id"] = "strict"
        yield Ledger(admin)


def held_seconds(reservation: dict[str, Any]) -> float:
    return (parse_instant(reservation["expiresAt"]) - parse_instant(reservation["createdAt"])) / SECOND_US


def expired(ledger: Ledger, account_id: str, amount: int) -> str:
    """A hold whose time is over."""
    reservation_id = ledger.hold(account_id, amount, expiresInSeconds=1)
    while ledger.reservation(account_id, reservation_id)["status"] == "pending":
        time.sleep(0.05)
    return reservation_id


def test_the_worked_example(ledger: Ledger) -> None:
    external_id = unique("user")
    account_id = ledger.account(1000, externalId=external_id)
    made = done(
        ledger.post(
            "/reservations/create",
            externalId=external_id,
            amount=100,
            operation="chat-completion",
            model="gpt-4o",
        )
    )
    assert set(made) == {"success", "reservation"}
    reservation = made["reservation"]
    reservation_id = reservation["id"]
    assert reservation_id.startswith("res_")
    assert ledger.balances(account_id) == (1000, 100, 900)
    assert reservation == {
        "id": reservation_id,
        "accountId": account_id,
        "externalId": external_id,
        "amount": 100,
        "status": "pending",
        "createdAt": reservation["createdAt"],
        "expiresAt": reservation["expiresAt"],
        "metadata": {"operation": "chat-completion", "model": "gpt-4o"},
        "actualAmount": None,
        "transactionId": None,
        "confirmedAt": None,
        "cancelledAt": None,
        "late": False,
    }
    assert ledger.reservation(account_id, reservation_id) == reservation
    assert ledger.statement(account_id) == [("credit", 1000, 1000)]

    confirmed = done(ledger.confirm(reservation_id, 85))
    transaction_id = confirmed["transactionId"]
    assert confirmed == {
        "success": True,
        "reservationId": reservation_id,
        "transactionId": transaction_id,
        "accountId": account_id,
        "externalId": external_id,
        "status": "confirmed",
        "reservedAmount": 100,
        "actualAmount": 85,
        "releasedAmount": 15,
        "late": False,
        "balance": 915,
        "reserved": 0,
        "available": 915,
    }
    assert ledger.balances(account_id) == (915, 0, 915)
    assert ledger.statement(account_id) == [("credit", 1000, 1000), ("debit", 85, 915)]
    settled = ledger.reservation(account_id, reservation_id)
    assert (settled["status"], settled["actualAmount"], settled["transactionId"]) == ("confirmed", 85, transaction_id)
    (debit, _) = done(ledger.get("/transactions", accountId=account_id))["items"]
    assert (debit["id"], debit["description"], debit["reservationId"]) == (
        transaction_id,
        "chat-completion",
        reservation_id,
    )
    assert debit["metadata"] == reservation["metadata"]


# Create.


def test_metadata_comes_first_then_operation_and_model(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    examples: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),
        ({"metadata": {"run": 1}}, {"run": 1}),
        ({"metadata": {"run": 1, "model": "a"}, "model": "b"}, {"run": 1, "model": "b"}),
        ({"operation": "embed", "model": "no-such-model"}, {"operation": "embed", "model": "no-such-model"}),
    ]
    for sent, kept in examples:
        answer = done(ledger.post("/reservations/create", accountId=account_id, amount=1, **sent))
        assert answer["reservation"]["metadata"] == kept


def test_the_debit_is_named_after_the_operation(ledger: Ledger) -> None:
    account_id = ledger.account(10)
    examples: list[tuple[dict[str, Any], str]] = [
        ({"operation": "embed"}, "embed"),
        ({"metadata": {"operation": "scan"}}, "scan"),
        ({"metadata": {"operation": 5}}, "Reservation confirmed"),
        ({}, "Reservation confirmed"),
    ]
    for sent, description in examples:
        done(ledger.confirm(ledger.hold(account_id, 1, **sent), 1))
        assert done(ledger.get("/transactions", accountId=account_id))["items"][0]["description"] == description


def test_an_operation_may_be_any_number(ledger: Ledger) -> None:
    body = f'{{"accountId": "{ledger.account(10)}", "amount": 1, "metadata": {{"operation": 1e400}}}}'
    answer = ledger.send("/reservations/create", body.encode())
    assert answer.status_code == 200, answer.text
    assert '"metadata":{"operation":1e400}' in answer.text


def test_more_than_is_available_is_not_held(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    ledger.hold(account_id, 60)
    details = refused(ledger.post("/reservations/create", accountId=account_id, amount=41), 402, "insufficient_credits")
    assert (details["available"], details["required"]) == (40, 41)
    assert ledger.balances(account_id) == (100, 60, 40)
    ledger.hold(account_id, 40)
    assert ledger.balances(account_id) == (100, 100, 0)


def test_a_hold_lasts_as_asked_or_as_the_org_has_set(ledger: Ledger, strict: Ledger) -> None:
    examples: list[tuple[Ledger, dict[str, Any], int]] = [
        (ledger, {"expiresInSeconds": 1}, 1),
        (ledger, {"expiresInSeconds": 86_400}, 86_400),
        (ledger, {}, 900),
        (strict, {}, 60),
    ]
    for books, sent, seconds in examples:
        account_id = books.account(10)
        made = done(books.post("/reservations/create", accountId=account_id, amount=1, **sent))["reservation"]
        assert held_seconds(made) == seconds


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 1.5, "60", True, 10**30, []])
def test_a_hold_lasts_one_second_to_a_day(ledger: Ledger, seconds: object) -> None:
    account_id = ledger.account(10)
    answer = ledger.post("/reservations/create", accountId=account_id, amount=1, expiresInSeconds=seconds)
    assert fault(answer) == "expiresInSeconds"
    assert ledger.balances(account_id) == (10, 0, 10)


# List.


def test_the_list_is_newest_first_and_of_one_account(ledger: Ledger) -> None:
    account_id, stranger = ledger.account(10), ledger.account(10)
    ledger.hold(stranger, 1)
    made = [ledger.hold(account_id, 1) for _ in range(4)]
    done(ledger.cancel(made[1]))
    answer = done(ledger.get("/reservations", accountId=account_id))
    assert set(answer) == {"success", "reservations"}
    assert [reservation["id"] for reservation in answer["reservations"]] == made[::-1]
    active = done(ledger.get("/reservations", accountId=account_id, activeOnly="true"))["reservations"]
    assert [reservation["id"] for reservation in active] == [made[3], made[2], made[0]]
    page = done(ledger.get("/reservations", accountId=account_id, limit=2, offset=1))
    assert [reservation["id"] for reservation in page["reservations"]] == [made[2], made[1]]
    assert page["pagination"] == {"limit": 2, "offset": 1, "totalCount": 4, "hasMore": True}
    assert fault(ledger.get("/reservations", accountId=account_id, activeOnly="perhaps")) == "activeOnly"


@pytest.mark.parametrize(("text", "active"), [("true", 1), ("1", 1), ("false", 2), ("0", 2), ("", 2)])
def test_booleans_in_queries(ledger: Ledger, text: str, active: int) -> None:
    account_id = ledger.account(10)
    ledger.hold(account_id, 1)
    done(ledger.cancel(ledger.hold(account_id, 1)))
    assert len(done(ledger.get("/reservations", accountId=account_id, activeOnly=text))["reservations"]) == active


# Confirm.


@pytest.mark.parametrize(
    ("actual", "released", "balance"),
    [(60, 0, 40), (59, 1, 41), (0, 60, 100), (61, 0, 39), (100, 0, 0)],
)
def test_the_actual_amount_is_debited_and_the_rest_freed(
    ledger: Ledger, actual: int, released: int, balance: int
) -> None:
    account_id = ledger.account(100)
    answer = done(ledger.confirm(ledger.hold(account_id, 60), actual))
    assert (answer["actualAmount"], answer["releasedAmount"], answer["balance"]) == (actual, released, balance)
    assert (answer["reserved"], answer["available"]) == (0, balance)
    assert ledger.balances(account_id) == (balance, 0, balance)
    assert ledger.statement(account_id) == [("credit", 100, 100), ("debit", actual, balance)]


def test_an_overrun_beyond_what_is_available_leaves_the_hold(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id, other_id = ledger.hold(account_id, 60), ledger.hold(account_id, 30)
    details = refused(ledger.confirm(reservation_id, 71), 402, "overrun")
    assert (details["held"], details["actual"], details["available"]) == (60, 71, 10)
    assert ledger.balances(account_id) == (100, 90, 10)
    assert ledger.reservation(account_id, reservation_id)["status"] == "pending"
    assert done(ledger.confirm(reservation_id, 70))["available"] == 0
    assert done(ledger.confirm(other_id, 30))["balance"] == 0


def test_an_org_may_refuse_every_overrun(strict: Ledger) -> None:
    account_id = strict.account(100)
    reservation_id = strict.hold(account_id, 60)
    refused(strict.confirm(reservation_id, 61), 402, "overrun")
    assert strict.balances(account_id) == (100, 60, 40)
    assert done(strict.confirm(reservation_id, 60))["balance"] == 40


def test_confirming_again_is_answered_alike_or_refused(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 60)
    first = ledger.confirm(reservation_id, 50)
    done(ledger.post("/accounts/credits/add", accountId=account_id, amount=7))
    assert ledger.confirm(reservation_id, 50).content == first.content
    details = refused(ledger.confirm(reservation_id, 51), 409, "conflict")
    assert (details["reason"], details["status"]) == ("reservation_not_pending", "confirmed")
    assert ledger.statement(account_id) == [("credit", 100, 100), ("debit", 50, 50), ("credit", 7, 57)]


@pytest.mark.parametrize("body", [{}, {"actualAmount": None}, {"actualAmount": -1}, {"actualAmount": "5"}])
def test_the_actual_amount_is_never_guessed(ledger: Ledger, body: dict[str, Any]) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 60)
    assert fault(ledger.post("/reservations/confirm", reservationId=reservation_id, **body)) == "actualAmount"
    assert ledger.balances(account_id) == (100, 60, 40)


# Cancel.


def test_a_cancel_frees_the_hold(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 60)
    answer = done(ledger.cancel(reservation_id))
    reservation = answer.pop("reservation")
    assert answer == {
        "success": True,
        "reservationId": reservation_id,
        "accountId": account_id,
        "externalId": None,
        "status": "cancelled",
        "releasedAmount": 60,
        "balance": 100,
        "reserved": 0,
        "available": 100,
    }
    assert reservation == ledger.reservation(account_id, reservation_id)
    assert (reservation["status"], reservation["cancelledAt"][-1]) == ("cancelled", "Z")
    assert ledger.statement(account_id) == [("credit", 100, 100)]
    again = done(ledger.post("/reservations/cancel", id=reservation_id))
    assert (again["status"], again["releasedAmount"], again["available"]) == ("cancelled", 0, 100)
    assert refused(ledger.confirm(reservation_id, 1), 409, "conflict")["status"] == "cancelled"


def test_what_is_confirmed_cannot_be_cancelled(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 60)
    done(ledger.confirm(reservation_id, 50))
    assert refused(ledger.cancel(reservation_id), 409, "conflict")["status"] == "confirmed"
    assert ledger.balances(account_id) == (50, 0, 50)


def test_cancel_names_one_reservation(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 60)
    assert fault(ledger.post("/reservations/cancel")) == "reservationId"
    assert fault(ledger.post("/reservations/cancel", reservationId=reservation_id, id="res_x")) == "reservationId"
    assert ledger.balances(account_id) == (100, 60, 40)
    assert done(ledger.post("/reservations/cancel", reservationId=reservation_id, id=reservation_id))


# Expiry.


def test_an_expired_hold_frees_its_credits_by_the_clock(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = expired(ledger, account_id, 60)
    assert ledger.balances(account_id) == (100, 0, 100)
    reservation = ledger.reservation(account_id, reservation_id)
    assert (reservation["status"], held_seconds(reservation)) == ("expired", 1)
    assert done(ledger.get("/reservations", accountId=account_id, activeOnly="true"))["reservations"] == []
    assert ledger.statement(account_id) == [("credit", 100, 100)]


def test_a_cancel_closes_an_expired_hold(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = expired(ledger, account_id, 60)
    answer = done(ledger.cancel(reservation_id))
    assert (answer["status"], answer["releasedAmount"], answer["available"]) == ("expired", 0, 100)
    assert done(ledger.cancel(reservation_id)) == answer
    assert refused(ledger.confirm(reservation_id, 10), 409, "conflict")["status"] == "expired"
    assert ledger.balances(account_id) == (100, 0, 100)


def test_a_late_confirmation_is_charged_if_available_covers_it(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = expired(ledger, account_id, 60)
    blocking = ledger.hold(account_id, 90)
    details = refused(ledger.confirm(reservation_id, 50), 402, "insufficient_credits")
    assert (details["required"], details["available"]) == (50, 10)
    assert ledger.reservation(account_id, reservation_id)["status"] == "expired"
    done(ledger.cancel(blocking))
    answer = done(ledger.confirm(reservation_id, 50))
    assert (answer["late"], answer["releasedAmount"], answer["balance"], answer["available"]) == (True, 0, 50, 50)
    reservation = ledger.reservation(account_id, reservation_id)
    assert (reservation["status"], reservation["late"]) == ("confirmed", True)
    assert done(ledger.confirm(reservation_id, 50)) == answer
    assert ledger.statement(account_id) == [("credit", 100, 100), ("debit", 50, 50)]
    ledger.verify()


def test_an_org_may_refuse_late_confirmations(strict: Ledger) -> None:
    account_id = strict.account(100)
    reservation_id = expired(strict, account_id, 60)
    assert refused(strict.confirm(reservation_id, 50), 409, "conflict")["status"] == "expired"
    assert strict.balances(account_id) == (100, 0, 100)
    strict.verify()


# Extend.


def test_a_hold_is_extended_from_now(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    reservation_id = ledger.hold(account_id, 60, expiresInSeconds=2)
    answer = done(ledger.post("/reservations/extend", reservationId=reservation_id, expiresInSeconds=3600))
    assert set(answer) == {"success", "reservation"}
    assert 3600 <= held_seconds(answer["reservation"]) < 3660
    assert ledger.reservation(account_id, reservation_id) == answer["reservation"]
    assert ledger.balances(account_id) == (100, 60, 40)
    # It may end sooner, too.
    sooner = done(ledger.post("/reservations/extend", reservationId=reservation_id, expiresInSeconds=1))
    assert held_seconds(sooner["reservation"]) < 3600


@pytest.mark.parametrize("seconds", [None, 0, 86_401, "60"])
def test_never_more_than_a_day_ahead(ledger: Ledger, seconds: object) -> None:
    reservation_id = ledger.hold(ledger.account(1), 1)
    answer = ledger.post("/reservations/extend", reservationId=reservation_id, expiresInSeconds=seconds)
    assert fault(answer) == "expiresInSeconds"


def test_only_pending_holds_are_extended(ledger: Ledger) -> None:
    account_id = ledger.account(100)
    confirmed, cancelled, over = ledger.hold(account_id, 1), ledger.hold(account_id, 1), expired(ledger, account_id, 1)
    done(ledger.confirm(confirmed, 1))
    done(ledger.cancel(cancelled))
    for reservation_id, status in [(confirmed, "confirmed"), (cancelled, "cancelled"), (over, "expired")]:
        answer = ledger.post("/reservations/extend", reservationId=reservation_id, expiresInSeconds=60)
        assert refused(answer, 409, "conflict")["status"] == status
    assert ledger.balances(account_id) == (99, 0, 99)


# Whose.


@pytest.mark.parametrize(
    ("path", "rest"),
    [("confirm", {"actualAmount": 1}), ("cancel", {}), ("extend", {"expiresInSeconds": 60})],
)
def test_unknown_and_foreign_reservations_are_404(
    ledger: Ledger, strict: Ledger, path: str, rest: dict[str, Any]
) -> None:
    account_id = strict.account(100)
    foreign = strict.hold(account_id, 60)
    answers = [ledger.post(f"/reservations/{path}", reservationId=name, **rest) for name in ("res_nobody", foreign)]
    for answer in answers:
        refused(answer, 404, "not_found")
    assert answers[0].content == answers[1].content
    assert strict.balances(account_id) == (100, 60, 40)
    assert fault(ledger.post(f"/reservations/{path}", **rest)) == "reservationId"
