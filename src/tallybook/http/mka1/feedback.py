"""Feedback on the mka1 wire, as the module `feedback` of the published client sends it (contract section 12.2)."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from tallybook.core.time_window import instant_text
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.mka1 import documents
from tallybook.http.reach import reach_of
from tallybook.requests.feedback import FeedbackService, Given, first, update
from tallybook.requests.model import DESCRIPTION_CHARS_MAX, Rating
from tallybook.requests.service import RequestLog

SERVICES = {"completions": "completion", "responses": "response"}
"""The last part of a path, and the kind of event that it is about."""

PATH = "/api/v1/llm/feedback/"

Description = Annotated[str, Field(max_length=DESCRIPTION_CHARS_MAX)]


class FeedbackSent(BaseModel):
    id: str = Field(description="The request id.")
    rating: Rating | None = None
    description: Description | None = None


class FeedbackUpdate(BaseModel):
    """What is not named stays; null clears."""

    rating: Rating | None = None
    description: Description | None = None


def router(log: RequestLog, feedback: FeedbackService) -> APIRouter:
    routes = APIRouter(tags=["mka1"])
    for service, kind in SERVICES.items():
        _add(routes, service, kind, log, feedback)
    return routes


def _add(routes: APIRouter, service: str, kind: str, log: RequestLog, feedback: FeedbackService) -> None:
    async def create(sent: FeedbackSent, caller: CallerOf, request: Request) -> Response:
        found = await asyncio.to_thread(log.get, reach_of(caller), sent.id, (kind,))
        change = first(sent.id, sent.rating, sent.description)
        repeat = await repeat_of(request, caller)
        return _response(await feedback.change(found, sent.id, change, actor=caller.actor, repeat=repeat), 201)

    def get(caller: CallerOf, request_id: Annotated[str, Path(alias="id")]) -> Response:
        return _response(feedback.get(reach_of(caller), request_id, kind))

    async def change(
        sent: FeedbackUpdate, caller: CallerOf, request: Request, request_id: Annotated[str, Path(alias="id")]
    ) -> Response:
        found = await asyncio.to_thread(log.get, reach_of(caller), request_id, (kind,))
        changed = update(request_id, **sent.model_dump(exclude_unset=True))
        repeat = await repeat_of(request, caller)
        return _response(await feedback.change(found, request_id, changed, actor=caller.actor, repeat=repeat))

    whole, one = f"{PATH}{service}", f"{PATH}{service}/{{id:path}}"
    for method, path, endpoint, status, summary in (
        ("POST", whole, create, 201, f"Give feedback on a {kind}, once"),
        ("GET", one, get, 200, f"The feedback on a {kind}"),
        ("PUT", one, change, 200, f"Change the feedback on a {kind}; null clears"),
    ):
        routes.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=f"llm_feedback_{service}_{endpoint.__name__}",
            status_code=status,
            summary=summary,
            response_class=Response,
            openapi_extra=documents.answers(documents.FEEDBACK, status),
        )


def _response(given: Given, status: int = 200) -> Response:
    body: dict[str, Any] = {"id": given.request_id, "rating": given.rating, "description": given.description}
    shown = {name: value for name, value in body.items() if value is not None}
    instants = {"created_at": instant_text(given.created_at_us), "updated_at": instant_text(given.updated_at_us)}
    return Response(msgspec.json.encode({**shown, **instants}), status, media_type="application/json")
