"""Files that only their owner may read: secrets, keys, the address of the running server."""

import os
from pathlib import Path

from tallybook.files import sync_names


def write_private(path: Path, text: str) -> None:
    """Writes the file with mode 0600, replacing an older one in one durable step."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_names(path.parent)
