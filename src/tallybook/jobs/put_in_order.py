"""Puts stored events in order by org and time, once enough of them have arrived."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Sealer(Protocol):
    def seal(self) -> bool:
        """Puts as many in order as are at a time; whether there were so many."""
        ...

    def stop(self) -> None:
        """Interrupts what is under way, and nothing is begun any more."""
        ...


async def put_in_order(sealer: Sealer, tidy_up: Callable[[], None]) -> None:
    """Puts in order all that there is enough of. Safe to repeat and interrupt."""
    while await asyncio.to_thread(sealer.seal):
        tidy_up()  # what was put in order is still where it was, too, until the writer lets it go
