"""Which column becomes which field: one event from one row."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from tallybook.cli.importing.fields import Field, Fields
from tallybook.cli.importing.rows import Row
from tallybook.cli.pairs import Pair
from tallybook.sdk import exact_json

Event = dict[str, Any]

GROUPS = {"usage", "metadata"}
AS_THEY_STAND = {"usage", "provider_response"}
"""Fields that no text becomes, so that only the rows of NDJSON can have them."""
UNKNOWN_MAX = 20


class BadPlan(ValueError):
    """The mapping or a constant cannot be carried out on this file."""


class BadRow(ValueError):
    """A row makes no event: `column` and `value` name the cell, None where the row as a whole is at fault."""

    def __init__(self, message: str, column: str | None = None, value: str | None = None) -> None:
        self.column = column
        self.value = value
        super().__init__(message)


@dataclass(frozen=True)
class Mapping:
    """What the command line says: fields from columns (none: by equal names), fields with one value.

    `source` fills events that name none. `zone` is that of times without one.
    """

    columns: Sequence[Pair]
    constants: Sequence[Pair]
    source: str
    zone: tzinfo


class _Plan(ABC):
    def __init__(self, mapping: Mapping) -> None:
        self._source = mapping.source
        self._fields = Fields(mapping.zone)
        self._mapped = _mapped(self._fields, mapping.columns)
        self._constants = [_constant(self._fields, pair) for pair in mapping.constants]
        _check_once([*self._mapped, *self._constants])

    def event(self, row: Row) -> Event:
        """The event of a row, with an id that the row alone decides. Raises `BadRow`."""
        if row.fault is not None:
            raise BadRow(row.fault)
        event = self._filled(row)
        for field, value in self._constants:
            field.place(event, value)
        if event.get("id") is None:
            event["id"] = row_id(row)
        event.setdefault("source", self._source)
        return event

    def column_of(self, path: str) -> str | None:
        """The column a field of an event is taken from."""
        return next((column for field, column in self._mapped if field.path == path), None)

    @property
    def dates_events(self) -> bool:
        """Whether something says when the usage happened; events without a time are dated on arrival."""
        given = [field.path for field, _ in (*self._mapped, *self._constants)]
        return "occurred_at" in given

    @abstractmethod
    def _filled(self, row: Row) -> Event:
        """The event that a row's own content makes, without constants and identity."""


class CsvPlan(_Plan):
    def __init__(self, mapping: Mapping, columns: Sequence[str]) -> None:
        super().__init__(mapping)
        if not mapping.columns:
            constants = {field.path for field, _ in self._constants}
            self._mapped = [
                (field, name)
                for name in columns
                if (field := self._fields.find(name)) is not None and field.path not in constants
            ]
        if not self._mapped:
            raise BadPlan(f"no column is named like a field of an event; use --map. {_there_are(columns)}")
        _check_once(self._mapped)
        self._cells = [(_index(columns, column), column, field) for field, column in self._mapped]
        self.unused = [name for name in columns if name not in {column for _, column in self._mapped}]

    def _filled(self, row: Row) -> Event:
        event: Event = {}
        for index, column, field in self._cells:
            value = _value(field, row.content[index], column)
            if value is not None:
                field.place(event, value)
        return event


class NdjsonPlan(_Plan):
    """With a mapping fields come from the named members (`a.b` looks inside `a`); else rows are events."""

    def __init__(self, mapping: Mapping) -> None:
        super().__init__(mapping)
        self.never_seen = {column for _, column in self._mapped}
        self.unknown: dict[str, int] = {}
        """Members of events that are no field, the first `UNKNOWN_MAX` -> the line that has the first of each."""

    @property
    def dates_events(self) -> bool:
        return not self._mapped or super().dates_events

    def _filled(self, row: Row) -> Event:
        if not isinstance(row.content, dict):
            raise BadRow("is not a JSON object")
        return self._from_members(row.content) if self._mapped else self._from_event(row.content, row.line)

    def _from_members(self, content: Event) -> Event:
        event: Event = {}
        for field, column in self._mapped:
            member = _member(content, column)
            if member is None:
                continue
            self.never_seen.discard(column)
            value = _value(field, _as_text(member), column)
            if value is not None:
                field.place(event, value)
        return event

    def _from_event(self, content: Event, line: int) -> Event:
        """The event as it stands; what is beside `usage` or `metadata` moves into it, and a time gets a zone."""
        event = {name: value for name, value in content.items() if value is not None}
        for group in GROUPS & event.keys():
            if not isinstance(event[group], dict):
                raise BadRow("must be an object", group, _as_text(event[group]))
            event[group] = dict(event[group])
        self._note_unknown([name for name in event if name not in AS_THEY_STAND], line)
        self._note_unknown([f"usage.{name}" for name in event.get("usage", {})], line)
        for name in content.keys() & event.keys():
            field = self._fields.find(name)
            if field is None:
                continue
            if field.group is not None:
                if field.name in event.get(field.group, {}):
                    raise BadRow(f"is given twice, beside and inside {field.group}", name)
                field.place(event, event.pop(name))
            elif name == "occurred_at":
                event[name] = _value(field, _as_text(event[name]), name)
        return event

    def _note_unknown(self, names: Iterable[str], line: int) -> None:
        for name in names:
            if len(self.unknown) < UNKNOWN_MAX and self._fields.find(name) is None:
                self.unknown.setdefault(name, line)


def row_id(row: Row) -> str:
    """32 hex digits from the row's number and its raw bytes: equal rows of one file stay different events."""
    return hashlib.blake2b(b"%d:%b" % (row.number, row.raw), digest_size=16).hexdigest()


def _mapped(fields: Fields, pairs: Sequence[Pair]) -> list[tuple[Field, str]]:
    return [(_field(fields, pair.name), pair.value) for pair in pairs]


def _constant(fields: Fields, pair: Pair) -> tuple[Field, Any]:
    field = _field(fields, pair.name)
    if field.path == "id":
        raise BadPlan("id cannot be the same in every row")
    if not pair.value:
        raise BadPlan(f"{pair.name} is set to nothing")
    try:
        return field, field.convert(pair.value)
    except ValueError as error:
        raise BadPlan(f"{pair.name}={pair.value}: {error}") from None


def _field(fields: Fields, name: str) -> Field:
    try:
        return fields.get(name)
    except ValueError as error:
        raise BadPlan(str(error)) from None


def _check_once(given: Iterable[tuple[Field, Any]]) -> None:
    paths = [field.path for field, _ in given]
    for path in paths:
        if paths.count(path) > 1:
            raise BadPlan(f"{path} is given twice")
        if path.startswith("metadata.") and "metadata" in paths:
            raise BadPlan("metadata is given both as a whole and by its parts")


def _index(columns: Sequence[str], column: str) -> int:
    match columns.count(column):
        case 0:
            raise BadPlan(f"there is no column {column!r}. {_there_are(columns)}")
        case 1:
            return columns.index(column)
        case _:
            raise BadPlan(f"there are several columns {column!r}")


def _there_are(columns: Sequence[str]) -> str:
    return f"The file has: {', '.join(columns[:50])}"


def _value(field: Field, text: str, column: str) -> Any:
    """The value that a cell's text stands for, None for an empty cell. Raises `BadRow`."""
    if field.convert is not str:
        text = text.strip()
    if not text:
        return None
    try:
        return field.convert(text)
    except ValueError as error:
        raise BadRow(str(error), column, text) from None


def _member(content: Event, column: str) -> Any:
    if column in content:
        return content[column]
    found: Any = content
    for name in column.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else exact_json.dumps(value)
