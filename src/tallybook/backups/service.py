"""Writes backups while the server works."""

import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path

from tallybook import __version__
from tallybook.backups import manifest
from tallybook.backups.errors import BackupExists
from tallybook.backups.manifest import MANIFEST, Manifest
from tallybook.backups.store import Copy, Fix, Source
from tallybook.core.clock import Clock
from tallybook.core.errors import Overloaded, StorageFull, Unavailable, invalid
from tallybook.core.time_window import instant_text
from tallybook.files import sync_names

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Backup:
    path: Path
    manifest: Manifest


class BackupService:
    """Writes to folders in `root`. `private` gives the small files that belong to a backup, by name.

    `note` is told who has asked for a backup, and which.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        private: Callable[[], Mapping[str, str]],
        root: Path,
        clock: Clock,
        note: Callable[[str, str], None],
    ) -> None:
        self._sources = sources
        self._private = private
        self._root = root
        self._clock = clock
        self._note = note
        self._turn = threading.Lock()

    def write(self, name: str, *, actor: str, force: bool = False) -> Backup:
        """A backup with everything that was acknowledged before the call. Holds up commits for milliseconds.

        `force` replaces an earlier backup of that name, and nothing else. Raises `InvalidInput`, `BackupExists`,
        `Overloaded` while another one is written, `Unavailable` where none can be, and `StorageFull`.
        """
        if not _NAME.fullmatch(name):
            raise invalid("name", msg="must be 1 to 100 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
        path = self._root / name
        if not self._turn.acquire(blocking=False):
            raise Overloaded("another backup is being written", retry_after_seconds=5)
        try:
            _check_free(path, force=force)
            self._note(actor, name)
            return Backup(path, self._written(path))
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                raise StorageFull from error
            raise Unavailable(f"no backup can be written to {self._root}: {error.strerror or error}") from error
        finally:
            self._turn.release()

    def _written(self, path: Path) -> Manifest:
        draft = path.with_name(f".{path.name}.partial")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        try:
            made = self._copy(draft)
            _replace(path, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return made

    def _copy(self, draft: Path) -> Manifest:
        counts: dict[str, int] = {}
        with ExitStack() as prepared:
            fixes = [prepared.enter_context(source.prepared()) for source in self._sources]
            created_at_us, copies = self._cut(fixes)
            for copy in copies:
                counts.update(copy(draft))
        for name, text in self._private().items():
            (draft / name).write_text(text)
        for file in draft.iterdir():
            file.chmod(0o600)
        created_at = instant_text(created_at_us)
        made = Manifest(manifest.FORMAT, __version__, created_at, counts, manifest.described(draft))
        manifest.write(draft, made)
        return made

    def _cut(self, fixes: Sequence[Fix]) -> tuple[int, list[Copy]]:
        """The instant, and what each engine holds at it: nothing is committed anywhere while they are fixed."""
        with ExitStack() as still:
            for source in self._sources:
                still.enter_context(source.still())
            return self._clock.now_us(), [fix() for fix in fixes]


def _check_free(path: Path, *, force: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not force:
        raise BackupExists(path, "exists and is not empty; name another, or replace it by force")
    if not (path / MANIFEST).is_file():
        raise BackupExists(path, "is no backup, and not replaced even by force")


def _replace(path: Path, draft: Path) -> None:
    """Gives a whole backup its name. A crash in between leaves the earlier one under another name."""
    old = path.with_name(f".{path.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    draft.rename(path)
    sync_names(path.parent)
    shutil.rmtree(old, ignore_errors=True)
