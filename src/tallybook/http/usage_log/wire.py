"""The usage log on the wire: records, and what is asked of them (contract `usage-log.md`)."""

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Raw, Struct
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from tallybook.core.counters import COUNTERS
from tallybook.core.money import COST_USD_MAX, COUNTER_MAX, MICRO_PER_UNIT, NotANumber, bounded, parse_number
from tallybook.http.document import later
from tallybook.http.wire_model import PLAIN, ShortText, WireModel

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
KEY_TEXT_MAX = 1024
UNITS_MAX = COUNTER_MAX // MICRO_PER_UNIT


def _number(value: Any) -> Any:
    """A JSON number, or its text; true and false are none."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    try:
        return parse_number(value) if isinstance(value, str) else value
    except NotANumber as error:
        raise ValueError(str(error)) from None


def _bounded(number: Decimal) -> Decimal:
    try:
        return bounded(number)
    except NotANumber as error:
        raise ValueError(str(error)) from None


Units = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=UNITS_MAX), AfterValidator(_bounded)]
Usd = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=COST_USD_MAX), AfterValidator(_bounded)]
Tokens = Annotated[int, Field(strict=True, ge=0, le=COUNTER_MAX)]

TOKENS = tuple(name for name in COUNTERS if name.endswith("_tokens"))


class RecordWanted(WireModel):
    """A call as it is logged by hand. Unknown fields are ignored."""

    api_name: ShortText = Field(description="The logical API, such as llm_query.")
    endpoint: ShortText = Field(description="The path called, such as /chat.")
    units_used: Units | None = Field(None, description="Units of the API's own; for calls with tokens, their total.")
    cost_usd: Usd | None = Field(None, description="Required unless model and tokens are told; then it is rated.")
    api_key_used: Annotated[str, StringConstraints(max_length=KEY_TEXT_MAX), PLAIN] | None = Field(
        None, description="The key that the call was made with. Only a masked form is kept."
    )
    user_id: ShortText | None = Field(None, description="Whom the call was for: admins, and keys of no user.")
    provider: ShortText | None = None
    model: ShortText | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_read_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    input_audio_tokens: Tokens | None = None
    output_audio_tokens: Tokens | None = None


class RecordChanges(WireModel):
    """What a record is set to. At least one of the first three. Unknown fields are ignored."""

    units_used: Units | None = None
    cost_usd: Usd | None = Field(None, description="With units_used 0 and this 0 the record is refunded.")
    status_active: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="true restores a deleted record, false deletes it."
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None


class UsageRecord(Struct):
    usage_id: str
    user_id: str | None
    api_name: str | None
    endpoint: str | None
    units_used: Raw
    cost_usd: Raw
    api_key_used: str | None
    status_active: bool
    created_at: str


_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_RECORD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "usage_id": {"type": "string", "format": "uuid"},
        "user_id": _TEXT_OR_NULL,
        "api_name": _TEXT_OR_NULL,
        "endpoint": _TEXT_OR_NULL,
        "units_used": {"type": "number", "minimum": 0},
        "cost_usd": {"type": ["number", "null"], "minimum": 0},
        "api_key_used": _TEXT_OR_NULL,
        "status_active": {"type": "boolean"},
        "created_at": {"type": "string", "format": "date-time"},
    },
    "required": list(UsageRecord.__struct_fields__),
}


def answering(*, status: int = 200, listed: bool = False) -> dict[str, Any]:
    """What OpenAPI says of an answer that passes the framework as it is: a record, or a list of records."""
    schema = {"type": "array", "items": _RECORD} if listed else _RECORD
    content = {"application/json": {"schema": schema}}
    return {"responses": {str(status): {"description": "As it is now", "content": content}}}


@later
def asking(kind: type[BaseModel], *, status: int = 200) -> dict[str, Any]:
    """As `answering`, with the body that `read_wanted` reads."""
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}, **answering(status=status)}
