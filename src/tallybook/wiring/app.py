"""Services -> the app: every dialect, what operators ask, and the jobs beside."""

import shutil
from functools import partial

from tallybook.core.clock import Clock
from tallybook.core.time_window import MINUTE_US
from tallybook.data_folder import DataFolder
from tallybook.http import credits, mka1, native, openai, usage_log
from tallybook.http.access import Gate
from tallybook.http.app import create_app
from tallybook.http.gateway import Gateway
from tallybook.http.metrics import Metrics
from tallybook.http.mounting import Edge, RawRoutes
from tallybook.http.rates import KeyRates
from tallybook.settings import Settings
from tallybook.wiring.jobs import lifespan_of
from tallybook.wiring.services import Services
from tallybook.wiring.stores import Stores

DIALECTS = (native.mounted, mka1.mounted, openai.mounted, credits.mounted, usage_log.mounted)

_GRANTS_BEHIND_US_MAX = MINUTE_US
"""How late grants may be before the server calls itself not ready."""


def edge_of(stores: Stores, services: Services, folder: DataFolder) -> Edge:
    settings, rooms = folder.settings, services.rooms
    exports_dir = settings.data_dir / "exports"
    shutil.rmtree(exports_dir, ignore_errors=True)  # what an earlier process left behind
    return Edge(
        Gate(rooms.auth, _rates(settings, folder.clock)),
        _metrics(stores, services),
        partial(_not_ready, services),
        services.cursors,
        exports_dir,
        body_bytes_max=settings.body_bytes_max,
        list_rows_max=settings.list_rows_max,
        unpaged_buckets_max=settings.unpaged_buckets_max,
    )


def app_of(edge: Edge, stores: Stores, services: Services, folder: DataFolder, more_raw_routes: RawRoutes) -> Gateway:
    settings = folder.settings
    return create_app(
        [mounted(services.rooms, edge) for mounted in DIALECTS],
        more_raw_routes,
        edge.gate,
        edge.metrics,
        lifespan=lifespan_of(stores, services, folder.clock, retention_days=settings.idempotency_retention_days),
        body_bytes_max=settings.body_bytes_max,
        cors_origins=settings.cors_origins,
        access_log=settings.access_log,
    )


def _rates(settings: Settings, clock: Clock) -> KeyRates:
    limits = {
        1: settings.key_requests_per_second,
        60: settings.key_requests_per_minute,
        3_600: settings.key_requests_per_hour,
        86_400: settings.key_requests_per_day,
    }
    return KeyRates(clock, limits)


def _metrics(stores: Stores, services: Services) -> Metrics:
    metrics, events = Metrics(), services.rooms.metering.writer
    metrics.gauge("tallybook_ingest_queue_events", "Events waiting for the writer.", lambda: events.queued_weight)
    metrics.gauge("tallybook_event_log_bytes", "Event log not yet folded into the file.", stores.event_log_bytes)
    metrics.gauge(
        "tallybook_outbox_events",
        "Usage that waits for the event store.",
        services.rooms.settlement.outbox_length,
    )
    for writer in (events, *stores.queues):
        writer.observe = metrics.commits(writer.name)
    return metrics


def _not_ready(services: Services) -> str | None:
    rooms = services.rooms
    if rooms.metering.writer.queued_weight >= rooms.metering.writer.queue_weight_max:
        return "the event queue is full"
    if not services.drain.is_caught_up:
        return "usage from before the start is being delivered"
    if rooms.settlement.is_full():
        return "too much usage waits for the event store"
    if rooms.plans.behind_us() > _GRANTS_BEHIND_US_MAX:
        return "grants of plans are being caught up"
    return None
