"""Files of the data folder that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tallybook.files import sync_names

_DRAFTS = "new-"
"""How the folders begin in which files are made."""


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Where to make the file, under the name it will have: it is at `path` at the end, unless another came first.

    A process that ends before leaves nothing there, only what `remove_drafts` removes.
    """
    with TemporaryDirectory(prefix=_DRAFTS, dir=path.parent) as folder:
        draft = Path(folder, path.name)
        yield draft
        _put(draft, path)
    sync_names(path.parent)


def remove_drafts(folder: Path) -> None:
    """Removes what was left half made. For the process that holds the folder."""
    for draft in folder.glob(f"{_DRAFTS}*/"):
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)  # unlike a move never over a file that another process has put there
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        draft.replace(path)
