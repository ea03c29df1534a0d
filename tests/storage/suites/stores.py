"""What an engine brings to the conformance suites of the rooms' ports."""

import asyncio
from dataclasses import dataclass

from tallybook.auth.store import KeyStore
from tallybook.core.unit_of_work import Effect, Record, Repeat, Writes
from tallybook.orgs.store import OrgStore


@dataclass(frozen=True)
class Stores:
    """The stores of one empty, open database."""

    writes: Writes
    keys: KeyStore
    orgs: OrgStore

    def commit(self, effect: Effect, repeat: Repeat | None = None) -> Record:
        async def once() -> Record:
            return await self.writes.once(repeat, effect)

        return asyncio.run(once())
