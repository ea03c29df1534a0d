"""A price: a dated fact about what the units of a model cost. Appended, never edited."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from tallybook.core.counters import COUNTERS, PARTS, Aggregate
from tallybook.core.errors import Fault
from tallybook.core.money import COST_USD_MAX, COUNTER_MAX
from tallybook.core.time_window import DAY_US, instant_text, parse_instant
from tallybook.core.unit_of_work import Record
from tallybook.pricing.match import BadPattern, Match, name_test

EARLIEST_US = parse_instant("1970-01-01T00:00:00Z")
LATEST_US = parse_instant("2200-01-01T00:00:00Z")
PER_MAX = 10**12
TIERS_MAX = 10
AT_LEAST_MAX = 10**6

CONDITIONS = ("context_level", "image_operation", "image_quality", "image_size")
"""The fields of an event, besides its model and mode, that a price may be for certain words of."""

CONDITION_TEXT_MAX = 255

_TOKENS = {*PARTS, *(part for groups in PARTS.values() for group in groups for part in group)}

RATED_UNITS = frozenset(name for name, counter in COUNTERS.items() if counter.aggregate is Aggregate.SUM)
"""What a price may have a rate for: every counter that adds up."""


class Mode(StrEnum):
    """How a call was served. A price is for one mode and says nothing about the others."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    FAST = "fast"


# What providers call the tier that is not special: OpenAI, Groq, Anthropic.
_STANDARD = ("", "auto", "default", "on_demand", "standard_only")
_MODES = dict.fromkeys(_STANDARD, Mode.STANDARD) | {mode.value: mode for mode in Mode}


def mode_of(service_tier: str | None, batch: bool) -> Mode | None:
    """The mode of a call that names this service tier, or None for a tier no price can be for.

    An unknown tier is not taken for the standard one: a mistyped word would silently get the standard price.
    """
    if batch:
        return Mode.BATCH
    return _MODES.get("" if service_tier is None else service_tier.lower())


class Origin(StrEnum):
    """Where a price comes from, in the order of precedence: an org, Tallybook's overlay, the built-in catalogue."""

    ORG = "org"
    OVERLAY = "overlay"
    CATALOGUE = "catalogue"


@dataclass(frozen=True)
class Tier:
    """`usd` takes the place of the rate's own where the context is longer than `above` input tokens.

    It is then for all units of the event, not just for those beyond.
    """

    above: int
    usd: Decimal


@dataclass(frozen=True)
class Rate:
    """`usd` US dollars for every `per` units (tokens, seconds, requests …), exactly as its source says.

    `tiers` rise by `above`; the last one that the context exceeds counts. Of what is reported at all, `at_least` so
    many units are charged for each request.
    """

    usd: Decimal
    per: int
    tiers: tuple[Tier, ...] = ()
    at_least: int = 0

    def to_record(self) -> Record:
        """Plain values, decimals as text."""
        tiers = [{"above": tier.above, "usd": f"{tier.usd:f}"} for tier in self.tiers]
        return {
            "usd": f"{self.usd:f}",
            "per": self.per,
            **({"tiers": tiers} if tiers else {}),
            **({"at_least": self.at_least} if self.at_least else {}),
        }


def rates_for(rates: Mapping[str, Rate], context: int) -> dict[str, Rate]:
    """The rates of a call with that many input tokens, without tiers."""
    return {unit: replace(rate, usd=_usd_for(rate, context), tiers=()) for unit, rate in rates.items()}


def _usd_for(rate: Rate, context: int) -> Decimal:
    return next((tier.usd for tier in reversed(rate.tiers) if context > tier.above), rate.usd)


@dataclass(frozen=True)
class DailyWindow:
    """A part of each UTC day: from `start_us` to before `end_us` after midnight; over midnight if the end is less.

    `weekdays`: only of the days that it begins on, Monday is 0; none named are all.
    """

    start_us: int
    end_us: int
    weekdays: tuple[int, ...] = ()

    def covers(self, at_us: int) -> bool:
        """Whether that instant lies inside."""
        day, day_us = divmod(at_us, DAY_US)
        if self.start_us <= self.end_us:
            return self.start_us <= day_us < self.end_us and self._begins_on(day)
        if day_us >= self.start_us:
            return self._begins_on(day)
        return day_us < self.end_us and self._begins_on(day - 1)

    def _begins_on(self, day: int) -> bool:
        return not self.weekdays or (day + _WEEKDAY_OF_DAY_0) % 7 in self.weekdays


_WEEKDAY_OF_DAY_0 = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, kw_only=True)
class NewPrice:
    """One version of a model's whole rate sheet, about to be recorded.

    In force for events with `effective_from_us <= occurred_at < effective_to_us` (None: until further
    notice), and with `daily` only in that part of each day. `provider` None: whichever provider an event
    names. `when` narrows it to events that say so: fields of `CONDITIONS` and their words, in the order of the fields.
    `supersedes` is the id of a price that was wrong and takes part no more.
    """

    provider: str | None
    model: str
    match: Match
    mode: Mode
    effective_from_us: int
    effective_to_us: int | None
    rates: Mapping[str, Rate]
    daily: DailyWindow | None = None
    when: tuple[tuple[str, str], ...] = ()
    source: str | None = None
    supersedes: str | None = None

    @property
    def key(self) -> "PriceKey":
        """What the price is for. Of an owner's prices with the same key, the one that began last counts."""
        provider = None if self.provider is None else self.provider.lower()
        # In a pattern the case has a meaning: \d and \D are opposites.
        model = self.model if self.match is Match.REGEX else self.model.lower()
        return provider, model, self.match, self.mode, lowered(self.when)


PriceKey = tuple[str | None, str, Match, Mode, tuple[tuple[str, str], ...]]


def lowered(when: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Conditions as they are compared: letter case never matters."""
    return tuple((name, word.lower()) for name, word in when)


@dataclass(frozen=True, kw_only=True)
class Price(NewPrice):
    """A recorded price of one org, or with `org_id` None of every org."""

    id: str
    org_id: str | None
    origin: Origin
    recorded_at_us: int

    def to_record(self) -> Record:
        """Plain values for the admin log; decimals as text."""
        rates = {unit: rate.to_record() for unit, rate in self.rates.items()}
        daily = None if self.daily is None else vars(self.daily)
        return {**vars(self), "rates": rates, "daily": daily, "when": dict(self.when)}


def faults_of(price: NewPrice) -> list[Fault]:
    """Everything that keeps the price out, each with the field's place inside the price."""
    faults = [*_pattern_faults(price), *_range_faults(price), *_window_faults(price), *_condition_faults(price)]
    if not price.rates:
        faults.append(Fault(("rates",), "must have at least one rate"))
    for unit, rate in price.rates.items():
        faults.extend(_rate_faults(unit, rate))
    return faults


def _pattern_faults(price: NewPrice) -> Iterator[Fault]:
    try:
        name_test(price.match, price.model)
    except BadPattern as error:
        yield Fault(("model",), str(error))


def _range_faults(price: NewPrice) -> Iterator[Fault]:
    bounds = f"must lie between {instant_text(EARLIEST_US)} and {instant_text(LATEST_US)}"
    if not EARLIEST_US <= price.effective_from_us <= LATEST_US:
        yield Fault(("effective_from",), bounds)
    if price.effective_to_us is None:
        return
    if not EARLIEST_US <= price.effective_to_us <= LATEST_US:
        yield Fault(("effective_to",), bounds)
    if price.effective_to_us <= price.effective_from_us:
        yield Fault(("effective_to",), "must be later than effective_from")


def _window_faults(price: NewPrice) -> Iterator[Fault]:
    if price.daily is None:
        return
    for end, offset_us in (("from", price.daily.start_us), ("to", price.daily.end_us)):
        if not 0 <= offset_us < DAY_US:
            yield Fault(("daily", end), "must be a time of day")
    if price.daily.start_us == price.daily.end_us:
        yield Fault(("daily", "to"), "must differ from its beginning; leave daily out for the whole day")
    if any(weekday not in range(7) for weekday in price.daily.weekdays):
        yield Fault(("daily", "weekdays"), "must be days of the week")


def _condition_faults(price: NewPrice) -> Iterator[Fault]:
    for name, word in price.when:
        if name not in CONDITIONS:
            yield Fault(("when", name), f"must be one of {', '.join(CONDITIONS)}")
        elif not 1 <= len(word) <= CONDITION_TEXT_MAX:
            yield Fault(("when", name), f"must have 1 to {CONDITION_TEXT_MAX} characters")


def _rate_faults(unit: str, rate: Rate) -> Iterator[Fault]:
    if unit not in RATED_UNITS:
        yield Fault(("rates", unit), "is no unit that a price can have a rate for")
    if _is_no_amount(rate.usd):
        yield Fault(("rates", unit, "usd"), _AMOUNT)
    if not 1 <= rate.per <= PER_MAX:
        yield Fault(("rates", unit, "per"), f"must be between 1 and {PER_MAX}")
    if not 0 <= rate.at_least <= AT_LEAST_MAX:
        yield Fault(("rates", unit, "at_least"), f"must be between 0 and {AT_LEAST_MAX}")
    if rate.at_least and unit in _TOKENS:
        yield Fault(("rates", unit, "at_least"), "is not for tokens, which are parts of each other")
    if len(rate.tiers) > TIERS_MAX:
        yield Fault(("rates", unit, "tiers"), f"must be at most {TIERS_MAX}")
        return
    least = 0
    for index, tier in enumerate(rate.tiers):
        if not least < tier.above <= COUNTER_MAX:
            yield Fault(("rates", unit, "tiers", index, "above"), f"must be between {least + 1} and {COUNTER_MAX}")
        if _is_no_amount(tier.usd):
            yield Fault(("rates", unit, "tiers", index, "usd"), _AMOUNT)
        least = max(least, tier.above)


_AMOUNT = f"must be between 0 and {COST_USD_MAX}"


def _is_no_amount(usd: Decimal) -> bool:
    return usd.is_signed() or usd > COST_USD_MAX
