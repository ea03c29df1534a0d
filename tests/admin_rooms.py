"""Keys and orgs over a SQLite file of their own, with a clock that stands still; apps called in process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from tallybook.auth.key import Caller, NewKey, Role, Scope
from tallybook.auth.service import AuthService
from tallybook.core.paging import Cursors
from tallybook.core.time_window import parse_instant
from tallybook.http.access import Gate
from tallybook.http.app import create_app
from tallybook.http.gateway import Gateway
from tallybook.http.metrics import Metrics
from tallybook.http.mounting import Mounted
from tallybook.http.native import errors, keys, orgs
from tallybook.http.rates import KeyRates
from tallybook.orgs.model import DEFAULT_ORG
from tallybook.orgs.service import OrgService
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.journal import SqliteJournal
from tallybook.storage.sqlite.keys import SqliteKeyStore
from tallybook.storage.sqlite.orgs import SqliteOrgStore

ADMIN_KEY = "admin-key-of-the-tests"
SECRET = b"secret-of-the-tests"


@dataclass
class StillClock:
    now: int = parse_instant("2026-01-31T12:00:00Z")

    def now_us(self) -> int:
        return self.now


@dataclass
class AdminRooms:
    engine: SqliteEngine
    clock: StillClock
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def __post_init__(self) -> None:
        journal = SqliteJournal()
        self.orgs = OrgService(SqliteOrgStore(self.engine), self.engine, journal, self.clock)
        self.auth = AuthService(
            SqliteKeyStore(self.engine),
            self.engine,
            journal,
            self.clock,
            secret=SECRET,
            org_exists=self.orgs.exists,
        )
        self.runner.run(self.orgs.ensure_default())

    def started(self, admin_key: str | None = ADMIN_KEY) -> str | None:
        return self.runner.run(self.auth.ensure_bootstrap(admin_key, DEFAULT_ORG))

    @property
    def admin(self) -> Caller:
        return self.auth.admit(ADMIN_KEY)

    def add_org(self, org_id: str) -> None:
        self.runner.run(self.orgs.create(org_id, org_id.title(), actor="test"))

    def add_key(self, role: Role, *scopes: Scope, org_id: str = DEFAULT_ORG, **wanted: Any) -> str:
        """The text of a new key; without `scopes` it has those of its role."""
        new = NewKey("test", role, frozenset(scopes) or None, org_id=org_id, **wanted)
        return self.runner.run(self.auth.create_key(self.admin, new)).text

    def journal(self) -> list[tuple[str, str, str, str]]:
        """(org, actor, action, subject) of every change, oldest first."""
        rows = self.engine.read().execute("SELECT org_id, actor, action, subject FROM journal ORDER BY id")
        return list(rows)


@contextmanager
def open_rooms(folder: Path) -> Iterator[AdminRooms]:
    clock = StillClock()
    engine = SqliteEngine(folder / "ledger.sqlite", clock)
    rooms = AdminRooms(engine, clock)
    try:
        yield rooms
    finally:
        rooms.runner.close()
        engine.close()


class AppClient:
    """Calls an app in process, with the admin's key unless another or None is given."""

    def __init__(self, app: Gateway, runner: asyncio.Runner) -> None:
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tallybook.test")
        self._runner = runner

    def __call__(self, method: str, path: str, key: str | None = ADMIN_KEY, **options: Any) -> httpx.Response:
        headers = {**options.pop("headers", {})}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return self._runner.run(self._http.request(method, path, headers=headers, **options))


def client_of(rooms: AdminRooms) -> AppClient:
    """A client of an app that has the routes of keys and orgs alone."""
    cursors = Cursors(SECRET)
    app = create_app(
        [Mounted(errors.DIALECT, [keys.router(rooms.auth, cursors), orgs.router(rooms.orgs, cursors)])],
        {},
        Gate(rooms.auth, KeyRates(rooms.clock, {})),
        Metrics(),
        lifespan=_no_lifespan,
        body_bytes_max=2**20,
        cors_origins=[],
        access_log=False,
    )
    return AppClient(app, rooms.runner)


@asynccontextmanager
async def _no_lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
