"""The forms of the credits dialect: bodies, query strings and answers, field by field (contract sections 3 to 8).

Unknown fields are ignored and null is absent. An account is named by `accountId`, `externalId` or both; `external_id`,
as some pages spell it, is taken too and never written.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from tallybook.core.money import COUNTER_MAX
from tallybook.ledger.model import HOLD_SECONDS_MAX

LIMIT_DEFAULT = 50
LIMIT_MAX = 500

# Each description is also what a fault says the field must be. Not every engine can keep U+0000.
Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$(?!\n)",
        description="a string of 1 to 255 characters, none of them a control character",
    ),
]
Text = Annotated[
    str, Meta(max_length=255, pattern=r"^[^\x00]*$", description="a string of at most 255 characters without U+0000")
]
LongText = Annotated[
    str, Meta(max_length=4096, pattern=r"^[^\x00]*$", description="a string of at most 4096 characters without U+0000")
]
Seconds = Annotated[int, Meta(ge=1, le=HOLD_SECONDS_MAX, description=f"a whole number from 1 to {HOLD_SECONDS_MAX}")]
Limit = Annotated[int, Meta(ge=1, description=f"a whole number from 1; above {LIMIT_MAX} is taken for {LIMIT_MAX}")]
Offset = Annotated[int, Meta(ge=0, le=COUNTER_MAX, description=f"a whole number from 0 to {COUNTER_MAX}")]
Flag = Annotated[bool, Meta(description="true or false")]
Count = Annotated[int, Meta(ge=0, le=COUNTER_MAX, description=f"a whole number from 0 to {COUNTER_MAX}")]
TypeOfUsage = Annotated[
    Literal["text", "embedding", "audio_stt", "audio_tts"],
    Meta(description="text, embedding, audio_stt or audio_tts"),
]
Number = Annotated[Raw, Meta(extra_json_schema={"type": "number"})]
Object = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
NumberOrNull = Annotated[Raw, Meta(extra_json_schema={"type": ["number", "null"]})]
ObjectOrNull = Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Addressed(Struct, rename="camel"):
    account_id: Id | None = None
    external_id: Id | None = None
    external_id_too: Id | None = field(name="external_id", default=None)


class AccountWanted(Struct, rename="camel"):
    name: Text | None = None
    external_id: Id | None = None
    external_id_too: Id | None = field(name="external_id", default=None)
    email: Text | None = None
    metadata: ObjectOrNull = field(default_factory=Raw)


class DeductWanted(Addressed, rename="camel", kw_only=True):
    amount: Number
    description: LongText | None = None
    metadata: ObjectOrNull = field(default_factory=Raw)


class AddWanted(DeductWanted, rename="camel", kw_only=True):
    payment_method: Text | None = None


class TransactionWanted(DeductWanted, rename="camel", kw_only=True):
    type: Annotated[Literal["credit", "debit"], Meta(description="credit or debit")]


class EstimateWanted(Struct, rename="camel"):
    """The most that a call may use."""

    model_id: Id
    usage_type: TypeOfUsage | None = None
    input_tokens: Count | None = None
    max_output_tokens: Count | None = None
    cached_tokens: Count | None = None
    audio_duration_seconds: NumberOrNull = field(default_factory=Raw)


class UsageWanted(Struct, rename="camel", kw_only=True):
    """What a call used."""

    model_id: Id
    usage_type: TypeOfUsage
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    audio_duration_seconds: NumberOrNull = field(default_factory=Raw)
    description: LongText | None = None
    request_id: Id | None = None
    metadata: ObjectOrNull = field(default_factory=Raw)


class ReservationWanted(Addressed, rename="camel", kw_only=True):
    """`amount` or `estimate`."""

    amount: NumberOrNull = field(default_factory=Raw)
    estimate: Annotated[EstimateWanted, Meta(description="an object")] | None = None
    operation: Text | None = None
    model: Text | None = None
    metadata: ObjectOrNull = field(default_factory=Raw)
    expires_in_seconds: Seconds | None = None


class ConfirmWanted(Struct, rename="camel"):
    """`actualAmount` or `usage`."""

    reservation_id: Id
    actual_amount: NumberOrNull = field(default_factory=Raw)
    usage: Annotated[UsageWanted, Meta(description="an object")] | None = None


class CancelWanted(Struct, rename="camel"):
    reservation_id: Id | None = None
    id: Id | None = None


class ExtendWanted(Struct, rename="camel"):
    reservation_id: Id
    expires_in_seconds: Seconds


class Paged(Struct, rename="camel"):
    limit: Limit | None = None
    offset: Offset | None = None


class PagedOfAccount(Addressed, rename="camel"):
    limit: Limit | None = None
    offset: Offset | None = None


class ReservationsAsked(PagedOfAccount, rename="camel"):
    active_only: Flag | None = None


class TransactionsAsked(PagedOfAccount, rename="camel"):
    start_date: Text | None = None
    end_date: Text | None = None
    include: Text | None = None


class AccountShown(Struct, rename="camel"):
    id: str
    developer_id: str
    external_id: str | None
    name: str | None
    email: str | None
    balance: Number
    metadata: ObjectOrNull
    created_at: Instant
    updated_at: Instant


class ReservationShown(Struct, rename="camel"):
    id: str
    account_id: str
    external_id: str | None
    amount: Number
    status: str
    created_at: Instant
    expires_at: Instant
    metadata: Object
    actual_amount: NumberOrNull
    transaction_id: str | None
    confirmed_at: Instant | None
    cancelled_at: Instant | None
    late: bool


class BalanceShown(Struct, rename="camel"):
    account_id: str
    external_id: str | None
    balance: Number
    reserved: Number
    available: Number


class UsageRecordShown(Struct, rename="camel"):
    """Null where an event says nothing, or nothing that a usage record can."""

    id: str
    context: str | None
    account_id: str | None
    external_id: str | None
    transaction_id: str | None
    model_id: str | None
    usage_type: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    audio_duration_seconds: NumberOrNull
    description: str | None
    estimated_cost_usd: NumberOrNull
    created_at: Instant


class TransactionShown(Struct, rename="camel", omit_defaults=True):
    id: str
    account_id: str
    external_id: str | None
    type: str
    amount: Number
    description: str | None
    balance_after: Number
    metadata: Object
    created_at: Instant
    reservation_id: str | None
    reservation: ReservationShown | UnsetType | None = UNSET
    usage_records: list[UsageRecordShown] | UnsetType = UNSET
    usage: list[UsageRecordShown] | UnsetType = UNSET


class Pagination(Struct, rename="camel"):
    limit: int
    offset: int
    total_count: int
    has_more: bool


class AccountCreated(Struct):
    account: AccountShown
    success: bool = True


class AccountList(Struct, omit_defaults=True):
    accounts: list[AccountShown]
    pagination: Pagination | UnsetType = UNSET


class Added(Struct, rename="camel"):
    account_id: str
    external_id: str | None
    balance: Number
    added: Number
    transaction_id: str
    success: bool = True


class Deducted(Struct, rename="camel"):
    account_id: str
    external_id: str | None
    balance: Number
    deducted: Number
    transaction_id: str
    success: bool = True


class TransactionList(Struct):
    items: list[TransactionShown]
    pagination: Pagination


class TransactionCreated(Struct):
    transaction: TransactionShown
    success: bool = True


class ReservationMade(Struct):
    reservation: ReservationShown
    success: bool = True


class ReservationList(Struct):
    reservations: list[ReservationShown]
    pagination: Pagination | UnsetType = UNSET
    success: bool = True


class Confirmed(Struct, rename="camel"):
    reservation_id: str
    transaction_id: str | None
    account_id: str
    external_id: str | None
    reserved_amount: Number
    actual_amount: NumberOrNull
    released_amount: Number
    late: bool
    balance: Number
    reserved: Number
    available: Number
    status: str = "confirmed"
    usage_id: str | UnsetType = UNSET
    success: bool = True


class Cancelled(Struct, rename="camel"):
    reservation_id: str
    account_id: str
    external_id: str | None
    status: str
    released_amount: Number
    balance: Number
    reserved: Number
    available: Number
    reservation: ReservationShown
    success: bool = True
