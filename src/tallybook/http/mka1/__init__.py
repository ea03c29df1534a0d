"""The mka1 dialect: usage analytics and the request log as the published `meetkai-mka1` clients ask for them."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from tallybook.analytics.service import UsageService
from tallybook.http.mka1 import documents, feedback, request_log, routes
from tallybook.http.mka1.errors import DIALECT
from tallybook.requests.feedback import FeedbackService
from tallybook.requests.service import RequestLog

__all__ = ["DIALECT", "DOCUMENT", "routers"]

DOCUMENT: Mapping[str, Any] = {"paths": {}, "schemas": documents.SCHEMAS}


def routers(
    usage: UsageService, log: RequestLog, feedback_service: FeedbackService, *, unpaged_buckets_max: int
) -> list[APIRouter]:
    """`unpaged_buckets_max`: most buckets of an answer that has no pages."""
    return [
        routes.router(usage, unpaged_buckets_max=unpaged_buckets_max),
        request_log.router(log),
        feedback.router(log, feedback_service),
    ]
