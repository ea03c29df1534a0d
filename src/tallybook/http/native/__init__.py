"""The native dialect: everything that no foreign format claims."""

from collections.abc import Mapping
from typing import Any

from tallybook.http import ops
from tallybook.http.mounting import Edge, Mounted, Rooms
from tallybook.http.native import (
    admin_log,
    backup,
    corrections,
    documents,
    events_read,
    explain,
    export,
    ingest,
    keys,
    orgs,
    prices,
    repricing,
    usage,
    verify,
)
from tallybook.http.native.errors import DIALECT

__all__ = ["DIALECT", "mounted"]


def mounted(rooms: Rooms, edge: Edge) -> Mounted:
    cursors = edge.cursors
    audits = verify.Audits(rooms.ledger, rooms.usage_audit, rooms.refund_audit, rooms.sum_audit)
    routers = [
        ops.router(edge.metrics, edge.ready),
        usage.router(rooms.usage),
        corrections.router(rooms.corrections),
        repricing.router(rooms.repricing, rooms.undoing),
        export.router(rooms.usage, edge.exports_dir),
        events_read.router(rooms.usage),
        admin_log.router(rooms.admin_log, cursors),
        backup.router(rooms.backups),
        explain.router(rooms.audit),
        keys.router(rooms.auth, cursors),
        orgs.router(rooms.orgs, cursors),
        prices.router(rooms.pricing, cursors, rooms.read_litellm),
        verify.router(audits, rooms.orgs),
    ]
    return Mounted(DIALECT, routers, {ingest.PATH: {"POST": _ingest(rooms, edge)}}, _document)


def _ingest(rooms: Rooms, edge: Edge) -> ingest.IngestEndpoint:
    return ingest.IngestEndpoint(
        edge.gate,
        rooms.metering,
        rooms.linking,
        edge.metrics,
        rooms.read_answer,
        rooms.messages,
        body_bytes_max=edge.body_bytes_max,
    )


def _document() -> Mapping[str, Any]:
    """Of the raw route, and of answers that pass the framework as they are."""
    return {"paths": ingest.DOCUMENT["paths"], "schemas": {**ingest.DOCUMENT["schemas"], **documents.SCHEMAS}}
