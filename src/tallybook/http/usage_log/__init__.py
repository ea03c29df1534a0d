"""The usage_log dialect: a log of API calls by user, as records that can be put right."""

from tallybook.http.mounting import Edge, Mounted, Rooms
from tallybook.http.usage_log import routes
from tallybook.http.usage_log.errors import DIALECT
from tallybook.http.usage_log.recording import Recording

__all__ = ["DIALECT", "mounted"]


def mounted(rooms: Rooms, _: Edge) -> Mounted:
    recording = Recording(rooms.auth, rooms.metering, rooms.corrections)
    return Mounted(DIALECT, [routes.router(recording, rooms.usage, rooms.corrections)])
