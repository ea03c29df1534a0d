"""What a backup asks of each engine."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

Copy = Callable[[Path], Mapping[str, int]]
"""Writes the files of an engine into a folder and returns what they hold, by name."""


Fix = Callable[[], Copy]
"""Fixes what is committed now, to be copied while commits go on."""


class Source(Protocol):
    def prepared(self) -> AbstractContextManager[Fix]:
        """Makes the engine ready to be fixed and copied, until the end."""
        ...

    def still(self) -> AbstractContextManager[None]:
        """Nothing is committed while it lasts; who wants to waits. For milliseconds."""
        ...
