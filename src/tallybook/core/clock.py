"""Time, passed in wherever it is needed so that tests can hold it still."""

import time
from typing import Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000
