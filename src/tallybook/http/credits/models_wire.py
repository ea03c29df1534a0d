"""Models on the wire, field by field (contract section 10), and their conversion."""

from collections.abc import Mapping

from msgspec import UNSET, Raw, Struct, UnsetType, field

from tallybook.http.credits.money import to_wire_rate
from tallybook.http.credits.usage_told import is_told, to_seconds_micro
from tallybook.http.credits.wire import Count, Id, Number, NumberOrNull, Paged, Pagination, Text, TypeOfUsage
from tallybook.pricing.listing import Kind, Model
from tallybook.pricing.price import Rate
from tallybook.settlement.model import UsageType
from tallybook.settlement.quantities import Quantities

_MILLION = 1_000_000
_MINUTE = 60


class ModelsAsked(Paged, rename="camel"):
    model_id: Id | None = None
    provider: Text | None = None
    tier: Text | None = None


class CalculateWanted(Struct, rename="camel"):
    model_id: Id
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    usage_type: TypeOfUsage | None = None
    audio_duration_seconds: NumberOrNull = field(default_factory=Raw)


class Rates(Struct, rename="camel"):
    """US dollars; those that the model has no rate for are left out."""

    input_per_million: Number | UnsetType = UNSET
    output_per_million: Number | UnsetType = UNSET
    cached_input_per_million: Number | UnsetType = UNSET
    per_minute: Number | UnsetType = UNSET
    per_million_characters: Number | UnsetType = UNSET


class ModelPricing(Struct, rename="camel"):
    context_window: int | None
    text: Rates | UnsetType = UNSET
    embedding: Rates | UnsetType = UNSET
    audio: Rates | UnsetType = UNSET


class ModelShown(Struct, rename="camel"):
    model_id: str
    provider: str | None
    display_name: str
    model_type: str
    tier: str
    pricing: ModelPricing


class ModelList(Struct):
    """Of the one model asked for by its id `model`, else `models`."""

    models: list[ModelShown] | UnsetType = UNSET
    model: ModelShown | UnsetType = UNSET
    pagination: Pagination | UnsetType = UNSET
    success: bool = True


class Calculated(Struct, rename="camel"):
    model_id: str
    model_name: str
    estimated_cost_usd: Number
    pricing: Rates
    success: bool = True


def model_shown(model: Model) -> ModelShown:
    return ModelShown(
        model_id=model.id,
        provider=model.provider,
        display_name=model.title,
        model_type=model.kind.value,
        tier=model.tier.value,
        pricing=_pricing_shown(model),
    )


def rates_shown(rates: Mapping[str, Rate]) -> Rates:
    return Rates(
        input_per_million=_per(rates, "input_tokens", _MILLION),
        output_per_million=_per(rates, "output_tokens", _MILLION),
        cached_input_per_million=_per(rates, "cache_read_tokens", _MILLION),
        per_minute=_per(rates, "audio_seconds", _MINUTE),
        per_million_characters=_per(rates, "characters", _MILLION),
    )


def to_usage_type(wanted: CalculateWanted) -> UsageType:
    """As said; else audio where nothing but a duration is."""
    if wanted.usage_type is not None:
        return UsageType(wanted.usage_type)
    tokens = (wanted.input_tokens, wanted.output_tokens, wanted.cached_tokens)
    only_seconds = is_told(wanted.audio_duration_seconds) and tokens == (None, None, None)
    return UsageType.AUDIO_STT if only_seconds else UsageType.TEXT


def to_quantities(wanted: CalculateWanted) -> Quantities:
    """Tokens that are not told of are none."""
    return Quantities(
        wanted.input_tokens or 0,
        wanted.output_tokens or 0,
        wanted.cached_tokens or 0,
        to_seconds_micro(wanted.audio_duration_seconds),
    )


def _pricing_shown(model: Model) -> ModelPricing:
    rates = model.price.rates
    tokens = {unit: rate for unit, rate in rates.items() if unit in _OF_TOKENS}
    sound = {unit: rate for unit, rate in rates.items() if unit in _OF_SOUND}
    pricing = ModelPricing(model.context_window)
    if model.kind is Kind.EMBEDDING:
        pricing.embedding = rates_shown(tokens)
    elif tokens:
        pricing.text = rates_shown(tokens)
    if sound:
        pricing.audio = rates_shown(sound)
    return pricing


_OF_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens")
_OF_SOUND = ("audio_seconds", "characters")


def _per(rates: Mapping[str, Rate], unit: str, units: int) -> Raw | UnsetType:
    rate = rates.get(unit)
    return UNSET if rate is None else to_wire_rate(rate, units)
