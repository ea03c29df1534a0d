"""The library `genai-prices` as an oracle: what it charges, exactly, and what its snapshot holds."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, localcontext

from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price, types
from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data
from genai_prices.decompose import is_descendant_or_self
from genai_prices.units import UnitRegistry

from tallybook.catalogues.genai_prices import CONTEXT_OF, COUNTER_OF
from tallybook.core.counters import COUNTERS, Usage
from tallybook.core.time_window import DAY_US
from tallybook.pricing.price import Mode

PROVIDERS: Sequence[types.Provider] = get_snapshot().providers
REGISTRY = UnitRegistry(unit_data)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The library computes in the context it finds. Rates have at most 17 digits and counts 16; only what is billed by
# the hour does not come out even.
_WIDE = Context(prec=100)


def total_usd(provider_id: str, name: str, context: Mapping[str, str], at_us: int, usage: Usage) -> Decimal:
    """What the library charges in all, without rounding (but for thirds, in the hundredth digit)."""
    with localcontext(_WIDE):
        return calc_price(
            library_usage(usage),
            name,
            provider_id=provider_id,
            genai_request_timestamp=instant(at_us),
            price_context=context,
        ).total_price


def library_usage(usage: Usage) -> LibraryUsage:
    """Our counters under the library's names. It wants to be told of every overlap, also when there is none.

    It knows no number of requests, and of seconds of audio both how many there were and how many of them came in.
    """
    units = {unit: counter for unit, counter in COUNTER_OF.items() if unit != "requests"}
    return LibraryUsage(**{unit: _real(counter, usage.get(counter, 0)) for unit, counter in units.items()})


def rated_units(model: types.ModelInfo, context: Mapping[str, str], at_us: int) -> set[str]:
    """The library's units that the model has a rate for at that instant."""
    rates = vars(model.get_prices(instant(at_us), context))
    return {REGISTRY.unit_for_price_key(key).usage_key for key, rate in rates.items() if rate is not None}


def covers(rated: str, unit: str) -> bool:
    """Whether what is counted under `unit` is also counted under `rated`, by the library's own dimensions."""
    return is_descendant_or_self(REGISTRY.units[rated], REGISTRY.units[unit])


def variants(model: types.ModelInfo, mode: Mode) -> list[types.PriceVariant]:
    """What is said of the model in that mode in particular, at any time."""
    return [variant for variant in model.price_variants or () if variant.when.items() <= CONTEXT_OF[mode].items()]


def modes(model: types.ModelInfo) -> list[Mode]:
    """The modes that something is said of, at any time."""
    return [mode for mode in Mode if mode is Mode.STANDARD or variants(model, mode)]


def sheets(model: types.ModelInfo) -> Iterator[types.ModelPrice]:
    """Every sheet of the model, of any date and context."""
    standard = model.prices
    yield from [each.prices for each in standard] if isinstance(standard, list) else [standard]
    yield from (variant.prices for variant in model.price_variants or ())


def stated_rates(sheet: types.ModelPrice) -> Iterator[tuple[str, types.TieredPrices | Decimal]]:
    """The rates of a sheet by unit."""
    for key, rate in vars(sheet).items():
        if rate is not None:
            yield REGISTRY.unit_for_price_key(key).usage_key, rate


def all_rated_units(model: types.ModelInfo) -> set[str]:
    """The units that the model has a rate for at any time and in any context."""
    return {unit for sheet in sheets(model) for unit, _ in stated_rates(sheet)}


def amounts(rate: types.TieredPrices | Decimal) -> list[Decimal]:
    """A rate's amounts, the higher tiers last."""
    return [rate] if isinstance(rate, Decimal) else [rate.base, *(tier.price for tier in rate.tiers)]


def thresholds(model: types.ModelInfo) -> list[int]:
    """The lengths of context beyond which another rate holds."""
    rates = [rate for sheet in sheets(model) for _, rate in stated_rates(sheet)]
    return sorted({tier.start for rate in rates if isinstance(rate, types.TieredPrices) for tier in rate.tiers})


def start_dates(model: types.ModelInfo) -> list[int]:
    """The instants from which another price may hold."""
    found = [each for each in _constraints(model) if isinstance(each, types.StartDateConstraint)]
    return sorted({(each.start_date - date(1970, 1, 1)).days * DAY_US for each in found})


def times_of_day(model: types.ModelInfo) -> list[int]:
    """The microseconds after midnight UTC from which another price may hold."""
    found = [each for each in _constraints(model) if isinstance(each, types.TimeOfDateConstraint)]
    return sorted({_time_us(edge) for each in found for edge in (each.start_time, each.end_time)})


def instant(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _constraints(model: types.ModelInfo) -> list[object]:
    standard = model.prices if isinstance(model.prices, list) else []
    return [each.constraint for each in (*standard, *(model.price_variants or ()))]


def _time_us(edge: time) -> int:
    """Of a naive time or one with a fixed offset, which is all the snapshot has."""
    offset = edge.utcoffset() or timedelta(0)
    since_midnight = timedelta(hours=edge.hour, minutes=edge.minute, seconds=edge.second, microseconds=edge.microsecond)
    return (since_midnight - offset) // timedelta(microseconds=1) % DAY_US


def _real(counter: str, stored: int) -> int | Decimal:
    scale = COUNTERS[counter].scale
    return stored if scale == 1 else Decimal(stored) / scale
