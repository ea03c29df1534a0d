"""A job that is repeated outlives its failures, and each of them is told."""

import asyncio
import logging

import pytest

from tallybook.core.errors import Overloaded
from tallybook.jobs.repeat import repeat


def test_a_job_goes_on_after_any_failure_and_each_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    failures = [Overloaded("the queue is full"), ZeroDivisionError("a mistake of ours")]
    done = asyncio.Event()

    async def job() -> None:
        if failures:
            raise failures.pop(0)
        done.set()

    async def until_done() -> None:
        task = asyncio.create_task(repeat(job, pause_seconds=0, failure="nothing done"))
        await done.wait()
        task.cancel()

    asyncio.run(asyncio.wait_for(until_done(), timeout=10))
    expected, unexpected = caplog.records
    assert (expected.message, expected.levelno) == ("nothing done", logging.WARNING)
    assert vars(expected)["reason"] == "the queue is full"
    assert (unexpected.message, unexpected.levelno) == ("nothing done", logging.ERROR)
    assert unexpected.exc_info is not None
