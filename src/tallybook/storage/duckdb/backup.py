"""The event store as a source of backups: its file and its log are copied while commits go on.

Before the next checkpoint DuckDB never overwrites what its file or its log refers to, and only appends to the log; rows
that the log refers to were written to the file before. So without checkpoints the file may be copied while it grows,
and together with the log as it was before that it is what a crash at that instant would have left. Copying costs no
more than reading: rows and index are not made anew.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tallybook.backups.store import Copy, Fix
from tallybook.storage.duckdb import key_generations
from tallybook.storage.duckdb.engine import DuckEngine

# By another process: were this one to open and close the file, DuckDB's lock on it would be gone (POSIX locks).
_COPY = """
import shutil, sys
try:
    shutil.copyfile(*sys.argv[1:])
except OSError as error:
    sys.exit(error.errno)
"""
_PART_BYTES = 2**20


class DuckBackup:
    """Implements `backups.store.Source`."""

    def __init__(self, engine: DuckEngine) -> None:
        self._engine = engine
        self.still = engine.still

    @contextmanager
    def prepared(self) -> Iterator[Fix]:
        with self._engine.without_checkpoints():
            yield self._fix

    def _fix(self) -> Copy:
        path, log_bytes = self._engine.path, self._engine.wal_bytes
        with self._engine.reading() as reader:
            events = key_generations.count(reader)

        def copy(folder: Path) -> Mapping[str, int]:
            if log_bytes:
                _copy_beginning(Path(f"{path}.wal"), folder / f"{path.name}.wal", log_bytes)
            _copy_apart(path, folder / path.name)
            return {"events": events}

        return copy


def _copy_beginning(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as log, target.open("wb") as copy:
        while size and (part := log.read(min(size, _PART_BYTES))):
            size -= copy.write(part)


def _copy_apart(source: Path, target: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", _COPY, str(source), str(target)]
    number = subprocess.run(command, check=False).returncode
    if number:
        raise OSError(number, os.strerror(number), str(target))
