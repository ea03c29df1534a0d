"""A ledger over a SQLite file of its own, with a clock that stands still."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tallybook.core.failpoints import AtFailpoint, go_on
from tallybook.core.time_window import SECOND_US
from tallybook.core.unit_of_work import Repeat
from tallybook.ledger.model import (
    Account,
    Address,
    Balances,
    Hold,
    NewAccount,
    Posting,
    Reservation,
    Terms,
    Transaction,
    Type,
)
from tallybook.ledger.service import LedgerService
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.ledger import SqliteLedgerStore
from tests.admin_rooms import StillClock

Answer = TypeVar("Answer")

ORG = "acme"
CREDIT = 1_000_000
"""Microcredits of one credit."""


@dataclass
class OpenLedger:
    """`ledger` is the service itself; the methods are its commands in credits and seconds, for the org `acme`."""

    folder: Path
    clock: StillClock = field(default_factory=StillClock)
    list_rows_max: int = 100
    reach: AtFailpoint = go_on
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.engine = SqliteEngine(self.folder / "ledger.sqlite", self.clock, reach=self.reach)
        self.store = SqliteLedgerStore(self.engine)
        self.ledger = LedgerService(self.store, self.engine, self.clock, list_rows_max=self.list_rows_max)

    def close(self) -> None:
        self.engine.close()

    def run(self, command: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(command)

    def account(self, external_id: str | None = None, credits: int = 0, org_id: str = ORG) -> Account:
        made = self.run(self.ledger.create_account(org_id, NewAccount(external_id=external_id)))
        if credits:
            self.post(made, credits, org_id=org_id)
        return made

    def post(self, account: Account, credits: int, *, org_id: str = ORG, repeat: Repeat | None = None) -> Transaction:
        """Adds what is above 0, deducts what is below."""
        posting = Posting(Type.CREDIT if credits > 0 else Type.DEBIT, abs(credits) * CREDIT)
        return self.run(self.ledger.post(org_id, Address(account.id), posting, repeat))

    def reserve(
        self, account: Account, credits: int, seconds: int = 300, *, repeat: Repeat | None = None, **more: Any
    ) -> Reservation:
        hold = Hold(credits * CREDIT, seconds, **more)
        return self.run(self.ledger.reserve(ORG, Address(account.id), hold, repeat))

    def wait(self, seconds: int) -> None:
        self.clock.now += seconds * SECOND_US

    def figures(self, account: Account) -> tuple[int, int, int]:
        """Balance, reserved, available in whole credits."""
        balances: Balances = self.ledger.standing(ORG, Address(account.id)).balances
        return (
            balances.balance_micro // CREDIT,
            balances.reserved_micro // CREDIT,
            balances.available_micro // CREDIT,
        )


def repeat(key: str, path: str = "/v1/reservations/confirm", body: bytes = b"{}") -> Repeat:
    return Repeat(ORG, "key_1", "POST", path, key, Repeat.hash_of(body))


TERMS = Terms()
