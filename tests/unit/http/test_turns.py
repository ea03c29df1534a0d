"""What many small requests brought is worked on in one go, and each gets its own result or error."""

import asyncio
from collections.abc import Callable

import pytest

from tallybook.http.turns import Turns

SMALL, BATCH, LARGE = 1_000, 100_000, 2_000_000


def test_small_work_of_one_turn_is_done_without_others_between() -> None:
    steps: list[str] = []

    async def request(turns: Turns, name: str) -> None:
        steps.append(f"{name} comes")
        await turns.take(lambda: steps.append(f"{name} read"), SMALL)
        steps.append(f"{name} goes on")

    async def run() -> None:
        turns = Turns()
        await asyncio.gather(*(request(turns, name) for name in "ab"))

    asyncio.run(run())
    assert steps == ["a comes", "b comes", "a read", "b read", "a goes on", "b goes on"]


@pytest.mark.parametrize("body_bytes", [SMALL, BATCH, LARGE])
def test_an_error_reaches_the_request_that_it_is_for(body_bytes: int) -> None:
    async def run() -> list[object]:
        turns = Turns()
        works: list[Callable[[], float]] = [lambda: 1 / 1, lambda: 1 / 0, lambda: 1 / 2]
        return await asyncio.gather(*(turns.take(work, body_bytes) for work in works), return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert (first, third) == (1, 0.5)
    assert isinstance(second, ZeroDivisionError)


def test_nothing_is_read_for_a_caller_who_went_away() -> None:
    read: list[str] = []

    async def run() -> None:
        turns = Turns()
        leaving = asyncio.ensure_future(turns.take(lambda: read.append("leaving"), SMALL))
        staying = asyncio.ensure_future(turns.take(lambda: read.append("staying"), SMALL))
        leaving.cancel()
        await staying

    asyncio.run(run())
    assert read == ["staying"]
