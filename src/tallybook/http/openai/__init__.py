"""The openai dialect: organization usage and costs, as the published `openai` clients ask for them."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from tallybook.analytics.service import UsageService
from tallybook.http.openai import documents, routes
from tallybook.http.openai.errors import DIALECT

__all__ = ["DIALECT", "DOCUMENT", "routers"]

DOCUMENT: Mapping[str, Any] = {"paths": {}, "schemas": documents.SCHEMAS}


def routers(usage: UsageService) -> list[APIRouter]:
    return [routes.router(usage)]
