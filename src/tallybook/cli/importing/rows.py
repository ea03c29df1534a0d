"""Rows of a CSV or NDJSON file, streamed, each with its place in the file and its raw bytes."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from tallybook.sdk import exact_json

LINE_BYTES_MAX = 16 * 2**20
CELL_CHARS_MAX = csv.field_size_limit()
_BOM = b"\xef\xbb\xbf"
_CSV_ERRORS = {
    "field larger than field limit": f"has a cell of over {CELL_CHARS_MAX:,} characters; a quote left open?",
    "unexpected end of data": "the file ends inside quotes",
    "new-line character seen in unquoted field": "there is a carriage return outside quotes",
}
"""The csv module's words -> ours; others are clear enough."""


class Unreadable(Exception):
    """The file as a whole cannot be read on; the message says where and why."""


class Place(NamedTuple):
    """Just after a row: rows and lines read so far, and the byte where the next row starts."""

    row: int
    line: int
    offset: int


START = Place(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts data rows from 1, `line` is the line it starts on, `raw` is without the line end.

    `content` is a list of cells (CSV) or any JSON value (NDJSON); None where there is a `fault`.
    """

    number: int
    line: int
    raw: bytes
    after: Place
    content: Any
    fault: str | None = None


class Lines:
    """An iterator of text lines that keeps the bytes of those read since the last `take`."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self._file = file
        self._taken: list[bytes] = []
        self._at_start = place.offset == 0
        self.row, self.line, self.offset = place
        file.seek(place.offset)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            raw = self._file.readline(LINE_BYTES_MAX + 1)
        except OSError as error:
            raise Unreadable(f"line {self.line + 1} cannot be read: {error.strerror}") from error
        if not raw:
            raise StopIteration
        self.line += 1
        self.offset += len(raw)
        if len(raw) > LINE_BYTES_MAX:
            raise Unreadable(f"line {self.line} is longer than {LINE_BYTES_MAX:,} bytes")
        if self._at_start:
            self._at_start = False
            raw = _without_bom(raw)
        self._taken.append(raw)
        # Bytes that are no UTF-8 pass as surrogates, so that the row around them is still read to its end.
        return raw.decode("utf-8", "surrogateescape")

    def take(self) -> bytes:
        """The raw bytes read since the last call, without the last line end."""
        raw = b"".join(self._taken)
        self._taken.clear()
        return raw.removesuffix(b"\n").removesuffix(b"\r")

    def row_of(self, line: int, content: Any, fault: str | None = None) -> Row:
        """The row made of what was read since the last one."""
        self.row += 1
        raw = self.take()
        if not _is_utf8(raw):
            content, fault = None, "is not valid UTF-8"
        return Row(self.row, line, raw, Place(self.row, self.line, self.offset), content, fault)


class CsvRows:
    """Rows under a header line. Cells may be quoted and then hold commas, quotes and line ends."""

    def __init__(self, file: BinaryIO) -> None:
        """Reads the header. Raises `Unreadable`."""
        self._file = file
        lines = Lines(file, START)
        try:
            header = next(csv.reader(lines, strict=True))
        except StopIteration:
            raise Unreadable("the file is empty") from None
        except csv.Error as error:
            raise Unreadable(f"line 1: {_csv_fault(error)}") from None
        self.header_raw = lines.take()
        if not _is_utf8(self.header_raw):
            raise Unreadable("line 1 is not valid UTF-8")
        self.columns = [name.strip() for name in header]
        self._first = Place(0, lines.line, lines.offset)

    def read(self, place: Place = START) -> Iterator[Row]:
        """The rows after `place`. Raises `Unreadable`."""
        lines = Lines(self._file, place if place.row else self._first)
        reader = csv.reader(lines, strict=True)
        while True:
            line = lines.line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield lines.row_of(line, None, _csv_fault(error))
                continue
            if not cells:  # a blank line
                lines.take()
            elif len(cells) != len(self.columns):
                yield lines.row_of(line, None, f"has {len(cells)} cells, the header has {len(self.columns)}")
            else:
                yield lines.row_of(line, cells)


class NdjsonRows:
    """One JSON value a line; blank lines are passed over."""

    header_raw: bytes | None = None

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, place: Place = START) -> Iterator[Row]:
        """The rows after `place`. Raises `Unreadable`."""
        lines = Lines(self._file, place)
        for text in lines:
            if text.isspace():
                lines.take()
                continue
            try:
                yield lines.row_of(lines.line, _json(text))
            except ValueError as error:
                yield lines.row_of(lines.line, None, f"is not JSON: {error}")


def _json(text: str) -> Any:
    value = exact_json.loads(text)
    if "\\ud" in text.lower() and not _is_encodable(value):
        raise ValueError("it holds half a surrogate pair")
    return value


def _is_encodable(value: Any) -> bool:
    match value:
        case str():
            return not any("\ud800" <= char <= "\udfff" for char in value)
        case dict():
            return all(_is_encodable(name) and _is_encodable(item) for name, item in value.items())
        case list():
            return all(map(_is_encodable, value))
        case _:
            return True


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_bom(raw: bytes) -> bytes:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("the file is UTF-16; save it as UTF-8")
    return raw.removeprefix(_BOM)


def _csv_fault(error: csv.Error) -> str:
    return next((ours for theirs, ours in _CSV_ERRORS.items() if theirs in str(error)), str(error))
