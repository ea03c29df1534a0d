"""Forms of prices on the wire: what is asked for, and what is shown."""

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tallybook.core.money import parse_number
from tallybook.core.time_window import HOUR_US, MINUTE_US, SECOND_US, parse_instant
from tallybook.http.document import MONEY
from tallybook.http.native import filters
from tallybook.http.native.listing import KnownQuery, PageQuery
from tallybook.http.wire_model import ShortText, WireModel
from tallybook.pricing.comparison import Verdict
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, Origin


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def _from_wire_instant(value: object) -> int | None:
    return None if value is None else parse_instant(_text(value))


def _from_wire_usd(value: object) -> Decimal:
    return parse_number(_text(value))


_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


def _from_wire_time(value: object) -> int:
    found = _TIME_OF_DAY.fullmatch(_text(value))
    if found is None:
        raise ValueError("must be a time of day in UTC, such as 16:30 or 16:30:00")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US


_INSTANT = (BeforeValidator(_from_wire_instant), WithJsonSchema({"type": "string", "format": "date-time"}))
Instant = Annotated[int, *_INSTANT]
InstantOrNever = Annotated[int | None, *_INSTANT]
Usd = Annotated[Decimal, BeforeValidator(_from_wire_usd), WithJsonSchema(MONEY)]
UsdShown = Annotated[str, WithJsonSchema(MONEY)]
TimeOfDay = Annotated[int, BeforeValidator(_from_wire_time), WithJsonSchema({"type": "string", "examples": ["16:30"]})]


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class When(BaseModel):
    """What an event says; letter case does not matter."""

    model_config = ConfigDict(extra="forbid")

    context_level: ShortText | None = Field(default=None, description="How much context a web search had.")
    image_operation: ShortText | None = Field(
        default=None, description="What was done with images, such as image.edit."
    )
    image_quality: ShortText | None = Field(default=None, description="The quality of images, such as hd.")
    image_size: ShortText | None = Field(default=None, description="The size of images, such as 1024x1024.")


class TierWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    above: int = Field(strict=True, description="For events of more input tokens than that.")
    usd: Usd = Field(description="In place of the rate's own `usd`, for all units of the event.")


class RateWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    usd: Usd = Field(description="US dollars as a decimal string, at least 0.")
    per: int = Field(strict=True, description="For how many units: 1000000 for prices per million tokens.")
    tiers: list[TierWanted] = Field([], description="Other amounts for longer contexts, by rising `above`.")
    at_least: int = Field(0, strict=True, description="The least that is charged for a request that reports any.")


class DailyWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: TimeOfDay = Field(alias="from", description="First time of day it is for, in UTC.")
    end: TimeOfDay = Field(alias="to", description="First time of day it is over; over midnight if earlier.")
    weekdays: list[Weekday] = Field([], description="Only on the days of the week that it begins on; all by default.")


class PriceWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    provider: ShortText | None = Field(None, description="Null: whichever provider an event names.")
    model: ShortText = Field(description="A name, the beginning of names, or a pattern for whole names.")
    match: Match = Field(Match.EQUALS, description="How `model` is meant.")
    mode: Mode = Mode.STANDARD
    effective_from: Instant = Field(description="RFC 3339: the first instant of usage it is for.")
    effective_to: InstantOrNever = Field(None, description="RFC 3339: the first instant it is over.")
    daily: DailyWanted | None = Field(None, description="Only for this part of each day.")
    when: When = Field(When(), description="Only for events that say all of this.")
    rates: dict[ShortText, RateWanted] = Field(description="By unit, such as `input_tokens`.")
    source: ShortText | None = Field(None, description="Where the price was found.")
    supersedes: ShortText | None = Field(None, description="Id of the price that this one corrects.")


class TierShown(WireModel):
    above: int
    usd: UsdShown


class RateShown(WireModel):
    usd: UsdShown
    per: int
    tiers: list[TierShown] = Field([], exclude_if=lambda tiers: not tiers)
    at_least: int = Field(0, exclude_if=lambda least: not least)


class DailyShown(WireModel):
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    weekdays: list[str] = Field([], exclude_if=lambda days: not days)


class PriceShown(WireModel):
    object: Literal["price"] = "price"
    id: str
    org_id: str | None = Field(description="Null: a price of every org.")
    origin: Origin
    provider: str | None
    model: str
    match: Match
    mode: Mode
    effective_from: str
    effective_to: str | None
    daily: DailyShown | None
    when: dict[str, str]
    rates: dict[str, RateShown]
    source: str | None
    supersedes: str | None
    recorded_at: str


class PricePage(WireModel):
    object: Literal["list"] = "list"
    data: list[PriceShown]
    has_more: bool
    next_page: str | None


class PriceQuery(PageQuery):
    origin: Origin = Field(Origin.ORG, description="The org's own prices, or those of every org.")
    provider: str | None = Field(None, description="Only prices that name exactly this provider.")
    model: str | None = Field(None, description="Only prices whose `model` is exactly this text.")


class ResolveQuery(When):
    model: ShortText = Field(description="As events name it.")
    provider: ShortText | None = Field(None, description="As events name it.")
    mode: Mode = Field(Mode.STANDARD, description="How the call is made.")
    at: filters.Instant | None = Field(None, description="When the event occurs; now by default.")
    limit: int = Field(100, ge=1, le=1000, description="Most candidates to show.")


class Matched(WireModel):
    """The model of the catalogue that the names mean, and the rule it was found by."""

    provider: str
    model: str
    rule: str


class CandidateShown(WireModel):
    price: PriceShown
    standing: str = Field(description="Why it was taken or not.")
    won: bool


class ResolutionShown(WireModel):
    object: Literal["price_resolution"] = "price_resolution"
    model: str
    provider: str | None = Field(description="As asked, or split from the model, or its maker.")
    mode: Mode
    at: str
    price: PriceShown | None
    reason: str | None = Field(description="Why there is no price.")
    matched: Matched | None
    candidates: list[CandidateShown] = Field(description="In the order of precedence; the one taken is always there.")
    candidates_total: int
    modes: list[Mode] = Field(description="Modes that there are prices for, at any time.")


class SyncShown(WireModel):
    object: Literal["price_sync"] = "price_sync"
    version: str
    previous_version: str | None
    recorded: int = Field(description="How many prices were recorded.")


class DiffQuery(KnownQuery):
    limit: int = Field(100, ge=1, le=10_000, description="Most changes to show.")


class ChangeShown(WireModel):
    provider: str | None
    model: str
    mode: Mode
    effective_from: str = Field(description="From when on the other rates hold, or none.")
    daily: DailyShown | None
    when: dict[str, str]
    rates_before: dict[str, RateShown] | None
    rates_after: dict[str, RateShown] | None
    ends: bool = Field(description="Whether a recorded price ends, and none takes its place.")


class DiffShown(WireModel):
    object: Literal["price_diff"] = "price_diff"
    recorded_version: str | None
    installed_version: str
    changes: list[ChangeShown]
    changes_total: int


class ClaimShown(WireModel):
    """A claim of the list, and what such an event would be charged here."""

    verdict: Verdict
    entry: str = Field(description="The list's name for the model.")
    field: str = Field(description="The list's field that says so.")
    provider: str
    model: str
    mode: Mode
    unit: str
    above: int = Field(description="For events of more input tokens than that.")
    when: dict[str, str]
    theirs: str = Field(description="US dollars for one unit, by the list.")
    ours: str | None = Field(description="US dollars for one unit, here.")
    price_id: str | None


class ComparisonShown(WireModel):
    object: Literal["price_comparison"] = "price_comparison"
    at: str
    verdicts: dict[Verdict, int] = Field(description="How many claims are charged the same, otherwise, or not at all.")
    unsaid: dict[str, int] = Field(description="Fields of the list that no event can report, with how many say them.")
    differences: list[ClaimShown]
    differences_total: int


class CompareQuery(KnownQuery):
    format: Literal["litellm"] = Field("litellm", description="Whose list the body is.")
    verdict: list[Verdict] = Field(
        [Verdict.OTHER_RATE, Verdict.NO_RATE, Verdict.NO_PRICE], description="Only differences of these kinds."
    )
    limit: int = Field(1000, ge=1, le=20_000, description="Most differences to show.")
