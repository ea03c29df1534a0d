"""Prices: `PUT /v1/prices`, `GET /v1/prices`."""

from decimal import Decimal
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tallybook.core.money import parse_number
from tallybook.core.paging import Cursors
from tallybook.core.time_window import instant_text, parse_instant
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.native.listing import PageQuery, ShortText, position
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, NewPrice, Price, Rate
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


_INSTANT = (BeforeValidator(_from_wire_instant), WithJsonSchema({"type": "string", "format": "date-time"}))
Instant = Annotated[int, *_INSTANT]
InstantOrNever = Annotated[int | None, *_INSTANT]
Usd = Annotated[Decimal, BeforeValidator(_from_wire_usd), WithJsonSchema({"type": "string", "examples": ["2.5"]})]


class RateWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    usd: Usd = Field(description="US dollars as a decimal string, at least 0.")
    per: int = Field(strict=True, description="For how many units: 1000000 for prices per million tokens.")


class PriceWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    provider: ShortText | None = Field(None, description="Null: whichever provider an event names.")
    model: ShortText = Field(description="A name, the beginning of names, or a pattern for whole names.")
    match: Match = Field(Match.EQUALS, description="How `model` is meant.")
    mode: Mode = Mode.STANDARD
    effective_from: Instant = Field(description="RFC 3339: the first instant of usage it is for.")
    effective_to: InstantOrNever = Field(None, description="RFC 3339: the first instant it is over.")
    rates: dict[ShortText, RateWanted] = Field(description="By unit, such as `input_tokens`.")
    source: ShortText | None = Field(None, description="Where the price was found.")
    supersedes: ShortText | None = Field(None, description="Id of the price that this one corrects.")


class RateShown(BaseModel):
    usd: str
    per: int


class PriceShown(BaseModel):
    object: Literal["price"] = "price"
    id: str
    org_id: str | None
    provider: str | None
    model: str
    match: Match
    mode: Mode
    effective_from: str
    effective_to: str | None
    rates: dict[str, RateShown]
    source: str | None
    supersedes: str | None
    recorded_at: str


class PricePage(BaseModel):
    object: Literal["list"] = "list"
    data: list[PriceShown]
    has_more: bool
    next_page: str | None


class PriceQuery(PageQuery):
    provider: str | None = Field(None, description="Only prices that name exactly this provider.")
    model: str | None = Field(None, description="Only prices whose `model` is exactly this text.")


def router(prices: PricingService, cursors: Cursors) -> APIRouter:
    routes = APIRouter(tags=["prices"])

    @routes.put("/v1/prices", status_code=201)
    async def put_price(wanted: PriceWanted, caller: CallerOf, request: Request) -> PriceShown:
        """Appends a dated price of the org. Events already stored keep the cost they were stored with."""
        repeat = await repeat_of(request, caller)
        price = _to_new_price(wanted)
        return _to_wire(await prices.put(caller.org_id, price, actor=caller.actor, repeat=repeat))

    @routes.get("/v1/prices")
    def list_prices(asked: Annotated[PriceQuery, Query()], caller: CallerOf) -> PricePage:
        """The org's prices, newest first, with future, ended and superseded ones."""
        question = f"prices of {caller.org_id} for {(asked.provider, asked.model)}"
        before = cast(Position | None, position(cursors, question, asked.page))
        found = prices.list_prices(
            caller.org_id, provider=asked.provider, model=asked.model, before=before, limit=asked.limit + 1
        )
        has_more, found = len(found) > asked.limit, found[: asked.limit]
        following = cursors.seal(question, (found[-1].recorded_at_us, found[-1].id)) if has_more else None
        return PricePage(data=[_to_wire(price) for price in found], has_more=has_more, next_page=following)

    return routes


def _to_new_price(wanted: PriceWanted) -> NewPrice:
    return NewPrice(
        provider=wanted.provider,
        model=wanted.model,
        match=wanted.match,
        mode=wanted.mode,
        effective_from_us=wanted.effective_from,
        effective_to_us=wanted.effective_to,
        rates={unit: Rate(rate.usd, rate.per) for unit, rate in wanted.rates.items()},
        source=wanted.source,
        supersedes=wanted.supersedes,
    )


def _to_wire(price: Price) -> PriceShown:
    return PriceShown(
        id=price.id,
        org_id=price.org_id,
        provider=price.provider,
        model=price.model,
        match=price.match,
        mode=price.mode,
        effective_from=instant_text(price.effective_from_us),
        effective_to=None if price.effective_to_us is None else instant_text(price.effective_to_us),
        rates={unit: RateShown(usd=f"{rate.usd:f}", per=rate.per) for unit, rate in price.rates.items()},
        source=price.source,
        supersedes=price.supersedes,
        recorded_at=instant_text(price.recorded_at_us),
    )
