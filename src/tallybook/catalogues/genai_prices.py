"""The snapshot shipped with the `genai-prices` library, as a catalogue.

Only this module knows the library's shapes. It is run as a process of its own, which writes the snapshot as JSON:
the library's objects take half a second to load and many times the memory of what becomes of them.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

import msgspec
from genai_prices import __version__, types
from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data

from tallybook.core.time_window import DAY_US
from tallybook.pricing.catalogue.names import ModelNames, ProviderNames, Rule
from tallybook.pricing.catalogue.snapshot import Snapshot
from tallybook.pricing.match import Match
from tallybook.pricing.price import EARLIEST_US, DailyWindow, Mode, NewPrice, Rate, Tier

VERSION = f"genai-prices {__version__}"

COUNTER_OF: Mapping[str, str] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_5m_tokens": "cache_write_5m_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "cache_audio_read_tokens": "cache_read_audio_tokens",
    "input_image_tokens": "input_image_tokens",
    "output_image_tokens": "output_image_tokens",
    "cache_image_read_tokens": "cache_read_image_tokens",
    "input_characters": "characters",
    "audio_seconds": "audio_seconds",
    "input_audio_seconds": "audio_seconds",
    "web_searches": "web_searches",
    "requests": "requests",
}
"""The library's units that events have a counter for. The others (video tokens, pages, …) are left out."""

CLAIMED: Mapping[str, tuple[str, ...]] = {"openai": ("text-embedding-",), "cohere": ("embed-",)}
"""How names begin that the library lets no provider claim, though no one else makes such models."""

CONTEXT_OF: Mapping[Mode, Mapping[str, str]] = {
    Mode.STANDARD: {},
    Mode.BATCH: {"processing": "batch"},
    Mode.FLEX: {"service_tier": "flex"},
    Mode.PRIORITY: {"service_tier": "priority"},
    Mode.FAST: {"service_tier": "fast", "speed": "fast"},
}
"""How the library is told of a mode."""

_EXACT_DIGITS = 14
_KEPT_DIGITS = Context(prec=12, rounding=ROUND_HALF_EVEN)
_UNITS = {unit["price_key"]: (COUNTER_OF.get(name), unit["per"]) for name, unit in unit_data.items()}
_TimedPrice = types.ConditionalPrice | types.PriceVariant


def compile_snapshot() -> Snapshot:
    """Translates the whole snapshot."""
    providers = get_snapshot().providers
    prices = [
        price
        for provider in providers
        for model in provider.models
        for mode in Mode
        for price in prices_of(provider.id, model, mode)
    ]
    return Snapshot(VERSION, [_names_of(provider) for provider in providers], prices)


def without_dust(usd: Decimal) -> Decimal:
    """The rate its source meant. More than 14 significant digits are what a binary float left; 12 are kept."""
    return usd if len(usd.as_tuple().digits) <= _EXACT_DIGITS else _KEPT_DIGITS.normalize(usd)


def prices_of(provider_id: str, model: types.ModelInfo, mode: Mode) -> list[NewPrice]:
    """The prices of a model in a mode, each until the next begins.

    The library itself is asked what is in force, once for each stretch of days and part of the day in which that
    cannot change.
    """
    starts = [date.min, *sorted({start for start in map(_start_of, _timed(model, mode)) if start is not None})]
    sheets = {start: _sheet(model, mode, start) for start in starts}
    changing = [start for index, start in enumerate(starts) if not index or sheets[start] != sheets[starts[index - 1]]]
    ends = [*map(_day_us, changing[1:]), None]
    return [
        NewPrice(
            provider=provider_id,
            model=model.id,
            match=Match.EQUALS,
            mode=mode,
            effective_from_us=_day_us(start),
            effective_to_us=end_us,
            rates=rates,
            daily=daily,
            source=VERSION,
        )
        for start, end_us in zip(changing, ends, strict=True)
        for daily, rates in sheets[start]
        if rates
    ]


_Sheet = list[tuple[DailyWindow | None, Mapping[str, Rate]]]


def _sheet(model: types.ModelInfo, mode: Mode, start: date) -> _Sheet:
    """What is in force from that day on, by parts of the day."""
    day = max(start, date(1970, 1, 2))
    if mode is not Mode.STANDARD and not any(_is_active(variant, day) for variant in _variants(model, mode)):
        return []
    edges = sorted({edge for price in _timed(model, mode) for edge in _edges_of(price.constraint)})
    if not edges:
        return [(None, _rates_at(model, mode, day, time(0)))]
    parts = [(edge, _rates_at(model, mode, day, edge)) for edge in edges]
    begins = [part for index, part in enumerate(parts) if part[1] != parts[index - 1][1]]
    if not begins:
        return [(None, parts[0][1])]
    return [
        (DailyWindow(_time_us(edge), _time_us(begins[(index + 1) % len(begins)][0])), rates)
        for index, (edge, rates) in enumerate(begins)
    ]


def _rates_at(model: types.ModelInfo, mode: Mode, day: date, at: time) -> Mapping[str, Rate]:
    prices = model.get_prices(datetime.combine(day, at, UTC), CONTEXT_OF[mode])
    rates = {}
    for key, value in vars(prices).items():
        counter, per = _UNITS[key]
        if counter is not None and value is not None:
            rates[counter] = _rate(value, per)
    return rates


def _rate(value: Decimal | types.TieredPrices, per: int) -> Rate:
    if isinstance(value, Decimal):
        return Rate(without_dust(value), per)
    tiers = tuple(Tier(tier.start, without_dust(tier.price)) for tier in value.tiers)
    return Rate(without_dust(value.base), per, tiers)


def _timed(model: types.ModelInfo, mode: Mode) -> Sequence[_TimedPrice]:
    standard = model.prices if isinstance(model.prices, list) else []
    return [*standard, *_variants(model, mode)]


def _variants(model: types.ModelInfo, mode: Mode) -> Sequence[types.PriceVariant]:
    context = CONTEXT_OF[mode].items()
    return [variant for variant in model.price_variants or () if variant.when.items() <= context]


def _is_active(variant: types.PriceVariant, day: date) -> bool:
    return not isinstance(variant.constraint, types.StartDateConstraint) or variant.constraint.start_date <= day


def _start_of(price: _TimedPrice) -> date | None:
    return price.constraint.start_date if isinstance(price.constraint, types.StartDateConstraint) else None


def _edges_of(constraint: object) -> Iterable[time]:
    if isinstance(constraint, types.TimeOfDateConstraint):
        yield from map(_in_utc, (constraint.start_time, constraint.end_time))


def _in_utc(edge: time) -> time:
    if edge.tzinfo is None:
        return edge
    return datetime.combine(date(1970, 1, 2), edge).astimezone(UTC).time()


def _day_us(day: date) -> int:
    return EARLIEST_US if day == date.min else (day - date(1970, 1, 1)).days * DAY_US


def _time_us(at: time) -> int:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second) // timedelta(microseconds=1)


def _names_of(provider: types.Provider) -> ProviderNames:
    return ProviderNames(
        provider.id,
        None if provider.provider_match is None else rule_of(provider.provider_match),
        _claims_of(provider),
        tuple(provider.fallback_model_providers or ()),
        tuple(
            ModelNames(model.id, rule_of(model.match), model.name, model.context_window) for model in provider.models
        ),
    )


def _claims_of(provider: types.Provider) -> Rule | None:
    told = () if provider.model_match is None else (rule_of(provider.model_match),)
    rules = (*told, *(Rule("prefix", text) for text in CLAIMED.get(provider.id, ())))
    return Rule("any", rules=rules) if rules else None


def rule_of(clause: types.MatchLogic) -> Rule:
    match clause:
        case types.ClauseEquals():
            return Rule("equals", clause.equals)
        case types.ClauseStartsWith():
            return Rule("prefix", clause.starts_with)
        case types.ClauseEndsWith():
            return Rule("suffix", clause.ends_with)
        case types.ClauseContains():
            return Rule("contains", clause.contains)
        case types.ClauseRegex():
            return Rule("regex", clause.regex)
        case types.ClauseOr():
            return Rule("any", rules=tuple(map(rule_of, clause.or_)))
        case types.ClauseAnd():
            return Rule("all", rules=tuple(map(rule_of, clause.and_)))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(compile_snapshot()))
