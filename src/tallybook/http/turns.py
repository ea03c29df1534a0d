"""When what requests brought is worked on: small things in one go, batches one by one, the largest on threads."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Result = TypeVar("Result")
Work = Callable[[], Result]

# A body of this size, some thousands of events, is read on a thread of its own, so that others need not wait for it.
# Smaller ones are not worth the fight over the interpreter.
_LARGE_BYTES = 2**20
# Of this size, some hundred events, in a turn of the event loop of its own: a commit answers many senders at once,
# whose next batches come together, and whoever asks a question would wait for all of them.
_BATCH_BYTES = 2**15


class Turns:
    """Runs synchronous work for the requests of one event loop. What the work raises reaches the request it is for."""

    def __init__(self) -> None:
        self._one_by_one = asyncio.Lock()
        self._small: list[tuple[asyncio.Future[Any], Work[Any]]] = []

    def take(self, work: Work[Result], body_bytes: int) -> Awaitable[Result]:
        """The result of work that grows with the body."""
        if body_bytes >= _LARGE_BYTES:
            return self.take_long(work)
        if body_bytes >= _BATCH_BYTES:
            return self._alone(work)
        return self._together(work)

    def take_long(self, work: Work[Result]) -> Awaitable[Result]:
        """The result of work that may take seconds."""
        return asyncio.to_thread(work)

    async def _alone(self, work: Work[Result]) -> Result:
        async with self._one_by_one:
            await asyncio.sleep(0)
            return work()

    def _together(self, work: Work[Result]) -> Awaitable[Result]:
        """With that of all requests that come in this turn of the event loop.

        The same code again and again is twice as fast as between all else that a request takes: the processor has it
        near. Senders of single events, whom one commit answers, come in hundreds.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._small.append((future, work))
        if len(self._small) == 1:
            loop.call_soon(self._work_off)
        return future

    def _work_off(self) -> None:
        small, self._small = self._small, []
        for future, work in small:
            if future.done():  # the caller went away
                continue
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)
