"""Prices: `PUT` and `GET /v1/prices`, `GET /v1/prices/resolve` and `/diff`, `POST /v1/prices/sync` and `/compare`."""

import asyncio
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tallybook.core.money import parse_number
from tallybook.core.paging import Cursors
from tallybook.core.time_window import HOUR_US, MINUTE_US, SECOND_US, instant_text, instant_text_or_none, parse_instant
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.document import MONEY
from tallybook.http.native import filters
from tallybook.http.native.listing import KnownQuery, PageQuery, position
from tallybook.http.wire_model import ShortText, WireModel
from tallybook.pricing.catalogue.changes import Change
from tallybook.pricing.comparison import Comparison, Judged, Opinions, Verdict
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, NewPrice, Origin, Price, Rate, Tier
from tallybook.pricing.resolution import Candidate, Resolution
from tallybook.pricing.service import PricingService
from tallybook.pricing.store import Position


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


_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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


ReadOpinions = Callable[[bytes], Opinions]


def router(prices: PricingService, cursors: Cursors, read_litellm: ReadOpinions) -> APIRouter:
    routes = APIRouter(tags=["prices"])

    @routes.put("/v1/prices", status_code=201)
    async def put_price(wanted: PriceWanted, caller: CallerOf, request: Request) -> PriceShown:
        """Appends a dated price of the org. Events already stored keep the cost they were stored with."""
        repeat = await repeat_of(request, caller)
        price = _to_new_price(wanted)
        return to_wire_price(await prices.put(caller.org_id, price, actor=caller.actor, repeat=repeat))

    @routes.get("/v1/prices")
    def list_prices(asked: Annotated[PriceQuery, Query()], caller: CallerOf) -> PricePage:
        """The prices of the org, or those of every org, newest first, with future, ended and superseded ones."""
        question = f"prices of {caller.org_id} for {(asked.origin.value, asked.provider, asked.model)}"
        before = cast(Position | None, position(cursors, question, asked.page))
        found = prices.list_prices(
            caller.org_id,
            asked.origin,
            provider=asked.provider,
            model=asked.model,
            before=before,
            limit=asked.limit + 1,
        )
        has_more, found = len(found) > asked.limit, found[: asked.limit]
        following = cursors.seal(question, (found[-1].recorded_at_us, found[-1].id)) if has_more else None
        return PricePage(data=[to_wire_price(price) for price in found], has_more=has_more, next_page=following)

    @routes.get("/v1/prices/resolve")
    def resolve_price(asked: Annotated[ResolveQuery, Query()], caller: CallerOf) -> ResolutionShown:
        """Which price an event of the org gets that names these, every price that could have been it, and why."""
        found = prices.resolve(
            caller.org_id, provider=asked.provider, model=asked.model, mode=asked.mode, at_us=asked.at, told=asked
        )
        return _to_wire_resolution(asked, found)

    @routes.post("/v1/prices/sync")
    async def sync_prices(caller: CallerOf, request: Request) -> SyncShown:
        """Takes over the catalogue that is installed, whole or not at all. Stored events keep their cost."""
        done = await prices.sync(actor=caller.actor, repeat=await repeat_of(request, caller))
        return SyncShown(version=done.version, previous_version=done.before, recorded=done.recorded)

    @routes.get("/v1/prices/diff")
    def show_differences(asked: Annotated[DiffQuery, Query()], _: CallerOf) -> DiffShown:
        """What a sync would record now."""
        found = prices.differences()
        return DiffShown(
            recorded_version=found.recorded_version,
            installed_version=found.installed_version,
            changes=[_to_wire_change(change) for change in found.changes[: asked.limit]],
            changes_total=len(found.changes),
        )

    @routes.post("/v1/prices/compare", openapi_extra=_LIST_BODY)
    async def compare_prices(
        asked: Annotated[CompareQuery, Query()], caller: CallerOf, request: Request
    ) -> ComparisonShown:
        """Where another list of prices disagrees with what the org is charged now. Nothing is recorded."""
        body = await request.body()
        return await asyncio.to_thread(
            lambda: _to_wire_comparison(asked, prices.compare(caller.org_id, read_litellm(body)))
        )

    return routes


_LIST_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "description": "By name of the model."}}},
    }
}


def _to_new_price(wanted: PriceWanted) -> NewPrice:
    return NewPrice(
        provider=wanted.provider,
        model=wanted.model,
        match=wanted.match,
        mode=wanted.mode,
        effective_from_us=wanted.effective_from,
        effective_to_us=wanted.effective_to,
        daily=None if wanted.daily is None else _to_window(wanted.daily),
        when=tuple(wanted.when.model_dump(exclude_none=True).items()),
        rates={unit: _to_rate(rate) for unit, rate in wanted.rates.items()},
        source=wanted.source,
        supersedes=wanted.supersedes,
    )


def _to_window(wanted: DailyWanted) -> DailyWindow:
    return DailyWindow(wanted.start, wanted.end, tuple(sorted({_WEEKDAYS.index(day) for day in wanted.weekdays})))


def _to_rate(wanted: RateWanted) -> Rate:
    tiers = tuple(Tier(tier.above, tier.usd) for tier in wanted.tiers)
    return Rate(wanted.usd, wanted.per, tiers, wanted.at_least)


def to_wire_price(price: Price) -> PriceShown:
    return PriceShown(
        id=price.id,
        org_id=price.org_id,
        origin=price.origin,
        provider=price.provider,
        model=price.model,
        match=price.match,
        mode=price.mode,
        effective_from=instant_text(price.effective_from_us),
        effective_to=instant_text_or_none(price.effective_to_us),
        daily=None if price.daily is None else to_wire_daily(price.daily),
        when=dict(price.when),
        rates=_to_wire_rates(price.rates),
        source=price.source,
        supersedes=price.supersedes,
        recorded_at=instant_text(price.recorded_at_us),
    )


def _to_wire_rates(rates: Mapping[str, Rate]) -> dict[str, RateShown]:
    return {
        unit: RateShown(usd=f"{rate.usd:f}", per=rate.per, tiers=_to_wire_tiers(rate), at_least=rate.at_least)
        for unit, rate in rates.items()
    }


def _to_wire_tiers(rate: Rate) -> list[TierShown]:
    return [TierShown(above=tier.above, usd=f"{tier.usd:f}") for tier in rate.tiers]


def to_wire_daily(daily: DailyWindow) -> DailyShown:
    weekdays = [_WEEKDAYS[day] for day in daily.weekdays]
    return DailyShown(start=_time_text(daily.start_us), end=_time_text(daily.end_us), weekdays=weekdays)


def _time_text(day_us: int) -> str:
    """`HH:MM`, with seconds where there are any."""
    minutes, seconds = divmod(day_us // SECOND_US, 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{seconds:02}" if seconds else text


def _to_wire_resolution(asked: ResolveQuery, found: Resolution) -> ResolutionShown:
    shown = [candidate for index, candidate in enumerate(found.candidates) if index < asked.limit or candidate.won]
    return ResolutionShown(
        model=asked.model,
        provider=found.provider,
        mode=asked.mode,
        at=instant_text(found.at_us),
        price=None if found.price is None else to_wire_price(found.price),
        reason=found.reason,
        matched=_to_wire_matched(found),
        candidates=[_to_wire_candidate(candidate) for candidate in shown],
        candidates_total=len(found.candidates),
        modes=list(found.modes),
    )


def _to_wire_matched(found: Resolution) -> Matched | None:
    if found.named is None or found.rule is None:
        return None
    return Matched(provider=found.named.provider, model=found.named.model, rule=found.rule)


def _to_wire_candidate(candidate: Candidate) -> CandidateShown:
    return CandidateShown(price=to_wire_price(candidate.price), standing=candidate.standing, won=candidate.won)


def _to_wire_comparison(asked: CompareQuery, found: Comparison) -> ComparisonShown:
    differences = [each for each in found.differences if each.verdict in asked.verdict]
    return ComparisonShown(
        at=instant_text(found.at_us),
        verdicts=found.counts(),
        unsaid=dict(found.unsaid),
        differences=[_to_wire_claim(each) for each in differences[: asked.limit]],
        differences_total=len(differences),
    )


def _to_wire_claim(judged: Judged) -> ClaimShown:
    claim = judged.claim
    return ClaimShown(
        verdict=judged.verdict,
        entry=claim.entry,
        field=claim.field,
        provider=claim.provider,
        model=claim.model,
        mode=claim.mode,
        unit=claim.unit,
        above=claim.above,
        when={name: word for name, word in claim.said._asdict().items() if word is not None},
        theirs=f"{claim.usd:f}",
        ours=None if judged.ours is None else f"{judged.ours:f}",
        price_id=None if judged.price is None else judged.price.id,
    )


def _to_wire_change(change: Change) -> ChangeShown:
    price = change.price
    return ChangeShown(
        provider=price.provider,
        model=price.model,
        mode=price.mode,
        effective_from=instant_text(change.at_us),
        daily=None if price.daily is None else to_wire_daily(price.daily),
        when=dict(price.when),
        rates_before=None if change.before is None else _to_wire_rates(change.before),
        rates_after=None if change.ends else _to_wire_rates(price.rates),
        ends=change.ends,
    )
