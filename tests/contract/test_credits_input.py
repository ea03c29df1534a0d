"""What no request of the credits dialect may say, and that it moves nothing (contract sections 2 and 3)."""

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallybook.http.credits.wire import (
    AccountWanted,
    AddWanted,
    CancelWanted,
    ConfirmWanted,
    ExtendWanted,
    ReservationsAsked,
    ReservationWanted,
    TransactionsAsked,
    TransactionWanted,
)
from tests.conftest import LONG
from tests.contract.credit_calls import Ledger, done, fault, read, refused, unique
from tests.serving import ADMIN_KEY, ServerProcess

MOVES: dict[str, dict[str, Any]] = {
    "/accounts/credits/add": {},
    "/accounts/credits/deduct": {},
    "/transactions/create": {"type": "debit"},
    "/reservations/create": {},
}
POSTS = [*MOVES, "/accounts/create", "/reservations/confirm", "/reservations/cancel", "/reservations/extend"]


@pytest.fixture(scope="module")
def ledger(server: ServerProcess) -> Iterator[Ledger]:
    with server.client() as admin:
        yield Ledger(admin)


class Still:
    """An account with a hold on it, none of which may move."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.external_id = unique("still")
        self.account_id = ledger.account(100, externalId=self.external_id)
        self.reservation_id = ledger.hold(self.account_id, 60)
        self._before = self._facts()

    def check(self) -> None:
        assert self._facts() == self._before

    def _facts(self) -> Any:
        ledger, account_id = self._ledger, self.account_id
        held = done(ledger.get("/reservations", accountId=account_id))
        return ledger.balances(account_id), ledger.statement(account_id), held


@pytest.fixture
def still(ledger: Ledger) -> Iterator[Still]:
    account = Still(ledger)
    yield account
    account.check()


# Amounts.


NO_AMOUNTS = [
    '"5"', '""', "true", "false", "[]", "[5]", "{}", "null", "0", "-0", "0.0", "-1", "-0.000001", "0.0000001",
    "1.1234567", "1e400", "-1e400", "1e999999999", "1e-999999999", "1e99999999999999999999", "9" * 39, "9" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_AMOUNTS, ids=lambda text: text[:24])
@pytest.mark.parametrize("path", MOVES)
def test_an_amount_is_a_number_above_0_with_six_decimals(ledger: Ledger, still: Still, path: str, text: str) -> None:
    rest = json.dumps({"accountId": still.account_id, **MOVES[path]})
    started = time.perf_counter()
    answer = ledger.send(path, f'{rest[:-1]}, "amount": {text}}}'.encode())
    assert time.perf_counter() - started < 5
    refused(answer, 400, "invalid_request")
    if len(text) < 5_000:
        assert fault(answer) == "amount"


@pytest.mark.parametrize("text", [text for text in NO_AMOUNTS if text not in ("0", "-0", "0.0")], ids=lambda t: t[:24])
def test_an_actual_amount_may_be_0_and_nothing_else(ledger: Ledger, still: Still, text: str) -> None:
    body = f'{{"reservationId": "{still.reservation_id}", "actualAmount": {text}}}'
    answer = ledger.send("/reservations/confirm", body.encode())
    refused(answer, 400, "invalid_request")
    assert "actualAmount" in answer.text or len(text) == 5_000


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "01", ".5", "5.", "+5", "0x5", "5_0", "1e"])
@pytest.mark.parametrize("path", MOVES)
def test_what_json_cannot_say_names_its_field(ledger: Ledger, still: Still, path: str, text: str) -> None:
    rest = json.dumps({"accountId": still.account_id, **MOVES[path]})
    answer = ledger.send(path, f'{rest[:-1]}, "amount": {text}}}'.encode())
    refused(answer, 400, "invalid_request")
    assert "not JSON" in read(answer)["message"]
    if text in ("NaN", "Infinity", "-Infinity", ".5", "+5"):
        assert "amount" in read(answer)["message"]


@pytest.mark.parametrize("path", MOVES)
def test_an_amount_is_required(ledger: Ledger, still: Still, path: str) -> None:
    assert fault(ledger.post(path, accountId=still.account_id, **MOVES[path])) == "amount"


@pytest.mark.parametrize("amount", [8_589_934_592, 10**15, 10**37])
@pytest.mark.parametrize("path", MOVES)
def test_amounts_over_the_ceiling(ledger: Ledger, still: Still, path: str, amount: int) -> None:
    answer = ledger.post(path, accountId=still.account_id, amount=amount, **MOVES[path])
    assert refused(answer, 409, "conflict")["reason"] == "above_ceiling"


# Texts and metadata.


@pytest.mark.parametrize(
    ("path", "name", "longest"),
    [
        ("/accounts/create", "externalId", 255),
        ("/accounts/create", "name", 255),
        ("/accounts/create", "email", 255),
        ("/accounts/credits/add", "description", 4096),
        ("/accounts/credits/add", "paymentMethod", 255),
        ("/accounts/credits/deduct", "description", 4096),
        ("/transactions/create", "description", 4096),
        ("/reservations/create", "operation", 255),
        ("/reservations/create", "model", 255),
    ],
)
def test_texts_are_strings_within_bounds(ledger: Ledger, path: str, name: str, longest: int) -> None:
    account_id = ledger.account(100)
    address: dict[str, Any] = (
        {} if path == "/accounts/create" else {"accountId": account_id, "amount": 1, **MOVES[path]}
    )
    before = ledger.statement(account_id)
    unfit: list[Any] = [5, True, ["a"], {"a": 1}, "x" * (longest + 1), "a\u0000b"]
    for text in unfit:
        assert fault(ledger.post(path, **address, **{name: text})) == name, text
    assert ledger.statement(account_id) == before
    assert ledger.post(path, **address, **{name: "ä" * longest}).status_code == 200


@pytest.mark.parametrize("external_id", ["", "a\nb", "a\n", "\u0085", "\u007f"])
def test_an_external_id_is_not_empty_and_holds_no_control_characters(ledger: Ledger, external_id: str) -> None:
    assert fault(ledger.post("/accounts/create", externalId=external_id)) == "externalId"


@pytest.mark.parametrize("metadata", ["[]", "[1]", '"text"', "5", "true", '{"a": "' + "x" * 16_384 + '"}'])
@pytest.mark.parametrize("path", [*MOVES, "/accounts/create"])
def test_metadata_is_an_object_of_16_kib(ledger: Ledger, still: Still, path: str, metadata: str) -> None:
    rest = json.dumps({"accountId": still.account_id, "amount": 1, **MOVES.get(path, {})})
    answer = ledger.send(path, f'{rest[:-1]}, "metadata": {metadata}}}'.encode())
    assert fault(answer) == "metadata"


def test_metadata_comes_back_as_it_was_sent(ledger: Ledger) -> None:
    text = '{"z":1.10,"a":{"é":"\\n","list":[1,2.50,1e400,null,true,{}]},"big":123456789012345678901234567890}'
    answer = ledger.send("/accounts/create", f'{{"metadata": {text}}}'.encode())
    assert f'"metadata":{text}' in answer.text
    account_id = done(answer)["account"]["id"]
    assert f'"metadata":{text}' in ledger.get("/accounts/get", accountId=account_id).text
    fits = "x" * (16_384 - len('{"a":""}'))
    assert done(ledger.post("/accounts/create", metadata={"a": fits}))["account"]["metadata"] == {"a": fits}


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b"\xff\xfe",
        b'{"accountId": "\xff"}',
        b'{"x": "\xff"}',
        b'{"accountId": "\\ud800"}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"metadata": {"x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    ],
    ids=lambda body: str(body[:20]),
)
@pytest.mark.parametrize("path", POSTS)
def test_bodies_that_are_no_object(ledger: Ledger, path: str, body: bytes) -> None:
    refused(ledger.send(path, body), 400, "invalid_request")


def test_bodies_may_be_packed_and_have_a_bound(ledger: Ledger, still: Still) -> None:
    body = json.dumps({"accountId": still.account_id, "amount": 1_000}).encode()
    for path in MOVES:
        packed = {"Content-Encoding": "gzip"}
        if path == "/transactions/create":
            continue
        answer = ledger.http.post(f"/v1{path}", content=gzip.compress(b" " * (17 * 2**20) + body), headers=packed)
        refused(answer, 413, "payload_too_large")
    answer = ledger.http.post("/v1/reservations/create", content=gzip.compress(body), headers=packed)
    refused(answer, 402, "insufficient_credits")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FORMS = (AccountWanted, AddWanted, TransactionWanted, ReservationWanted, ConfirmWanted, CancelWanted, ExtendWanted)
FIELDS = st.sampled_from(sorted({name for form in FORMS for name in form.__struct_encode_fields__}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150 if LONG else 50)
@given(path=st.sampled_from(POSTS), fields=st.dictionaries(FIELDS, JUNK, max_size=6))
def test_no_body_is_answered_with_a_failure(ledger: Ledger, path: str, fields: dict[str, Any]) -> None:
    """Whatever is sent, it is done or refused, and refused by name."""
    answer = ledger.send(path, json.dumps(fields).encode())
    assert answer.status_code in ((200,) if path == "/accounts/create" else ()) + (400, 404, 409), (fields, answer.text)
    if answer.status_code != 200:
        assert read(answer)["message"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100 if LONG else 30)
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=60))
def test_no_bytes_are_answered_with_a_failure(ledger: Ledger, path: str, body: bytes) -> None:
    answer = ledger.send(path, body)
    assert answer.status_code in (200, 400)


QUERIES = st.dictionaries(
    st.sampled_from(sorted({*TransactionsAsked.__struct_encode_fields__, *ReservationsAsked.__struct_encode_fields__})),
    st.text(max_size=12) | st.integers().map(str) | st.sampled_from(["true", "2026-01-31", "9" * 30]),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100 if LONG else 30)
@given(
    path=st.sampled_from(["/accounts", "/accounts/get", "/accounts/balance", "/transactions", "/reservations"]),
    query=QUERIES,
)
def test_no_query_is_answered_with_a_failure(ledger: Ledger, path: str, query: dict[str, str]) -> None:
    assert ledger.get(path, **query).status_code in (200, 400, 404)


def test_the_fuzzed_books_still_agree(ledger: Ledger) -> None:
    ledger.verify()


# Paths, methods, keys.


@pytest.mark.parametrize(
    "path", ["/v1/accounts/", "/v1/accounts/nowhere", "/v1/plans/nowhere", "/v1/reservations/get", "/v1/models/nowhere"]
)
def test_what_is_not_offered_is_404_in_this_dialect(ledger: Ledger, path: str) -> None:
    refused(ledger.http.get(path), 404, "not_found")
    refused(ledger.http.post(path, json={}), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/v1/usage/", "/v1/usage/query", "/v1/usage/record/x", "/v1/accountsx", "/v1/verify/x"]
)
def test_what_belongs_to_the_native_dialect(ledger: Ledger, path: str) -> None:
    assert ledger.http.post(path, json={}).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/reservations/confirm", "POST"),
        ("DELETE", "/reservations/create", "POST"),
        ("POST", "/accounts/balance", "GET"),
        ("PUT", "/accounts", "GET"),
        ("GET", "/transactions/create", "POST"),
    ],
)
def test_other_methods_are_405_on_raw_and_framed_routes(ledger: Ledger, method: str, path: str, allowed: str) -> None:
    answer = ledger.http.request(method, f"/v1{path}")
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


def test_doubled_slashes_and_head(ledger: Ledger, still: Still) -> None:
    path = f"//v1//accounts///balance?accountId={still.account_id}"
    assert done(ledger.http.get(f"{ledger.http.base_url}{path[1:]}"))["balance"] == 100
    head = ledger.http.head("/v1/accounts/balance", params={"accountId": still.account_id})
    assert (head.status_code, head.content) == (200, b"")


def test_keys(server: ServerProcess, ledger: Ledger, still: Still) -> None:
    body = {"accountId": still.account_id, "amount": 1}
    with httpx.Client(base_url=server.url) as nobody:
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}):
            answer = nobody.post("/v1/accounts/credits/add", json=body, headers=headers)
            refused(answer, 401, "unauthorized")
            refused(nobody.get("/v1/accounts/balance", headers=headers), 401, "unauthorized")
        query = {"accountId": still.account_id}
        assert nobody.get("/v1/accounts/balance", params=query, headers={"X-API-Key": ADMIN_KEY}).status_code == 200


def key_of(ledger: Ledger, **wanted: Any) -> dict[str, str]:
    made = ledger.http.post("/v1/keys", json={"name": "test", **wanted}).raise_for_status()
    return {"Authorization": f"Bearer {made.json()['key']}"}


def test_a_member_may_do_nothing_here_and_the_scope_is_needed(ledger: Ledger, still: Still) -> None:
    member = key_of(ledger, role="member", user_id="ana")
    reader = key_of(ledger, role="org_admin", scopes=["read", "admin"])
    keeper = key_of(ledger, role="org_admin", scopes=["ledger"])
    gets = ("/accounts", "/accounts/get", "/accounts/balance", "/transactions", "/reservations")
    query = {"accountId": still.account_id}
    for path in gets:
        for headers in (member, reader):
            refused(ledger.http.get(f"/v1{path}", params=query, headers=headers), 403, "forbidden")
        assert ledger.http.get(f"/v1{path}", params=query, headers=keeper).status_code == 200
    for path in POSTS:
        for headers in (member, reader):
            body = {"accountId": still.account_id, "amount": 1, "reservationId": still.reservation_id}
            refused(ledger.http.post(f"/v1{path}", json=body, headers=headers), 403, "forbidden")


def test_whose_behalf_it_is_on_changes_nothing(ledger: Ledger, still: Still) -> None:
    plain = ledger.get("/accounts/get", accountId=still.account_id)
    headers = {"X-On-Behalf-Of": "somebody"}
    behalf = ledger.http.get("/v1/accounts/get", params={"accountId": still.account_id}, headers=headers)
    assert behalf.content == plain.content
