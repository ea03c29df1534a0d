"""The ledger room over a real store: who is addressed, what repeats, what the clock changes."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallybook.core.errors import Conflict, Insufficient, InvalidInput, NotFound
from tallybook.core.time_window import SECOND_US
from tallybook.core.unit_of_work import RepeatedWithOtherBody
from tallybook.jobs.expire_reservations import expire_reservations
from tallybook.ledger.errors import ExternalIdTaken, InsufficientCredits, NotPending, TooManyResults
from tallybook.ledger.model import (
    Account,
    Address,
    Balances,
    Hold,
    NewAccount,
    Posting,
    Reservation,
    Slice,
    Status,
    Terms,
    Type,
)
from tallybook.ledger.service import LedgerService
from tests.unit.ledger.rooms import CREDIT, ORG, TERMS, OpenLedger, repeat


@pytest.fixture
def room(tmp_path: Path) -> Iterator[OpenLedger]:
    opened = OpenLedger(tmp_path)
    yield opened
    assert opened.ledger.verify(ORG).difference is None
    opened.runner.close()
    opened.close()


def confirm(room: OpenLedger, hold: Reservation, credits: int, terms: Terms = TERMS, key: str | None = None) -> Any:
    again = None if key is None else repeat(key)
    return room.run(room.ledger.confirm(ORG, hold.id, credits * CREDIT, terms, again))


def test_a_page_of_the_ledger(room: OpenLedger) -> None:
    account = room.account("user_9", credits=1000)
    assert room.figures(account) == (1000, 0, 1000)
    hold = room.reserve(account, 100)
    assert room.figures(account) == (1000, 100, 900)
    settled = confirm(room, hold, 85)
    assert room.figures(account) == (915, 0, 915)
    assert settled.released_micro == 15 * CREDIT
    (debit, top_up) = room.ledger.list_transactions(ORG, Address(account.id), Slice(50)).rows
    assert (debit.type, debit.amount_micro, debit.balance_after_micro) == (Type.DEBIT, 85 * CREDIT, 915 * CREDIT)
    assert (debit.id, debit.reservation_id) == (settled.reservation.transaction_id, hold.id)
    assert (top_up.type, top_up.balance_after_micro) == (Type.CREDIT, 1000 * CREDIT)
    assert room.ledger.get_account(ORG, Address(account.id)).balance_micro == 915 * CREDIT


@pytest.mark.parametrize("way", ["id", "external id", "both"])
def test_an_account_has_two_names(room: OpenLedger, way: str) -> None:
    account = room.account("user_9", credits=10)
    address = {
        "id": Address(account.id),
        "external id": Address(None, "user_9"),
        "both": Address(account.id, "user_9"),
    }[way]
    assert room.ledger.get_account(ORG, address).id == account.id
    assert room.ledger.standing(ORG, address).balances == Balances(10 * CREDIT, 0)
    assert room.run(room.ledger.reserve(ORG, address, Hold(1, 1))).external_id == "user_9"


@pytest.mark.parametrize(
    ("account_id", "external_id", "error"),
    [
        (None, None, InvalidInput),
        ("own", "user_8", InvalidInput),
        ("own", "nobody", InvalidInput),
        ("acc_0", None, NotFound),
        ("acc_0", "user_9", NotFound),
        (None, "USER_9", NotFound),
        (None, " user_9", NotFound),
        ("", None, NotFound),
    ],
)
def test_an_address_that_names_no_account(
    room: OpenLedger, account_id: str | None, external_id: str | None, error: type[Exception]
) -> None:
    own = room.account("user_9")
    room.account("user_8")
    address = Address(own.id if account_id == "own" else account_id, external_id)
    with pytest.raises(error):
        room.ledger.get_account(ORG, address)
    with pytest.raises(error):
        room.run(room.ledger.post(ORG, address, Posting(Type.CREDIT, 1)))


def test_an_external_id_is_of_one_account_in_an_org(room: OpenLedger) -> None:
    first = room.account("user_9")
    with pytest.raises(ExternalIdTaken) as refusal:
        room.account("user_9")
    assert refusal.value.details == {"account_id": first.id}
    assert room.account("user_9", org_id="other").id != first.id
    assert room.account().external_id is None is room.account().external_id


def test_orgs_do_not_see_each_other(room: OpenLedger) -> None:
    account = room.account("user_9", credits=10)
    hold = room.reserve(account, 1)
    for address in (Address(account.id), Address(None, "user_9")):
        with pytest.raises(NotFound):
            room.ledger.standing("other", address)
    for command in (
        room.ledger.confirm("other", hold.id, 1, TERMS),
        room.ledger.cancel("other", hold.id),
        room.ledger.extend("other", hold.id, 1),
    ):
        with pytest.raises(NotFound):
            room.run(command)
    assert list(room.ledger.list_accounts("other").rows) == []
    assert list(room.ledger.list_transactions("other", None, Slice(50)).rows) == []
    assert room.figures(account) == (10, 1, 9)


@pytest.mark.parametrize("amount", [0, -1])
def test_amounts_are_above_zero(room: OpenLedger, amount: int) -> None:
    address = Address(room.account().id)
    with pytest.raises(InvalidInput):
        room.run(room.ledger.post(ORG, address, Posting(Type.CREDIT, amount)))
    with pytest.raises(InvalidInput):
        room.run(room.ledger.reserve(ORG, address, Hold(amount, 300)))
    with pytest.raises(InvalidInput):
        room.run(room.ledger.confirm(ORG, "res_0", -1, TERMS))


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
def test_holds_last_a_day_at_most(room: OpenLedger, seconds: int) -> None:
    account = room.account(credits=10)
    with pytest.raises(InvalidInput):
        room.reserve(account, 1, seconds)
    hold = room.reserve(account, 1, 86_400)
    with pytest.raises(InvalidInput):
        room.run(room.ledger.extend(ORG, hold.id, seconds))


def test_a_hold_is_over_at_its_very_instant(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 10, seconds=5)
    room.clock.now = hold.expires_at_us - 1
    assert room.figures(account) == (10, 10, 0)
    with pytest.raises(InsufficientCredits):
        room.reserve(account, 1)
    room.clock.now = hold.expires_at_us
    assert room.figures(account) == (10, 0, 10)
    (shown,) = room.ledger.list_reservations(ORG, Address(account.id)).rows
    assert shown == msgspec.structs.replace(hold, status=Status.EXPIRED)
    assert list(room.ledger.list_reservations(ORG, Address(account.id), active_only=True).rows) == []
    assert room.reserve(account, 10).status is Status.PENDING


def test_a_clock_set_back_brings_no_hold_back(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4, seconds=5)
    room.wait(60)
    entry = room.post(account, 1)
    room.wait(-60)
    assert room.figures(account) == (11, 0, 11)
    (shown,) = room.ledger.list_reservations(ORG, Address(account.id)).rows
    assert shown.status is Status.EXPIRED
    assert room.post(account, 1).created_at_us == entry.created_at_us
    assert room.reserve(account, 12, seconds=5).expires_at_us == entry.created_at_us + 5 * SECOND_US
    room.wait(66)
    assert confirm(room, hold, 3).reservation.late
    assert room.figures(account) == (9, 0, 9)


@pytest.mark.parametrize("by", ["the sweep", "a confirmation", "a cancel"])
def test_an_expiry_is_on_record_at_its_own_instant(room: OpenLedger, by: str) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4, seconds=5)
    room.wait(60)
    for _ in range(2):
        match by:
            case "the sweep":
                room.run(room.ledger.expire_due(10))
            case "a confirmation":
                confirm(room, hold, 3)
            case "a cancel":
                room.run(room.ledger.cancel(ORG, hold.id))
    written = room.engine.read().execute("SELECT kind, at FROM reservation_changes ORDER BY seq").fetchall()
    assert written[0] == ("expired", hold.expires_at_us)
    assert len(written) == (2 if by == "a cancel" else 1)


def test_the_sweep_writes_every_expiry_that_is_due_in_batches(room: OpenLedger) -> None:
    accounts = [room.account(credits=1000) for _ in range(3)]

    async def hold_many() -> None:
        holds = ((accounts[number % 3], Hold(CREDIT, 5 if number % 4 else 600)) for number in range(1200))
        await asyncio.gather(*(room.ledger.reserve(ORG, Address(account.id), hold) for account, hold in holds))

    room.run(hold_many())
    assert room.run(expire_reservations(room.ledger)) == 0
    room.wait(5)
    assert room.run(room.ledger.expire_due(500)) == 500
    assert [room.figures(account) for account in accounts] == [(1000, 100, 900)] * 3
    assert room.run(expire_reservations(room.ledger)) == 400
    assert [room.figures(account) for account in accounts] == [(1000, 100, 900)] * 3
    assert room.run(expire_reservations(room.ledger)) == 0


def test_a_late_confirmation_is_charged_once(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4, seconds=5)
    room.wait(5)
    with pytest.raises(NotPending) as refusal:
        confirm(room, hold, 3, Terms(late_charged=False))
    assert refusal.value.details == {"status": "expired", "actual_micro": None}
    first = confirm(room, hold, 3)
    assert (first.reservation.status, first.reservation.late, first.released_micro) == (Status.CONFIRMED, True, 0)
    assert confirm(room, hold, 3) == first
    with pytest.raises(NotPending):
        confirm(room, hold, 4)
    assert room.figures(account) == (7, 0, 7)


def test_a_late_confirmation_needs_what_is_available_then(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4, seconds=5)
    room.wait(5)
    other = room.reserve(account, 8)
    with pytest.raises(InsufficientCredits):
        confirm(room, hold, 3)
    assert confirm(room, hold, 2).reservation.late
    assert confirm(room, other, 8).balances == Balances(0, 0)


def test_a_cancel_after_expiry_closes_the_reservation(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4, seconds=5)
    room.wait(5)
    for _ in range(2):
        done = room.run(room.ledger.cancel(ORG, hold.id))
        assert (done.reservation.status, done.released_micro) == (Status.EXPIRED, 0)
        assert done.reservation.cancelled_at_us == hold.expires_at_us  # it is now that instant
    with pytest.raises(NotPending):
        confirm(room, hold, 3)


def test_the_same_confirmation_is_answered_as_the_first_time(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4)
    first = confirm(room, hold, 3)
    room.post(account, 90)
    room.reserve(account, 50)
    assert confirm(room, hold, 3) == first
    assert first.balances == Balances(7 * CREDIT, 0)
    assert room.figures(account) == (97, 50, 47)


def test_a_cancel_again_shows_todays_figures(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4)
    assert room.run(room.ledger.cancel(ORG, hold.id)).released_micro == 4 * CREDIT
    room.post(account, 90)
    again = room.run(room.ledger.cancel(ORG, hold.id))
    assert (again.reservation.status, again.released_micro) == (Status.CANCELLED, 0)
    assert again.balances == Balances(100 * CREDIT, 0)


def test_an_extension_moves_the_expiry(room: OpenLedger) -> None:
    account = room.account(credits=10)
    hold = room.reserve(account, 4, seconds=5)
    room.wait(4)
    longer = room.run(room.ledger.extend(ORG, hold.id, 60))
    assert longer.expires_at_us == room.clock.now + 60 * SECOND_US
    room.wait(59)
    assert room.figures(account) == (10, 4, 6)
    room.wait(1)
    assert room.figures(account) == (10, 0, 10)
    with pytest.raises(NotPending):
        room.run(room.ledger.extend(ORG, hold.id, 60))


def test_a_repeat_is_answered_alike_whatever_happened_since(room: OpenLedger) -> None:
    account = room.account("user_9", credits=10)
    address = Address(account.id)
    hold = room.reserve(account, 4, repeat=repeat("hold"), description="chat", metadata='{"a":1.50}')
    settled = confirm(room, hold, 3, key="settle")
    entry = room.post(account, 5, repeat=repeat("add"))
    room.wait(90_000)
    assert room.reserve(account, 4, repeat=repeat("hold"), description="chat", metadata='{"a":1.50}') == hold
    assert confirm(room, hold, 3, key="settle") == settled
    assert room.post(account, 5, repeat=repeat("add")) == entry
    assert room.ledger.standing(ORG, address).balances == Balances(12 * CREDIT, 0)


def test_a_refusal_is_repeated_with_its_details(room: OpenLedger) -> None:
    account = room.account(credits=10)
    refusals: list[Insufficient | Conflict] = []
    for _ in range(2):
        with pytest.raises(Insufficient) as uncovered:
            room.reserve(account, 11, repeat=repeat("more"))
        refusals.append(uncovered.value)
        room.post(account, 100)  # by now it would be covered
    assert [each.code for each in refusals] == ["insufficient_credits"] * 2
    assert [str(each) for each in refusals] == ["the account has not enough credits available"] * 2
    assert [each.details for each in refusals] == [{"required_micro": 11 * CREDIT, "available_micro": 10 * CREDIT}] * 2
    hold = room.reserve(account, 1)
    room.run(room.ledger.cancel(ORG, hold.id))
    for _ in range(2):
        with pytest.raises(Conflict) as settled:
            confirm(room, hold, 1, key="late")
        assert settled.value.details == {"status": "cancelled", "actual_micro": None}


def test_a_key_means_one_body(room: OpenLedger) -> None:
    account = room.account(credits=10)
    once = repeat("add")
    room.post(account, 1, repeat=once)
    with pytest.raises(RepeatedWithOtherBody):
        room.post(account, 2, repeat=replace(once, body_hash=b"other"))
    assert room.figures(account) == (11, 0, 11)


def test_what_was_not_found_is_not_remembered(room: OpenLedger) -> None:
    wanted = Posting(Type.CREDIT, CREDIT)
    with pytest.raises(NotFound):
        room.run(room.ledger.post(ORG, Address(None, "user_9"), wanted, repeat("add")))
    room.account("user_9")
    entry = room.run(room.ledger.post(ORG, Address(None, "user_9"), wanted, repeat("add")))
    assert entry.balance_after_micro == CREDIT


def test_many_at_once_never_overspend(room: OpenLedger) -> None:
    account = room.account(credits=30)

    async def all_at_once() -> list[Reservation | BaseException]:
        hold = Hold(CREDIT, 300)
        return await asyncio.gather(
            *(room.ledger.reserve(ORG, Address(account.id), hold) for _ in range(100)), return_exceptions=True
        )

    answers = room.run(all_at_once())
    assert sum(isinstance(answer, Reservation) for answer in answers) == 30
    assert sum(isinstance(answer, InsufficientCredits) for answer in answers) == 70
    assert room.figures(account) == (30, 30, 0)


@pytest.mark.parametrize("rival", ["confirm", "cancel", "other amount", "expiry"])
def test_rivals_free_a_hold_once(room: OpenLedger, rival: str) -> None:
    account = room.account(credits=1000)
    holds = [room.reserve(account, 4, seconds=5) for _ in range(50)]
    if rival == "expiry":
        room.wait(5)
    commands: dict[str, Callable[[Reservation], Coroutine[Any, Any, Any]]] = {
        "confirm": lambda hold: room.ledger.confirm(ORG, hold.id, 3 * CREDIT, TERMS),
        "cancel": lambda hold: room.ledger.cancel(ORG, hold.id),
        "other amount": lambda hold: room.ledger.confirm(ORG, hold.id, 2 * CREDIT, TERMS),
        "expiry": lambda _: room.ledger.expire_due(7),
    }

    async def race() -> list[Any]:
        pairs = [(commands["confirm"](hold), commands[rival](hold)) for hold in holds]
        return await asyncio.gather(*(each for pair in pairs for each in pair), return_exceptions=True)

    answers = room.run(race())
    assert all(not isinstance(answer, BaseException | Conflict) for answer in answers[::2])
    assert all(isinstance(answer, NotPending) == (rival in ("cancel", "other amount")) for answer in answers[1::2])
    assert room.figures(account) == (850, 0, 850)


def test_lists_are_newest_first_and_paged_on_demand(room: OpenLedger) -> None:
    accounts = [room.account(f"user_{number}") for number in range(5)]
    whole = room.ledger.list_accounts(ORG)
    assert (whole.total, list(whole.rows)) == (5, accounts[::-1])
    page = room.ledger.list_accounts(ORG, Slice(2, 1))
    assert (page.total, list(page.rows)) == (5, [accounts[3], accounts[2]])
    assert list(room.ledger.list_accounts(ORG, Slice(2, 9)).rows) == []
    account = accounts[0]
    room.post(account, 100)
    holds = []
    for _ in range(5):
        room.wait(1)
        holds.append(room.reserve(account, 1, seconds=60))
    address = Address(account.id)
    assert list(room.ledger.list_reservations(ORG, address).rows) == holds[::-1]
    middle = room.ledger.list_reservations(ORG, address, page=Slice(2, 1))
    assert (middle.total, list(middle.rows)) == (5, [holds[3], holds[2]])
    room.clock.now = holds[1].expires_at_us
    active = room.ledger.list_reservations(ORG, address, active_only=True, page=Slice(2))
    assert (active.total, list(active.rows)) == (3, [holds[4], holds[3]])


def test_transactions_are_found_by_account_and_time(room: OpenLedger) -> None:
    ana, bob = room.account("ana"), room.account("bob")
    entries = []
    for number in range(6):
        entries.append(room.post(ana if number % 2 else bob, number + 1))
        room.wait(1)

    def listed(address: Address | None, page: Slice, **window: int) -> tuple[int, list[int]]:
        found = room.ledger.list_transactions(ORG, address, page, **window)
        return found.total, [entries.index(row) for row in found.rows]

    assert listed(None, Slice(50)) == (6, [5, 4, 3, 2, 1, 0])
    assert listed(Address(None, "ana"), Slice(50)) == (3, [5, 3, 1])
    assert listed(Address(ana.id), Slice(1, 1)) == (3, [3])
    since, until = entries[1].created_at_us, entries[4].created_at_us
    assert listed(None, Slice(2), start_us=since, end_us=until) == (3, [3, 2])
    assert listed(Address(ana.id), Slice(50), start_us=since, end_us=until) == (2, [3, 1])
    assert listed(Address(ana.id), Slice(50), start_us=since + 1) == (2, [5, 3])
    with pytest.raises(NotFound):
        listed(Address("acc_0"), Slice(50))


def test_the_reservations_of_transactions(room: OpenLedger) -> None:
    account = room.account(credits=10)
    settled = confirm(room, room.reserve(account, 2), 1).reservation
    listed = list(room.ledger.list_transactions(ORG, None, Slice(50)).rows)
    assert room.ledger.reservations_of(ORG, listed) == {settled.id: settled}


def test_a_whole_list_has_a_bound(room: OpenLedger) -> None:
    account = room.account(credits=1000)
    for _ in range(100):
        room.reserve(account, 1)
    assert room.ledger.list_reservations(ORG, Address(account.id)).total == 100
    room.reserve(account, 1)
    with pytest.raises(TooManyResults, match="more than 100 rows"):
        room.ledger.list_reservations(ORG, Address(account.id))
    assert room.ledger.list_reservations(ORG, Address(account.id), page=Slice(1)).total == 101


@pytest.mark.parametrize("number", [20, 600], ids=["at once", "streamed"])
def test_a_whole_list_is_one_snapshot(room: OpenLedger, number: int) -> None:
    ledger = LedgerService(room.store, room.engine, room.clock, list_rows_max=number)

    async def open_many() -> list[Account]:
        return await asyncio.gather(*(ledger.create_account(ORG, NewAccount()) for _ in range(number)))

    made = room.run(open_many())
    whole = ledger.list_accounts(ORG)
    room.account()
    room.post(made[0], 5)
    assert whole.total == number
    assert list(whole.rows) == made[::-1]
    # What is read beside it, on the same thread, is of today.
    assert room.figures(made[0]) == (5, 0, 5)
    with pytest.raises(TooManyResults):
        ledger.list_accounts(ORG)


def test_texts_come_back_as_they_were_sent(room: OpenLedger) -> None:
    wanted = NewAccount("'; DROP TABLE accounts; --", "Ana ☃ \x00", 'a"b', '{"n": 1.50, "n": 1e400}')
    account = room.run(room.ledger.create_account(ORG, wanted))
    found = room.ledger.get_account(ORG, Address(None, wanted.external_id))
    assert found == account
    assert (found.external_id, found.name, found.email, found.metadata) == msgspec.structs.astuple(wanted)
