"""Jobs beside requests: again and again, whatever became of one time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tallybook.core.errors import TallybookError

log = logging.getLogger("tallybook.jobs")


async def repeat(job: Callable[[], Awaitable[object]], *, pause_seconds: float, failure: str) -> None:
    """Runs the job for ever, with pauses. What it raises is logged under the name `failure`: there is a next time."""
    while True:
        try:
            await job()
        except TallybookError as error:
            log.warning(failure, extra={"reason": str(error)})
        except Exception:
            log.exception(failure)
        await asyncio.sleep(pause_seconds)
