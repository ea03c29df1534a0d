"""The mka1 dialect: usage analytics as the published `meetkai-mka1` clients ask for it."""

from tallybook.http.mka1.errors import DIALECT
from tallybook.http.mka1.routes import router

__all__ = ["DIALECT", "router"]
