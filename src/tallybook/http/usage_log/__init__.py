"""The usage_log dialect: a log of API calls by user, as records that can be put right."""

from fastapi import APIRouter

from tallybook.analytics.service import UsageService
from tallybook.auth.service import AuthService
from tallybook.corrections.service import CorrectionService
from tallybook.http.usage_log import routes
from tallybook.http.usage_log.errors import DIALECT
from tallybook.http.usage_log.recording import Recording
from tallybook.metering.service import MeteringService

__all__ = ["DIALECT", "router"]


def router(
    auth: AuthService, metering: MeteringService, usage: UsageService, corrections: CorrectionService
) -> APIRouter:
    return routes.router(Recording(auth, metering, corrections), usage, corrections)
