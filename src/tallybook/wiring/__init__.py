"""Engines -> services -> app. The only room that knows everyone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tallybook.data_folder import DataFolder
from tallybook.files import ADMIN_KEY
from tallybook.http.access import Gate
from tallybook.http.gateway import Gateway
from tallybook.http.mounting import RawRoutes, Rooms
from tallybook.orgs.model import DEFAULT_ORG
from tallybook.settings import Settings
from tallybook.storage.private_file import write_private
from tallybook.wiring.app import app_of, edge_of
from tallybook.wiring.services import Services, services_on
from tallybook.wiring.stores import Stores, stores_in

_STARTED = "start"
"""Whom the admin log names for what a first start does."""


@dataclass(frozen=True)
class Tallybook:
    """A server for any ASGI host. `new_admin_key` is set when this start made the first key."""

    app: Gateway
    gate: Gate
    new_admin_key: str | None
    is_caught_up: Callable[[], bool]
    """Whether all usage that the ledger promised before the start is in the event store."""
    close: Callable[[], None]


def build(folder: DataFolder, more_raw_routes: RawRoutes | None = None) -> Tallybook:
    """Wires the server. `close` commits what was accepted and closes the files."""
    stores = stores_in(folder)
    services = services_on(stores, folder)
    edge = edge_of(stores, services, folder)
    new_admin_key = asyncio.run(_first_start(services.rooms, folder.settings))
    services.drain.start()
    app = app_of(edge, stores, services, folder, more_raw_routes or {})
    return Tallybook(
        app, edge.gate, new_admin_key, lambda: services.drain.is_caught_up, partial(_close, stores, services)
    )


async def _first_start(rooms: Rooms, settings: Settings) -> str | None:
    await rooms.orgs.ensure_default()
    if settings.price_catalogue and not rooms.pricing.has_catalogue():
        await rooms.pricing.sync(actor=_STARTED)
    fixed = None if settings.admin_key is None else settings.admin_key.get_secret_value()
    made = await rooms.auth.ensure_bootstrap(fixed, DEFAULT_ORG)
    kept = settings.data_dir / ADMIN_KEY
    if made is not None:
        write_private(kept, made)
    elif fixed is not None and kept.exists() and kept.read_text().strip() != fixed:
        kept.unlink()  # that key is revoked
    return made


def _close(stores: Stores, services: Services) -> None:
    try:
        services.drain.close()
        services.rooms.metering.close()
    finally:
        stores.close()
