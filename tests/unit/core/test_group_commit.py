"""The writer queue: order, bounds, who gets which answer, and the end."""

import asyncio
import threading
from collections.abc import Sequence
from queue import SimpleQueue

import pytest

from tallybook.core.errors import Overloaded
from tallybook.core.group_commit import GroupWriter


class Recorder:
    """A flush that waits for leave, remembers what it was given, and answers each job with its double."""

    def __init__(self) -> None:
        self.flushes: list[list[int]] = []
        self.leave = threading.Event()
        self.began = threading.Event()

    def __call__(self, jobs: Sequence[int]) -> Sequence[int | BaseException]:
        self.began.set()
        self.leave.wait(10)
        self.flushes.append(list(jobs))
        return [ValueError("odd") if job == 13 else job * 2 for job in jobs]


def writer_of(flush: Recorder, *, queue: int = 100, most: int = 10) -> "GroupWriter[int, int]":
    return GroupWriter("test", flush, queue_weight_max=queue, flush_weight_max=most)


def test_what_gathers_during_a_flush_forms_the_next_one_in_order() -> None:
    flush = Recorder()
    writer = writer_of(flush, most=3)
    futures = [writer.submit_from_thread(0)]
    flush.began.wait(10)
    futures += [writer.submit_from_thread(job) for job in range(1, 6)]
    flush.leave.set()
    assert [future.result(10) for future in futures] == [0, 2, 4, 6, 8, 10]
    writer.close()
    assert flush.flushes == [[0], [1, 2, 3], [4, 5]]


def test_a_full_queue_refuses_but_a_lone_heavy_job_passes() -> None:
    flush = Recorder()
    writer = writer_of(flush, queue=5)
    heavy = writer.submit_from_thread(1, weight=50)
    flush.began.wait(10)
    second = writer.submit_from_thread(2, weight=5)
    with pytest.raises(Overloaded):
        writer.submit_from_thread(3)
    flush.leave.set()
    assert (heavy.result(10), second.result(10)) == (2, 4)
    writer.close()


def test_an_exception_belongs_to_its_own_job() -> None:
    flush = Recorder()
    flush.leave.set()
    writer = writer_of(flush)
    bad, good = writer.submit_from_thread(13), writer.submit_from_thread(1)
    with pytest.raises(ValueError, match="odd"):
        bad.result(10)
    assert good.result(10) == 2
    writer.close()


def test_a_failed_flush_answers_all_and_the_writer_goes_on() -> None:
    failing = [True]

    def flush(jobs: Sequence[int]) -> Sequence[int]:
        if failing.pop() if failing else False:
            raise OSError("disk")
        return list(jobs)

    writer: GroupWriter[int, int] = GroupWriter("test", flush, queue_weight_max=10, flush_weight_max=10)
    with pytest.raises(OSError, match="disk"):
        writer.submit_from_thread(1).result(10)
    assert writer.submit_from_thread(2).result(10) == 2
    writer.close()


def test_closing_commits_the_queue_and_refuses_later_work() -> None:
    flush = Recorder()
    writer = writer_of(flush)
    futures = [writer.submit_from_thread(job) for job in range(5)]
    flush.leave.set()
    writer.close()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(Overloaded):
        writer.submit_from_thread(9)


def test_event_loops_are_answered_too_and_may_leave_early() -> None:
    flush = Recorder()
    writer = writer_of(flush)

    async def main() -> list[int]:
        abandoned = writer.submit(7)
        abandoned.cancel()
        waiting = [writer.submit(job) for job in range(3)]
        flush.leave.set()
        return list(await asyncio.gather(*waiting))

    assert asyncio.run(main()) == [0, 2, 4]
    writer.close()


def test_housekeeping_runs_once_in_a_quiet_moment_and_may_fail() -> None:
    calls: list[int] = []
    ran = threading.Event()

    def idle() -> None:
        calls.append(1)
        ran.set()
        raise RuntimeError("housekeeping")

    writer: GroupWriter[int, int] = GroupWriter(
        "test", list, queue_weight_max=10, flush_weight_max=10, idle=idle, idle_seconds=0.01
    )
    assert ran.wait(10)
    assert writer.submit_from_thread(1).result(10) == 1
    writer.close()
    assert 1 <= len(calls) <= 2


def test_housekeeping_once_more_when_asked() -> None:
    ran: SimpleQueue[int] = SimpleQueue()
    writer: GroupWriter[int, int] = GroupWriter(
        "test", list, queue_weight_max=10, flush_weight_max=10, idle=lambda: ran.put(1), idle_seconds=0.01
    )
    ran.get(timeout=10)
    writer.tidy_up()
    ran.get(timeout=10)
    writer.close()
    assert ran.empty()
