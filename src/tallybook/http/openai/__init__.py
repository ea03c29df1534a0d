"""The openai dialect: organization usage and costs, as the published `openai` clients ask for them."""

from tallybook.http.mounting import Edge, Mounted, Rooms
from tallybook.http.openai import documents, routes
from tallybook.http.openai.errors import DIALECT

__all__ = ["DIALECT", "mounted"]


def mounted(rooms: Rooms, _: Edge) -> Mounted:
    return Mounted(DIALECT, [routes.router(rooms.usage)], document=lambda: {"paths": {}, "schemas": documents.SCHEMAS})
