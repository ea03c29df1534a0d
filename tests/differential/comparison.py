"""One rating compared with what the library charges: exactly, before anything is rounded, and then rounded."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from genai_prices import types
from msgspec import structs

from tallybook.catalogues.genai_prices import CONTEXT_OF, COUNTER_OF
from tallybook.core.counters import COUNTERS, Usage
from tallybook.core.money import PICO_PER_USD
from tallybook.pricing.cost import Pricing, Rating, context_tokens
from tallybook.pricing.pools import deal_for, deal_out
from tallybook.pricing.price import Mode, Price, Rate
from tests.catalogue import price_book, prices
from tests.differential import oracle
from tests.differential.stated_differences import DUST, MINIMUM_SECONDS

BOOK = price_book()
# Amounts that come out even have fewer digits by far: closer than this, they are equal.
_LAST_DIGIT = Fraction(1, 10**60)
_UNITS_OF = {counter: [unit for unit, of in COUNTER_OF.items() if of == counter] for counter in COUNTERS}
# Retentions that the library does not know are part of what it knows as written to the cache.
_UNITS_OF |= {counter: ["cache_write_tokens"] for counter in ("cache_write_30m_tokens", "cache_write_12h_tokens")}


def rating(provider_id: str, name: str, mode: Mode, at_us: int, usage: Usage) -> Rating:
    tier = None if mode in (Mode.STANDARD, Mode.BATCH) else mode.value
    batch = mode is Mode.BATCH
    return BOOK.rating(
        "acme", provider=provider_id, model=name, service_tier=tier, batch=batch, at_us=at_us, usage=usage
    )


def check(
    model: types.ModelInfo, mode: Mode, at_us: int, usage: Usage, *, maker_id: str, seller_id: str, name: str
) -> None:
    """Fails unless the rating is the library's, but for what is stated."""
    ours = rating(seller_id, name, mode, at_us, usage)
    price = None if ours.price_id is None else prices()[ours.price_id]
    if price is not None:
        assert (price.provider, price.model, price.mode) == (maker_id, model.id, mode)
    theirs = oracle.total_usd(seller_id, name, CONTEXT_OF[mode], at_us, usage)
    alike = exact_lines({} if price is None else _with_dust(price), _not_too_short(usage, seller_id, model.id))
    assert abs(sum(alike.values()) - Fraction(theirs)) < _LAST_DIGIT
    unpriced = _charged_nothing(oracle.rated_units(model, CONTEXT_OF[mode], at_us), usage)
    exact = exact_lines({} if price is None else price.rates, usage)
    assert structs.replace(ours, pools=()) == _rounded(exact, unpriced, ours.price_id, ours.matched)


def exact_lines(rates: Mapping[str, Rate], usage: Usage) -> dict[str, Fraction]:
    """US dollars by unit, not rounded: what each pool holds times its rate."""
    reported = {counter: value for counter, value in {"requests": 1, **usage}.items() if value > 0}
    pools, _ = deal_out(deal_for(reported, rates), reported)
    context = context_tokens(usage)
    return {
        unit: Fraction(_usd_for(rate, context)) * pools.get(unit, 0) / (rate.per * COUNTERS[unit].scale)
        for unit, rate in rates.items()
    }


def _usd_for(rate: Rate, context: int) -> Decimal:
    usd = rate.usd
    for tier in rate.tiers:
        if context > tier.above:
            usd = tier.usd
    return usd


def _with_dust(price: Price) -> dict[str, Rate]:
    """The rates of a price as the library has them."""
    stated = {unit: DUST.get((price.provider or "", price.model, unit), {}) for unit in price.rates}
    dusty = {unit: {Decimal(clean): Decimal(raw) for raw, clean in dust.items()} for unit, dust in stated.items()}
    return {unit: Rate(dusty[unit].get(rate.usd, rate.usd), rate.per, rate.tiers) for unit, rate in price.rates.items()}


def _not_too_short(usage: Usage, provider_id: str, model_id: str) -> Usage:
    """A usage as the library bills it."""
    least = MINIMUM_SECONDS.get((provider_id, model_id), 0) * COUNTERS["audio_seconds"].scale
    return {**usage, "audio_seconds": least} if 0 < usage.get("audio_seconds", 0) < least else usage


def _charged_nothing(rated: set[str], usage: Usage) -> tuple[str, ...]:
    """The reported units for which the library has no rate, and so charges nothing."""
    return tuple(
        name
        for name, counter in COUNTERS.items()
        if counter.billable and usage.get(name, 0) > 0
        if not any(oracle.covers(rate, unit) for unit in _UNITS_OF[name] for rate in rated)
    )


def _rounded(
    exact: Mapping[str, Fraction], unpriced: tuple[str, ...], price_id: str | None, matched: str | None
) -> Rating:
    """The rating of exact lines in US dollars, each of which is rounded once, half-even."""
    lines = [(unit, round(exact.get(unit, Fraction(0)) * PICO_PER_USD)) for unit in COUNTERS]
    state = Pricing.UNPRICED if unpriced else Pricing.PRICED if any(exact.values()) else Pricing.FREE
    cost_pico = sum(amount for _, amount in lines)
    kept = tuple((unit, amount) for unit, amount in lines if amount)
    return Rating(state, None if unpriced else cost_pico, cost_pico, kept, unpriced, price_id, matched)
