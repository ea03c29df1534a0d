"""How often one key may call: counted in memory, in seconds, minutes, hours and days of the clock (UTC)."""

from collections import Counter
from collections.abc import Mapping

from tallybook.core.clock import Clock
from tallybook.core.errors import RateLimited
from tallybook.core.time_window import SECOND_US


class KeyRates:
    """`limits`: most requests of a key in a window, by the window's length in seconds; None where it has none.

    Not for several threads.
    """

    def __init__(self, clock: Clock, limits: Mapping[int, int | None]) -> None:
        self._clock = clock
        self._windows = [_Window(seconds, limit) for seconds, limit in limits.items() if limit is not None]

    def count(self, key_id: str) -> None:
        """Counts a request. Raises `RateLimited` for one too many in any window; that one is not counted."""
        if not self._windows:
            return
        now_us = self._clock.now_us()
        for window in self._windows:
            window.check(key_id, now_us)
        for window in self._windows:
            window.requests[key_id] += 1


class _Window:
    def __init__(self, seconds: int, limit: int) -> None:
        self._width_us = seconds * SECOND_US
        self._limit = limit
        self._number = 0
        self.requests: Counter[str] = Counter()

    def check(self, key_id: str, now_us: int) -> None:
        number = now_us // self._width_us
        if number != self._number:  # what was counted before is of no use to anybody
            self._number, self.requests = number, Counter()
        if self.requests[key_id] >= self._limit:
            rest_us = (number + 1) * self._width_us - now_us
            raise RateLimited(retry_after_seconds=-(-rest_us // SECOND_US))
