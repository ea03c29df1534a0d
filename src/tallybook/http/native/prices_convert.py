"""Between prices on the wire and the pricing room."""

from collections.abc import Mapping

from tallybook.core.time_window import SECOND_US, instant_text, instant_text_or_none
from tallybook.http.native.prices_wire import (
    WEEKDAYS,
    CandidateShown,
    ChangeShown,
    ClaimShown,
    CompareQuery,
    ComparisonShown,
    DailyShown,
    DailyWanted,
    Matched,
    PriceShown,
    PriceWanted,
    RateShown,
    RateWanted,
    ResolutionShown,
    ResolveQuery,
    TierShown,
)
from tallybook.pricing.catalogue.changes import Change
from tallybook.pricing.comparison import Comparison, Judged
from tallybook.pricing.price import DailyWindow, NewPrice, Price, Rate, Tier
from tallybook.pricing.resolution import Candidate, Resolution


def to_new_price(wanted: PriceWanted) -> NewPrice:
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
    return DailyWindow(wanted.start, wanted.end, tuple(sorted({WEEKDAYS.index(day) for day in wanted.weekdays})))


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
    weekdays = [WEEKDAYS[day] for day in daily.weekdays]
    return DailyShown(start=_time_text(daily.start_us), end=_time_text(daily.end_us), weekdays=weekdays)


def _time_text(day_us: int) -> str:
    """`HH:MM`, with seconds where there are any."""
    minutes, seconds = divmod(day_us // SECOND_US, 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{seconds:02}" if seconds else text


def to_wire_resolution(asked: ResolveQuery, found: Resolution) -> ResolutionShown:
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


def to_wire_comparison(asked: CompareQuery, found: Comparison) -> ComparisonShown:
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


def to_wire_change(change: Change) -> ChangeShown:
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
