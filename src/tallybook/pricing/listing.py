"""The models that usage can be recorded for by one text each, and what they cost. Pure.

Such a text is the `model` of an event that names no provider. The catalogue's models, and those that a price of the
overlay or the org names exactly, are listed; patterns price what they fit, and name nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tallybook.pricing.catalogue.names import Named, texts_of
from tallybook.pricing.cost import Rating
from tallybook.pricing.offers import Common, Offer, Shelf, offers_for, understood
from tallybook.pricing.price import Mode, Price, Rate

_MODE = Mode.STANDARD


class Kind(StrEnum):
    """What a model works on, as far as its rates tell."""

    TEXT = "text"
    EMBEDDING = "embedding"
    MULTIMODAL = "multimodal"
    AUDIO = "audio"
    IMAGE = "image"
    OTHER = "other"


class Class(StrEnum):
    """How dear a model is: by US dollars per million input tokens, and standard where it is not priced by these."""

    FLAGSHIP = "flagship"
    STANDARD = "standard"
    ECONOMY = "economy"
    FREE = "free"


_FLAGSHIP_FROM_USD = Decimal(2)
_STANDARD_FROM_USD = Decimal("0.5")
_MILLION = 1_000_000


@dataclass(frozen=True)
class Model:
    """A model with the price in force. `id` is the text that names it, `title` is for people.

    `provider` is unknown only of what an org priced without saying whose it is. `context_window` is the most input
    tokens, where known.
    """

    id: str
    provider: str | None
    title: str
    context_window: int | None
    price: Price

    @property
    def kind(self) -> Kind:
        return _kind_of(self.price.rates)

    @property
    def tier(self) -> Class:
        rate = self.price.rates.get("input_tokens")
        return Class.STANDARD if rate is None else _class_of(rate.usd * _MILLION / rate.per)


@dataclass(frozen=True)
class Estimate:
    """What a usage of a model is rated as, and the rates for a context of its length."""

    model: Model
    rates: Mapping[str, Rate]
    rating: Rating


@dataclass(frozen=True)
class Listed:
    """A model that is priced at some time, with all its prices in the order of precedence."""

    id: str
    provider: str | None
    title: str
    context_window: int | None
    named: Named | None
    offers: Sequence[Offer]

    def at(self, at_us: int) -> Model | None:
        """With the price in force at that instant, if there is one that a name alone is enough for."""
        offer = next((offer for offer in self.offers if not offer.when and offer.is_in_force(at_us)), None)
        if offer is None:
            return None
        return Model(self.id, self.provider, self.title, self.context_window, offer.price)

    def is_priced_as(self, other: "Listed") -> bool:
        """Whether both are the same model, at the same price at all times."""
        return (self.named, self.offers) == (other.named, other.offers)


def list_models(own: Shelf, common: Common) -> tuple[Listed, ...]:
    """Every model of the org once, by provider and id. Each `id` leads back to its model, as `find_model` does."""
    found: dict[str, Listed] = {}
    for model in (*_of_catalogue(own, common), *_of_prices(own, common)):
        found.setdefault(model.id.lower(), model)
    return tuple(sorted(found.values(), key=lambda model: (model.provider or "", model.id)))


def find_model(own: Shelf, common: Common, name: str, provider: str | None = None) -> Listed:
    """What usage gets that names these; without `offers` where there is no price."""
    asked = understood(own, common, provider, name)
    offers = sorted(offers_for(own, common, asked, _MODE), key=lambda offer: offer.rank(asked))
    seller = asked.seller or asked.first_party or next(_providers(offers), None)
    if asked.named is None:
        return Listed(name, seller, name, None, None, offers)
    known = common.names.models[asked.named.provider, asked.named.model]
    return Listed(name, seller, known.title or known.id, known.context_window, asked.named, offers)


def _of_catalogue(own: Shelf, common: Common) -> Iterator[Listed]:
    for (provider, model), names in common.names.models.items():
        # Not every model is called by its id.
        for name in dict.fromkeys((model, *texts_of(names.rule))):
            meant = find_model(own, common, name, provider)
            if meant.named is None or (meant.named.provider, meant.named.model) != (provider, model):
                continue
            if listed := _addressed(own, common, meant, name, provider):
                yield listed
                break


def _of_prices(own: Shelf, common: Common) -> Iterator[Listed]:
    for price in (*own.exact(_MODE), *common.overlay.exact(_MODE)):
        meant = find_model(own, common, price.model, price.provider)
        if listed := _addressed(own, common, meant, price.model, price.provider):
            yield listed


def _addressed(own: Shelf, common: Common, meant: Listed, name: str, provider: str | None) -> Listed | None:
    """The model under the bare name if that means it, else behind its provider; None if neither does."""
    if not meant.offers:
        return None
    ids = (name,) if provider is None else (name, f"{provider}:{name}")
    addressed = (find_model(own, common, each) for each in ids)
    return next((each for each in addressed if each.is_priced_as(meant)), None)


def _providers(offers: Sequence[Offer]) -> Iterator[str]:
    return (offer.provider for offer in offers if offer.provider is not None)


def _kind_of(rates: Mapping[str, Rate]) -> Kind:
    units = set(rates)
    if "input_tokens" not in units and "output_tokens" not in units:
        if units & {"audio_seconds", "characters"}:
            return Kind.AUDIO
        return Kind.IMAGE if units & {"images", "input_image_tokens", "output_image_tokens"} else Kind.OTHER
    if not any(unit.startswith("output_") for unit in units):
        return Kind.EMBEDDING
    if any("audio" in unit or "image" in unit for unit in units):
        return Kind.MULTIMODAL
    return Kind.TEXT


def _class_of(usd_per_million: Decimal) -> Class:
    if usd_per_million >= _FLAGSHIP_FROM_USD:
        return Class.FLAGSHIP
    if usd_per_million >= _STANDARD_FROM_USD:
        return Class.STANDARD
    return Class.ECONOMY if usd_per_million else Class.FREE
