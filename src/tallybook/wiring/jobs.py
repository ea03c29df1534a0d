"""Services -> the jobs beside requests, for as long as the app lives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from fastapi import FastAPI

from tallybook.core.clock import Clock
from tallybook.jobs.expire_reservations import expire_reservations
from tallybook.jobs.grant_plans import grant_plans
from tallybook.jobs.purge_outcomes import purge_outcomes
from tallybook.jobs.put_in_order import put_in_order
from tallybook.jobs.repeat import repeat
from tallybook.wiring.services import Services
from tallybook.wiring.stores import Stores

_PURGE_SECONDS = 3600
_SWEEP_SECONDS = 1
_EXPIRY_SECONDS = 600
_SEAL_SECONDS = 2


def lifespan_of(
    stores: Stores, services: Services, clock: Clock, *, retention_days: int
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """`retention_days`: of the outcomes of repeatable writes."""
    rooms = services.rooms
    purge = partial(purge_outcomes, clock=clock, retention_days=retention_days)
    expire, grant = partial(expire_reservations, rooms.ledger), partial(grant_plans, rooms.plans)
    seal = partial(put_in_order, stores.sealer, rooms.metering.writer.tidy_up)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        repeated = [
            repeat(partial(purge, stores.outcomes), pause_seconds=_PURGE_SECONDS, failure="outcomes not purged"),
            repeat(partial(purge, services.direct), pause_seconds=_PURGE_SECONDS, failure="outcomes not purged"),
            repeat(rooms.messages.expire, pause_seconds=_EXPIRY_SECONDS, failure="messages not expired"),
            repeat(expire, pause_seconds=_SWEEP_SECONDS, failure="reservations not expired"),
            repeat(grant, pause_seconds=_SWEEP_SECONDS, failure="plans not granted"),
            repeat(seal, pause_seconds=_SEAL_SECONDS, failure="events not put in order"),
        ]
        jobs = [asyncio.create_task(each) for each in repeated]
        yield
        for job in jobs:
            job.cancel()
        stores.sealer.stop()  # its thread would be waited for
        await asyncio.gather(*jobs, return_exceptions=True)

    return lifespan
