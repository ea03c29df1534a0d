"""JSON in which a `Decimal` is a number with exactly its digits, on the way out and on the way in."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

_plain = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def dumps(value: object) -> str:
    """Compact ASCII JSON of mappings, sequences, text, numbers and so on. Raises `ValueError` for NaN."""
    try:
        return _plain(value)
    except TypeError:  # a Decimal or a Mapping somewhere inside: rare enough to be written piece by piece
        return _written(value)


def _written(value: object) -> str:
    match value:
        case Decimal():
            return _digits(value)
        case Mapping():
            return "{" + ",".join(f"{_plain(str(name))}:{_written(item)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
        case _:
            return _plain(value)


def _digits(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("JSON has no NaN and no infinity")
    return str(number)


def loads(text: str | bytes) -> Any:
    """Parsed JSON: whole numbers as int, others as `Decimal`. Raises `ValueError`, also for NaN."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except InvalidOperation:
        raise ValueError("a number is out of range") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
