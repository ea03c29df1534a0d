"""Rows left out of an import, kept as they were, with a second file that says why."""

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tallybook.cli.importing.rows import Row

_REASONS_HEADER = ("line", "column", "value", "reason")


@dataclass(frozen=True)
class Skip:
    row: Row
    reason: str
    column: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        cell = "" if self.column is None else f", column {self.column}"
        value = "" if self.value is None else f": {_short(self.value)}"
        return f"line {self.row.line}{cell}{value} {self.reason}"


class SkippedFiles:
    """`<FILE>.skipped` holds raw rows under the header, to be mended and imported; reasons beside it."""

    def __init__(self, rows_path: Path, *, header: bytes | None, sizes: Sequence[int]) -> None:
        """Goes on after `sizes` bytes of each file; 0 starts it anew."""
        self.rows_path = rows_path
        self.reasons_path = rows_path.with_name(rows_path.name + ".reasons.csv")
        self._header = header
        self._sizes = tuple(sizes)
        for path, size in zip((self.rows_path, self.reasons_path), self._sizes, strict=True):
            with suppress(FileNotFoundError):
                _cut(path, size)

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._sizes

    def write(self, skips: Iterable[Skip]) -> None:
        """Appends; raises `OSError` where the folder cannot be written."""
        skips = list(skips)
        if not skips:
            return
        first = self._sizes[0] == 0
        # One entry per row, though several cells of it may be at fault.
        rows = list({skip.row.number: skip.row.raw for skip in skips}.values())
        if first and self._header is not None:
            rows.insert(0, self._header)
        reasons = [(skip.row.line, skip.column, skip.value, skip.reason) for skip in skips]
        rows_size = _append(self.rows_path, b"".join(raw + b"\n" for raw in rows))
        reasons_size = _append(
            self.reasons_path, _csv_bytes([_REASONS_HEADER, *reasons] if first else reasons)
        )
        self._sizes = (rows_size, reasons_size)


def _cut(path: Path, size: int) -> None:
    if size == 0:
        path.unlink()
        return
    with path.open("r+b") as file:
        file.truncate(size)


def _append(path: Path, content: bytes) -> int:
    with path.open("ab") as file:
        file.write(content)
        return file.tell()


def _csv_bytes(lines: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
