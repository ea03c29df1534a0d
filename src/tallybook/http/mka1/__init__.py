"""The mka1 dialect: usage analytics as the published `meetkai-mka1` clients ask for it."""

from collections.abc import Mapping
from typing import Any

from tallybook.http.mka1 import documents
from tallybook.http.mka1.errors import DIALECT
from tallybook.http.mka1.routes import router

__all__ = ["DIALECT", "DOCUMENT", "router"]

DOCUMENT: Mapping[str, Any] = {"paths": {}, "schemas": documents.SCHEMAS}
