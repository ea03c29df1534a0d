"""The ledger's nouns in the client: bodies digit for digit, refusals with their facts, walks that lose nothing."""

import json
from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest

from tallybook.sdk import Client
from tallybook.sdk.errors import BadRequest, Conflict, InsufficientCredits


def client_of(handler: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://book", "a-key", transport=httpx.MockTransport(handler), retries=0)


def test_amounts_go_out_digit_for_digit_under_a_key() -> None:
    sent: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=b'{"balance":0.300001,"added":0.1,"transactionId":"txn_1"}')

    answer = client_of(server).credits.add(Decimal("0.1"), external_id="u", payment_method="card")
    assert answer["balance"] == Decimal("0.300001")
    (request,) = sent
    assert request.content == b'{"externalId":"u","amount":0.1,"paymentMethod":"card"}'
    assert request.headers["Idempotency-Key"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(402, "overrun", InsufficientCredits), (409, "conflict", Conflict), (400, "invalid_request", BadRequest)],
)
def test_a_refusal_brings_its_sentence_and_facts(status: int, code: str, kind: type[Exception]) -> None:
    body = {"success": False, "error": "why", "message": "why", "code": code, "details": {"available": 1.5}}
    with pytest.raises(kind) as refusal:
        client_of(lambda _: httpx.Response(status, json=body)).reservations.confirm("res_1", 5)
    assert (
        vars(refusal.value).items() >= {"code": code, "detail": "why", "details": {"available": Decimal("1.5")}}.items()
    )


def test_a_walk_through_a_growing_list_repeats_and_loses_nothing() -> None:
    rows = [{"id": f"txn_{n}"} for n in reversed(range(1_200))]

    def server(request: httpx.Request) -> httpx.Response:
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        page = rows[offset : offset + limit]
        more = {"hasMore": offset + len(page) < len(rows)}
        rows.insert(0, {"id": f"txn_new_{len(rows)}"})
        return httpx.Response(200, content=json.dumps({"items": page, "pagination": more}))

    before = [row["id"] for row in rows]
    assert [row["id"] for row in client_of(server).transactions.all()] == before


@pytest.mark.parametrize("gone", [1, 499, 700])
def test_a_list_that_shrinks_meanwhile_is_complete(gone: int) -> None:
    rows = [{"id": f"usage_{n}"} for n in reversed(range(1_700))]
    before = [row["id"] for row in rows]

    def server(request: httpx.Request) -> httpx.Response:
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        page = rows[offset : offset + limit]
        more = {"hasMore": offset + len(page) < len(rows)}
        if len(rows) == len(before) and offset:  # some of the first are voided behind the second page
            del rows[:gone]
        return httpx.Response(200, content=json.dumps({"usageRecords": page, "pagination": more}))

    assert [row["id"] for row in client_of(server).usage_records.all()] == before


def test_active_holds_are_read_in_one_piece() -> None:
    sent: list[httpx.URL] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.append(request.url)
        return httpx.Response(200, json={"success": True, "reservations": [{"id": "res_1"}]})

    assert list(client_of(server).reservations.all(account_id="acc_1", active_only=True)) == [{"id": "res_1"}]
    assert [str(url) for url in sent] == ["http://book/v1/reservations?accountId=acc_1&activeOnly=true"]
