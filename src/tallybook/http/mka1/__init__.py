"""The mka1 dialect: usage analytics and the request log as the published `meetkai-mka1` clients ask for them."""

from tallybook.http.mka1 import documents, feedback, request_log, routes
from tallybook.http.mka1.errors import DIALECT
from tallybook.http.mounting import Edge, Mounted, Rooms

__all__ = ["DIALECT", "mounted"]


def mounted(rooms: Rooms, edge: Edge) -> Mounted:
    routers = [
        routes.router(rooms.usage, unpaged_buckets_max=edge.unpaged_buckets_max),
        request_log.router(rooms.request_log),
        feedback.router(rooms.request_log, rooms.feedback),
    ]
    return Mounted(DIALECT, routers, document=lambda: {"paths": {}, "schemas": documents.SCHEMAS})
