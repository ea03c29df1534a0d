"""One writer per store: everything queued goes into the next commit, and answers leave after it.

A commit costs milliseconds whatever its size, so requests never commit on their own. Each store has one writer
thread; while a flush is in flight new work gathers in the queue and forms the next one.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import msgspec

from tallybook.core.errors import Overloaded

Job = TypeVar("Job")
Answer = TypeVar("Answer")

log = logging.getLogger("tallybook.writer")

# A pause in which no job arrives ends a burst. Heavy jobs take their makers time: 30 ms for one of weight 1 000.
_BREATH_SECONDS = 0.002
_BREATH_SECONDS_PER_WEIGHT = 0.00003
_BREATHS_MAX = 8

Flush = Callable[[Sequence[Job]], Sequence[Answer | BaseException]]


class _Waiting(msgspec.Struct, Generic[Job, Answer], frozen=True):
    job: Job
    weight: int
    future: "Future[Answer] | asyncio.Future[Answer]"


class GroupWriter(Generic[Job, Answer]):
    """Hands queued jobs to `flush` in order, as many at a time as weigh at most `flush_weight_max`.

    `flush` commits all of them and returns one answer, or an exception, per job; an exception it raises answers every
    job of that flush. At most `queue_weight_max` may wait: beyond it `submit` raises `Overloaded` and takes nothing.
    `idle` is called on the writer thread when nothing has been queued for `idle_seconds`. After a flush of several
    jobs the next one waits for as many while they keep arriving, up to half of `flush_weight_max`; a lone caller never
    waits.
    """

    def __init__(
        self,
        name: str,
        flush: Flush[Job, Answer],
        *,
        queue_weight_max: int,
        flush_weight_max: int,
        idle: Callable[[], None] = lambda: None,
        idle_seconds: float = 0.2,
    ) -> None:
        self.name = name
        self.observe: Callable[[float], None] = lambda seconds: None
        """Told how long each flush took, on the writer thread."""
        self._flush = flush
        self._queue_weight_max = queue_weight_max
        self._flush_weight_max = flush_weight_max
        self._idle = idle
        self._idle_seconds = idle_seconds
        self._answered_jobs = self._answered_weight = 0
        self._awaited_jobs = 1
        self._queue: deque[_Waiting[Job, Answer]] = deque()
        self._queued_weight = 0
        self._wake = threading.Condition()
        self._rested = self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def queued_weight(self) -> int:
        return self._queued_weight

    @property
    def queue_weight_max(self) -> int:
        return self._queue_weight_max

    def submit(self, job: Job, weight: int = 1) -> "asyncio.Future[Answer]":
        """Queues the job from an event loop; await the future for the answer after the commit."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._put(_Waiting(job, weight, future))
        return future

    def submit_from_thread(self, job: Job, weight: int = 1) -> "Future[Answer]":
        """Queues the job from any thread without an event loop."""
        future: Future[Answer] = Future()
        self._put(_Waiting(job, weight, future))
        return future

    def tidy_up(self) -> None:
        """Asks for `idle` once more: there is something to do for it although nothing was queued."""
        with self._wake:
            self._rested = False
            self._wake.notify()

    def close(self) -> None:
        """Commits all that is queued, then stops. Later submissions are refused."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _put(self, waiting: _Waiting[Job, Answer]) -> None:
        with self._wake:
            if self._closing:
                raise Overloaded("the server is shutting down")
            if self._queue and self._queued_weight + waiting.weight > self._queue_weight_max:
                raise Overloaded(f"the {self.name} queue is full")
            self._queue.append(waiting)
            self._queued_weight += waiting.weight
            if len(self._queue) >= self._awaited_jobs or self._is_worth_a_commit():
                self._wake.notify()

    def _run(self) -> None:
        while batch := self._next_batch():
            begun = time.perf_counter()
            answers = self._answers([waiting.job for waiting in batch])
            _announce(batch, answers)
            self.observe(time.perf_counter() - begun)

    def _next_batch(self) -> list[_Waiting[Job, Answer]]:
        with self._wake:
            expected = self._answered_jobs + len(self._queue)
            self._rested = False
            while not self._queue and not self._closing:
                notified = self._wake.wait(None if self._rested else self._idle_seconds)
                if not notified:
                    self._rested = True
                    self._rest()
            if not self._rested:
                self._gather(expected)
            return self._take()

    def _gather(self, expected: int) -> None:
        """Lets a burst of jobs arrive whole, so that it takes one commit.

        Callers who were just answered tend to come back at once: waits until `expected` jobs are there, as long as
        more keep coming.
        """
        breath = _BREATH_SECONDS + _BREATH_SECONDS_PER_WEIGHT * self._answered_weight / max(1, self._answered_jobs)
        deadline = time.monotonic() + _BREATHS_MAX * breath
        self._awaited_jobs = expected
        arrived = 0
        while arrived < len(self._queue) < expected and not self._is_worth_a_commit():
            arrived = len(self._queue)
            self._wake.wait(breath)
            if self._closing or time.monotonic() > deadline:
                break
        self._awaited_jobs = 1

    def _is_worth_a_commit(self) -> bool:
        """Whether so much is queued that more would hardly make it cheaper."""
        return self._queued_weight >= self._flush_weight_max // 2

    def _rest(self) -> None:
        """Runs the housekeeping without holding up those who queue."""
        self._wake.release()
        try:
            self._idle()
        except Exception:
            log.exception("housekeeping failed", extra={"writer": self.name})
        finally:
            self._wake.acquire()

    def _take(self) -> list[_Waiting[Job, Answer]]:
        batch: list[_Waiting[Job, Answer]] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= self._flush_weight_max):
            weight += self._queue[0].weight
            batch.append(self._queue.popleft())
        self._queued_weight -= weight
        self._answered_jobs, self._answered_weight = len(batch), weight
        return batch

    def _answers(self, jobs: Sequence[Job]) -> Sequence[Answer | BaseException]:
        try:
            return self._flush(jobs)
        except Exception as error:
            return [error] * len(jobs)


def _announce(batch: "Sequence[_Waiting[Job, Answer]]", answers: Sequence[Answer | BaseException]) -> None:
    """Wakes each event loop once per flush: one wake-up per job would cost a system call each."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | BaseException]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        if isinstance(waiting.future, asyncio.Future):
            by_loop.setdefault(waiting.future.get_loop(), []).append((waiting.future, answer))
        elif isinstance(answer, BaseException):
            waiting.future.set_exception(answer)
        else:
            waiting.future.set_result(answer)
    for loop, settled in by_loop.items():
        # The loop is closed when its server was torn down meanwhile: nobody is left to answer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: "list[tuple[asyncio.Future[Answer], Answer | BaseException]]") -> None:
    for future, answer in settled:
        if future.done():  # the caller went away; the commit stands
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
