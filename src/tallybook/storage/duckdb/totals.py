"""How many facts of a question are in order already: never more, never fewer, so it is counted once and remembered.

Whoever turns the pages of a list is told with each how many events there are, and to count those of a user among all
takes longer than the rest of the page. What has arrived since the last run, and what is superseded, is counted anew.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

_REMEMBERED_MAX = 1_000


class Counted(NamedTuple):
    """Facts of the commits up to `until`, which is the end of a run."""

    until: int = 0
    facts: int = 0


class Totals:
    """What was counted last, by question; of the questions that were asked last."""

    def __init__(self) -> None:
        self._counted: OrderedDict[Hashable, Counted] = OrderedDict()
        self._changing = threading.Lock()

    def of(self, question: Hashable, until: int) -> Counted:
        """The facts of a read whose last run ends with that commit, as far as they were counted.

        It may have begun before a run was added of which another read has counted already: then nothing is known.
        """
        counted = self._counted.get(question, Counted())
        return counted if counted.until <= until else Counted()

    def remember(self, question: Hashable, counted: Counted) -> None:
        with self._changing:
            self._counted[question] = counted
            self._counted.move_to_end(question)
            if len(self._counted) > _REMEMBERED_MAX:
                self._counted.popitem(last=False)
