"""Reads requests of the credits dialect into the forms of `wire.py`, and says which field is at fault."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from tallybook.core.errors import InvalidInput, MalformedInput, invalid
from tallybook.http.body import NOT_JSON, not_json

METADATA_BYTES_MAX = 16 * 1024

Wanted = TypeVar("Wanted", bound=Struct)
Texts = Mapping[str, str]
_NONE: Texts = {}


def from_body(kind: type[Wanted], body: bytes) -> Wanted:
    """The body as that form. Raises `MalformedInput` for what is no JSON, `InvalidInput` naming the field at fault."""
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into strings that no field takes
        form: Wanted = _decoder_of(kind).decode(body)
        return form
    except msgspec.ValidationError as error:
        raise _fault(kind, error) from None
    except NOT_JSON as error:
        raise not_json(body, error) from None


_decoder_of = cache(msgspec.json.Decoder)


def from_query(kind: type[Wanted], query: bytes) -> Wanted:
    """The query string as that form; of a repeated name the last counts, and a blank value is absent."""
    try:
        return msgspec.convert(dict(parse_qsl(query.decode("utf-8", "replace"))), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _fault(kind, error) from None


def from_wire_metadata(raw: Raw, under: Texts = _NONE, over: Texts = _NONE) -> str | None:
    """The object as compact JSON text, its values as they were written; None where there is nothing.

    `under` is put in where the caller did not use the name, `over` whether or not. Raises `InvalidInput` for anything
    but an object of at most `METADATA_BYTES_MAX` bytes.
    """
    if bytes(raw) in (b"", b"null"):
        return _ENCODE({**under, **over}).decode() if under or over else None
    if not bytes(raw).startswith(b"{"):
        raise invalid("metadata", msg="must be an object")
    try:
        text = msgspec.json.format(_ENCODE({**under, **_DECODE_FIELDS(raw), **over}), indent=-1)
        _CHECK(text)
    except (msgspec.DecodeError, RecursionError):
        raise invalid("metadata", msg="is nested too deep or holds a number of too many digits") from None
    if len(text) > METADATA_BYTES_MAX:
        raise invalid("metadata", msg=f"must have at most {METADATA_BYTES_MAX} bytes")
    return text.decode()


_ENCODE = msgspec.json.Encoder().encode
_DECODE_FIELDS = msgspec.json.Decoder(dict[str, Raw]).decode
_CHECK = msgspec.json.Decoder(float_hook=len).decode
_MISSING = re.compile(r"missing required field `([^`]+)`")
_PLACE = re.compile(r" - at `\$((?:\.[^`.\[]+)+)")


def _fault(kind: type[Struct], error: msgspec.ValidationError) -> InvalidInput | MalformedInput:
    """The decoder's complaint in a caller's words."""
    found = _PLACE.search(str(error))
    place = [] if found is None else found[1].split(".")[1:]
    missing = _MISSING.search(str(error))
    if missing is not None:
        return invalid(*place, missing[1], msg="is required")
    if not place:
        return MalformedInput("the body must be a JSON object")
    return invalid(*place, msg=f"must be {_described(_type_at(kind, place))}")


def _type_at(kind: Any, place: Sequence[str]) -> Any:
    for name in place:
        (form,) = (part for part in _parts(kind) if isinstance(part, type) and issubclass(part, Struct))
        (kind,) = (field.type for field in msgspec.structs.fields(form) if field.encode_name == name)
    return kind


def _parts(hint: Any) -> Iterator[Any]:
    """The type and all that it is made of."""
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _described(hint: Any) -> str:
    metas = [meta for part in (hint, *get_args(hint)) for meta in getattr(part, "__metadata__", ())]
    return str(metas[0].description)
