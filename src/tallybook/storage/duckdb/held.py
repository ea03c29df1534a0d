"""Whether a process holds the event store of a data folder."""

import fcntl
from pathlib import Path

from tallybook.files import EVENTS


def is_held(data_dir: Path) -> bool:
    """Never to be asked by the process that holds it: it would lose its lock."""
    try:
        with (data_dir / EVENTS).open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
