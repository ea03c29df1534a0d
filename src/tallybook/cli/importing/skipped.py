"""Rows left out of an import, kept as they were, with a second file that says why."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tallybook.cli.importing.rows import Row
from tallybook.files import naming

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
        """Goes on after `sizes` bytes of each file. Nothing is touched before there is something to write."""
        self.rows_path = rows_path
        self.reasons_path = rows_path.with_name(rows_path.name + ".reasons.csv")
        self._header = header
        self._sizes = tuple(sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._sizes

    def write(self, skips: Iterable[Skip]) -> None:
        """Appends, in the order of the file; raises `OSError` where the folder cannot be written."""
        skips = sorted(skips, key=lambda skip: skip.row.number)
        if not skips:
            return
        # One entry per row, though several cells of it may be at fault.
        rows = list({skip.row.number: skip.row.raw for skip in skips}.values())
        reasons: list[Sequence[object]] = [(skip.row.line, skip.column, skip.value, skip.reason) for skip in skips]
        if self._sizes[0] == 0:
            rows = rows if self._header is None else [self._header, *rows]
            reasons.insert(0, _REASONS_HEADER)
        self._sizes = (
            _write_after(self._sizes[0], self.rows_path, b"".join(raw + b"\n" for raw in rows)),
            _write_after(self._sizes[1], self.reasons_path, _csv_bytes(reasons)),
        )


def _write_after(size: int, path: Path, content: bytes) -> int:
    """Writes after the first `size` bytes and returns the new size; an interrupted run may have left more."""
    with naming(path), path.open("r+b" if size else "wb") as file:
        file.seek(size)
        file.truncate()
        file.write(content)
        return file.tell()


def _csv_bytes(lines: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
