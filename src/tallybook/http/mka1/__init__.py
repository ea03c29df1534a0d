"""The mka1 dialect: usage analytics as the published `meetkai-mka1` clients ask for it."""

from fastapi import APIRouter

from tallybook.analytics.service import UsageService
from tallybook.http.mka1 import routes
from tallybook.http.mka1.errors import DIALECT

__all__ = ["DIALECT", "routers"]


def routers(usage: UsageService) -> list[APIRouter]:
    return [routes.router(usage)]
