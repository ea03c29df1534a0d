"""The request log on the mka1 wire (contract sections 10.2 to 10.4)."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from tallybook.core.time_window import instant_text
from tallybook.http.access import CallerOf
from tallybook.http.mka1 import documents
from tallybook.http.mka1.user_stats import reach_to
from tallybook.http.mka1.wire import parse
from tallybook.http.query_params import INTEGER_MAX
from tallybook.http.reach import reach_of
from tallybook.http.wire_model import WireModel
from tallybook.requests.model import LoggedRequest
from tallybook.requests.service import Of, RequestLog

OF_USER = "/api/v1/llm/usage/users/{userId:path}/completions"
BY_ID = "/api/v1/llm/usage/completions/{requestId:path}"


class LogParams(WireModel):
    """Operation 13."""

    limit: int = Field(50, ge=1, le=200, description="Requests of a page.")
    page: int = Field(1, ge=1, le=INTEGER_MAX, description="Number of the page, from 1 on.")


def router(log: RequestLog) -> APIRouter:
    routes = APIRouter(tags=["mka1"])

    @routes.get(
        OF_USER,
        name="llm_usage_users_completions",
        summary="Requests of one user, newest first",
        response_class=Response,
        openapi_extra=documents.asked(LogParams, (), documents.REQUESTS),
    )
    def of_user(request: Request, caller: CallerOf, user_id: Annotated[str, Path(alias="userId")]) -> Response:
        params = parse(LogParams, request.query_params.multi_items())
        found = log.of_user(
            Of(reach_to(user_id, caller), user_id), limit=params.limit, offset=(params.page - 1) * params.limit
        )
        pagination = {
            "page": params.page,
            "limit": params.limit,
            "total": found.total,
            "totalPages": -(-found.total // params.limit),
        }
        return _response({"completions": [to_wire(each) for each in found.requests], "pagination": pagination})

    @routes.get(
        BY_ID,
        name="llm_usage_completions_by_id",
        summary="One request by its request id",
        response_class=Response,
        openapi_extra=documents.answers(documents.REQUEST),
    )
    def by_id(caller: CallerOf, request_id: Annotated[str, Path(alias="requestId")]) -> Response:
        return _response(to_wire(log.get(reach_of(caller), request_id)))

    return routes


def to_wire(request: LoggedRequest) -> dict[str, Any]:
    event, feedback = request.event, request.feedback
    prompt_tokens, completion_tokens = (event.usage.get(name, 0) for name in ("input_tokens", "output_tokens"))
    wire: dict[str, Any] = {
        "id": event.uid,
        "requestId": request.request_id,
        "userId": event.fields.get("user_id"),
        "model": event.fields.get("model"),
        "promptTokens": prompt_tokens,
        "completionTokens": completion_tokens,
        "totalTokens": prompt_tokens + completion_tokens,
        "finishReason": event.fields.get("finish_reason"),
        "stream": event.fields.get("stream", False),
        "feedbackRating": feedback.rating if feedback else None,
        "feedbackDescription": feedback.description if feedback else None,
        "createdAt": instant_text(event.occurred_at_us),
        "updatedAt": instant_text(request.updated_at_us),
    }
    if request.messages is not None:
        wire["messages"] = msgspec.Raw(request.messages)
    return wire


def _response(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
