"""For those who run the server: liveness, readiness, metrics."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from tallybook.http.metrics import CONTENT_TYPE, Metrics


def router(metrics: Metrics, ready: Callable[[], str | None]) -> APIRouter:
    """`ready` returns None, or why the server cannot take work now."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", summary="Can the server take work?", responses={503: {"model": dict[str, str]}})
    async def readyz(response: Response) -> dict[str, str]:
        reason = ready()
        if reason is None:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "not ready", "reason": reason}

    @routes.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    def exposition() -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return routes
