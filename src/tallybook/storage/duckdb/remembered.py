"""What was found for questions, to begin with when they come again.

Dashboards ask the same over and over, and whoever turns the pages of a list is told with each how many events there
are.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Generic, NamedTuple, TypeVar

_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """What was found last, by question; of the questions that were asked last, as many as there is `room` for.

    Questions are told apart by their `repr`. They are not kept: one may name thousands of users.
    """

    def __init__(self, room: int, size: Callable[[_T], int] = lambda _: 1) -> None:
        self._room = room
        self._size = size
        self._found: OrderedDict[bytes, _T] = OrderedDict()
        self._changing = threading.Lock()

    def of(self, question: object) -> _T | None:
        name = _name(question)
        with self._changing:
            if name in self._found:
                self._found.move_to_end(name)
            return self._found.get(name)

    def remember(self, question: object, found: _T) -> None:
        name = _name(question)
        with self._changing:
            if (before := self._found.pop(name, None)) is not None:
                self._room += self._size(before)
            self._found[name] = found
            self._room -= self._size(found)
            while self._room < 0:
                _, forgotten = self._found.popitem(last=False)
                self._room += self._size(forgotten)


def _name(question: object) -> bytes:
    return blake2b(repr(question).encode(), digest_size=16).digest()


class InOrder(NamedTuple, Generic[_T]):
    """What the facts of the commits up to `until`, which is the end of a run, give to a question.

    Those are never more and never fewer: what has arrived since, and what is superseded, is all that must be read anew.
    """

    until: int
    given: _T

    def serves(self, until: int) -> bool:
        """Whether a read whose last run ends with that commit may begin with it.

        It may have begun before a run was added which another read has gone through already.
        """
        return self.until <= until
