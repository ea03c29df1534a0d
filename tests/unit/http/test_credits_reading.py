"""Requests of the credits dialect, read into their forms."""

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest
from msgspec import Raw, Struct

from tallybook.core.errors import InvalidInput, MalformedInput
from tallybook.http import credits
from tallybook.http.credits.reading import METADATA_BYTES_MAX, _described, from_body, from_query, from_wire_metadata
from tallybook.http.credits.wire import ConfirmWanted, ReservationsAsked, ReservationWanted


def forms() -> Iterator[type[Struct]]:
    """Everything that requests are read into."""
    for module in pkgutil.iter_modules(credits.__path__):
        found = vars(importlib.import_module(f"{credits.__name__}.{module.name}"))
        yield from (kind for name, kind in found.items() if name.endswith(("Wanted", "Asked", "Paged", "Addressed")))


@pytest.mark.parametrize("form", sorted({form for form in forms() if isinstance(form, type)}, key=str))
def test_every_field_that_may_be_refused_says_what_it_must_be(form: type[Struct]) -> None:
    """A field of raw JSON takes anything; the others are refused in the words of their description."""
    for field in msgspec.structs.fields(form):
        if getattr(field.type, "__origin__", None) is not Raw:
            assert _described(field.type), field.name


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"estimate": {}}', "estimate.modelId: is required"),
        (b'{"estimate": 5}', "estimate: must be an object"),
        (b'{"estimate": {"modelId": "m", "inputTokens": -1}}', "estimate.inputTokens: must be a whole number from 0"),
        (b'{"amount": 1, "expiresInSeconds": 0}', "expiresInSeconds: must be a whole number from 1 to 86400"),
        (b'{"amount": 1, "expiresInSeconds": ' + b"9" * 5_000 + b"}", "expiresInSeconds: must be a whole number"),
        (b'{"amount": 1, "model": 5}', "model: must be a string of at most 255 characters"),
        (b'{"amount": 1, "accountId": ""}', "accountId: must be a string of 1 to 255 characters"),
    ],
)
def test_a_fault_names_its_field(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        from_body(ReservationWanted, body)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"actualAmount": NaN}', "not JSON: actualAmount: "),
        (b'{"reservationId": "r", "actualAmount": -Infinity}', "not JSON: actualAmount: "),
        (b'{"x": "\xff"}', "not UTF-8"),
    ],
)
def test_what_is_no_form_at_all(body: bytes, message: str) -> None:
    with pytest.raises(MalformedInput, match=message):
        from_body(ConfirmWanted, body)


def test_queries() -> None:
    asked = from_query(ReservationsAsked, b"accountId=a%20b&limit=7&activeOnly=TRUE&offset=&x=1&limit=8")
    assert (asked.account_id, asked.limit, asked.offset, asked.active_only) == ("a b", 8, None, True)
    assert from_query(ReservationsAsked, "externalId=é".encode()).external_id == "é"
    assert from_query(ReservationsAsked, b"externalId=null").external_id == "null"


def test_metadata_is_kept_as_it_was_written() -> None:
    text = '{"b":[1.10,1e400,{"c":null}],"a":"\\u00e9"}'
    assert from_wire_metadata(Raw(text.encode())) == text
    assert from_wire_metadata(Raw(b'{ "b" : 1 }')) == '{"b":1}'
    assert from_wire_metadata(Raw(b'{"a":1}'), under={"a": "x", "b": "y"}, over={"c": "z"}) == '{"a":1,"b":"y","c":"z"}'
    for nothing in (b"", b"null"):
        assert from_wire_metadata(Raw(nothing)) is None
        assert from_wire_metadata(Raw(nothing), over={"model": "m"}) == '{"model":"m"}'


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "5",
        '"text"',
        '{"a":' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"a":' + "9" * 5_000 + "}",
        '{"a":"' + "x" * METADATA_BYTES_MAX + '"}',
    ],
    ids=lambda text: text[:8],
)
def test_what_is_no_metadata(text: str) -> None:
    with pytest.raises(InvalidInput, match="metadata: "):
        from_wire_metadata(Raw(text.encode()))
