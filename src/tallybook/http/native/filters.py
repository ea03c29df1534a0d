"""Query parameters that the native reads share, and who may use them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tallybook.analytics.query import Condition, Dimension, Reach, conditions_of
from tallybook.auth.key import Caller
from tallybook.core.errors import Forbidden
from tallybook.core.time_window import parse_instant, parse_instant_or_seconds
from tallybook.http.reach import reach_of

EARLIEST_US = parse_instant("1970-01-01T00:00:00Z")
LATEST_US = parse_instant("2201-01-01T00:00:00Z")

_UNESCAPED_PLUS = re.compile(r" (?=\d\d:\d\d\Z)")


def _instant(sent: object) -> int:
    if isinstance(sent, int | Decimal) and not isinstance(sent, bool):
        sent = str(sent)  # in a body seconds may be a number
    if not isinstance(sent, str):
        raise ValueError("must be an RFC 3339 date-time with a zone, or Unix seconds")
    # The plus of an offset that was not percent-encoded arrives as a blank.
    instant_us = parse_instant_or_seconds(_UNESCAPED_PLUS.sub("+", sent))
    if not EARLIEST_US <= instant_us <= LATEST_US:
        raise ValueError("must lie in the years 1970 to 2200")
    return instant_us


Instant = Annotated[
    int,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "description": "RFC 3339 with a zone, or Unix seconds."}),
]
Texts = list[str]
Flags = list[bool]


class Filters(BaseModel):
    """One field per `Dimension`: values of one filter are alternatives, different filters all hold.

    Any other name is refused: a filter that is misspelt would widen the answer without a word.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Texts = Field([], description="What was used, such as completion or sandbox.")
    provider: Texts = Field([], description="Who served the model.")
    model: Texts = Field([], description="The model, as events name it.")
    operation: Texts = Field([], description="What was done.")
    project_id: Texts = Field([], description="The project.")
    team_id: Texts = Field([], description="The team.")
    user_id: Texts = Field([], description="The platform user; members may name themselves only.")
    external_user_id: Texts = Field([], description="The end user of the caller's own.")
    api_key_id: Texts = Field([], description="Id of the key that the usage counts for.")
    account_id: Texts = Field([], description="Id of the account that it is billed to.")
    context: Texts = Field([], description="customer, or system where no customer is billed.")
    service_tier: Texts = Field([], description="The tier of the call.")
    batch: Flags = Field([], description="Whether it was made through a batch.")
    background: Flags = Field([], description="Whether it was run in the background.")
    image_size: Texts = Field([], description="The size of images, such as 1024x1024.")
    image_quality: Texts = Field([], description="The quality of images, such as hd.")
    image_operation: Texts = Field([], description="What was done with images, such as image.edit.")
    vector_store_id: Texts = Field([], description="Id of the vector store.")
    context_level: Texts = Field([], description="How much context a web search had.")
    api_source: Texts = Field([], description="Where the API was called from.")
    session_kind: Texts = Field([], description="What kind of sandbox it was.")
    session_id: Texts = Field([], description="Id of the session.")
    endpoint: Texts = Field([], description="The endpoint that was called.")
    transaction_id: Texts = Field([], description="Id of the transaction that paid for it.")
    pricing: Texts = Field([], description="How it came by its cost: priced, free, given, unpriced or unreported.")
    org_id: Texts = Field([], description="The organization; only cluster admins may name others than their own.")

    org_ids: Texts = Field([], description="Look into these organizations instead; cluster admins only.")
    all_orgs: bool = Field(False, description="Look into every organization; cluster admins only.")
    as_of: Instant | None = Field(None, description="Answer from what was recorded by then.")


def conditions_from(filters: Filters) -> tuple[Condition, ...]:
    values = dict(filters)
    return conditions_of(((dimension,), values[dimension]) for dimension in Dimension)


def reach_from(filters: Filters, caller: Caller) -> Reach:
    """What the caller may see. Raises `Forbidden` where the filters ask for somebody else's usage."""
    reach = reach_of(caller, org_ids=filters.org_ids, all_orgs=filters.all_orgs)
    walls: Mapping[str, str | None] = {"user_id": reach.user_id, "api_key_id": reach.api_key_id}
    asked: Mapping[str, list[str]] = {"user_id": filters.user_id, "api_key_id": filters.api_key_id}
    for name, own in walls.items():
        if own is not None and any(value != own for value in asked[name]):
            raise Forbidden(f"this key may only see usage of its own {name}")
    if not caller.is_cluster_admin and any(value != caller.org_id for value in filters.org_id):
        raise Forbidden("only cluster admins may ask for other organizations (org_id)")
    return reach
