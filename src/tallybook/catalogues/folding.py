"""Lists of an answer whose items are read by name, such as Google's by modality: one item for each name.

The library reads only the first item of a name, and takes a name for a text whatever it is.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tallybook.metering.answers import UnreadableAnswer


def folded(value: Any, path: Sequence[str], field: str, place: str = "") -> Any:
    """The value with the list at `path` so that its items are one for each text in `field`, their counts added up.

    Items without a name stay as they are. Raises `UnreadableAnswer` for a name that is no text.
    """
    if not path:
        return _by_name(value, field, place) if isinstance(value, list) else value
    first, *rest = path
    if not isinstance(value, Mapping) or first not in value:
        return value
    return {**value, first: folded(value[first], rest, field, f"{place}.{first}" if place else first)}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _by_name(items: Sequence[Any], field: str, place: str) -> list[Any]:
    named: dict[str, Any] = {}
    others: list[Any] = []
    for index, item in enumerate(items):
        name = item.get(field) if isinstance(item, Mapping) else None
        if name is None:
            others.append(item)
        elif isinstance(name, str):
            named[name.lower()] = _added(named.get(name.lower()), item)
        else:
            raise UnreadableAnswer(f"{place}.{index}.{field} must be a text")
    return [*named.values(), *others]


def _added(one: Any, other: Any) -> Any:
    """Both as one. What is no count stays, so that it is refused where a count belongs."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {name: _added(one.get(name), other.get(name)) for name in {**one, **other}}
    if is_number(one) and is_number(other):
        return one + other
    return other if is_number(one) else one
