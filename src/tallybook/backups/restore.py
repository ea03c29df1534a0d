"""Puts a backup into a data folder."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tallybook.backups import manifest
from tallybook.backups.errors import NotRestorable
from tallybook.backups.manifest import Manifest
from tallybook.files import ADDRESS, ADMIN_KEY, DATABASES, SECRET, sync_names

DRAFT = "restoring"
"""While this folder is in it, a data folder is neither the old nor the new one."""

_BESIDE = (SECRET, ADMIN_KEY, ADDRESS)


class Restored(NamedTuple):
    """`replaced`: where that is which was there before."""

    manifest: Manifest
    replaced: Path | None


def put_in_place(backup: Path, data_dir: Path, is_held: Callable[[Path], bool], *, force: bool) -> Restored:
    """Moves a copy of the backup into `data_dir`; by `force`, what was there into a folder in it.

    After an interruption it can be repeated by force; until then no server starts there. Raises `NotRestorable`, and
    then the data is as it was, and `OSError`.
    """
    made = manifest.read(backup)
    if not force and data_dir.exists() and any(data_dir.iterdir()):
        raise NotRestorable(f"{data_dir} is not empty; name another folder, or give --force to replace what is there")
    if is_held(data_dir):
        raise NotRestorable(f"a server holds {data_dir}; stop it first")
    draft = data_dir / DRAFT
    is_new = not draft.exists()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.mkdir(mode=0o700, exist_ok=True)
    try:
        _copy(backup, draft, made)
    except BaseException:
        if is_new:
            shutil.rmtree(draft)
        raise
    replaced = _moved_aside(data_dir)
    for name in made.files:
        (draft / name).replace(data_dir / name)
    sync_names(data_dir)
    shutil.rmtree(draft)
    return Restored(made, replaced)


def _copy(backup: Path, draft: Path, made: Manifest) -> None:
    manifest.check_names(backup, made)
    for name in made.files:
        shutil.copyfile(backup / name, draft / name)
        (draft / name).chmod(0o600)
    manifest.check(draft, made, backup)
    sync_names(draft)


def _moved_aside(data_dir: Path) -> Path | None:
    # Logs and temporary files of an engine begin with the name of its file, with or without its ending.
    of_engines = tuple(f"{Path(name).stem}." for name in DATABASES)
    live = [path for path in data_dir.iterdir() if path.name.startswith(of_engines) or path.name in _BESIDE]
    if not live:
        return None
    aside = Path(tempfile.mkdtemp(prefix="replaced-", dir=data_dir))
    for path in live:
        path.replace(aside / path.name)
    sync_names(aside)
    sync_names(data_dir)
    return aside
