"""How far an import got: a small file written after each acknowledged batch, for a rerun to go on from."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from tallybook.cli.importing.rows import START, Place

_HEAD_BYTES = 64 * 1024
CONFLICT_LINES_MAX = 20


@dataclass
class Tally:
    """Counts of rows; `unpriced` of events without a price; `conflict_lines` are those of the first."""

    read: int = 0
    inserted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    skipped: int = 0
    unpriced: int = 0
    conflict_lines: list[int] = field(default_factory=list)


@dataclass
class Progress:
    """Everything before `place` is acknowledged. `skipped_bytes`: sizes of the files of skipped rows."""

    place: Place = START
    tally: Tally = field(default_factory=Tally)
    skipped_bytes: Sequence[int] = (0, 0)


def fingerprint(file: BinaryIO, options: Sequence[object]) -> str:
    """Identifies the file (size, time of change, first bytes) and what is made of it, and for whom."""
    stat = os.fstat(file.fileno())
    file.seek(0)
    text = repr((stat.st_size, stat.st_mtime_ns, file.read(_HEAD_BYTES), *options))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class ProgressFile:
    def __init__(self, path: Path, identity: str) -> None:
        """`identity` is the `fingerprint` of the import that the file belongs to."""
        self.path = path
        self._identity = identity

    def load(self) -> Progress | None:
        """The progress of this same import, None if there is none that can be used."""
        try:
            stored = json.loads(self.path.read_bytes())
            if stored["fingerprint"] != self._identity:
                return None
            return Progress(Place(*stored["place"]), Tally(**stored["tally"]), stored["skipped_bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, progress: Progress) -> None:
        """Replaces the file in one step. Not flushed to disk: an older progress only repeats rows."""
        text = json.dumps({"fingerprint": self._identity, **asdict(progress)})
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(text)
        new.replace(self.path)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
