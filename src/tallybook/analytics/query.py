"""Questions about usage, as every dialect asks them: by whom, over which window, how grouped and filtered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tallybook.core.counters import COUNTERS, Aggregate
from tallybook.core.errors import Fault, InvalidInput
from tallybook.core.time_window import UTC_ZONE, Bucket

BUCKETS_MAX = 1_440
"""Most buckets of one page, in every dialect; of an answer without pages, unless its question says otherwise."""

EVENTS_MAX = 1_000
"""Most events of one page of a list."""


class Dimension(StrEnum):
    """What usage can be grouped and filtered by."""

    KIND = "kind"
    PROVIDER = "provider"
    MODEL = "model"
    OPERATION = "operation"
    PROJECT_ID = "project_id"
    TEAM_ID = "team_id"
    USER_ID = "user_id"
    EXTERNAL_USER_ID = "external_user_id"
    API_KEY_ID = "api_key_id"
    ACCOUNT_ID = "account_id"
    CONTEXT = "context"
    SERVICE_TIER = "service_tier"
    BATCH = "batch"
    BACKGROUND = "background"
    IMAGE_SIZE = "image_size"
    IMAGE_QUALITY = "image_quality"
    IMAGE_OPERATION = "image_operation"
    VECTOR_STORE_ID = "vector_store_id"
    CONTEXT_LEVEL = "context_level"
    API_SOURCE = "api_source"
    SESSION_KIND = "session_kind"
    SESSION_ID = "session_id"
    ENDPOINT = "endpoint"
    TRANSACTION_ID = "transaction_id"
    PRICING = "pricing"
    ORG_ID = "org_id"


Value = str | bool
"""A filter value: a boolean for `batch` and `background`, text for every other dimension."""


@dataclass(frozen=True)
class Measure:
    """A number of each result row: an integer of 10^-decimals units (6: micro-units, 12: picodollars)."""

    name: str
    decimals: int = 0
    aggregate: Aggregate = Aggregate.SUM


def _measures() -> Iterable[Measure]:
    yield Measure("requests")  # an event that names none counts as one
    for counter in COUNTERS.values():
        if counter.name != "requests":
            yield Measure(counter.name, 6 if counter.is_decimal else 0, counter.aggregate)
    yield Measure("cost_usd", 12)  # of events whose cost is known in full
    yield Measure("known_cost_usd", 12)  # and the rated lines of the unpriced ones
    yield Measure("unpriced_requests")
    yield Measure("events")  # however many requests each is for
    yield Measure("unpriced_events")
    yield Measure("uncached_audio_tokens")  # of the input; where an event does not tell, caching comes first
    yield Measure("uncached_image_tokens")
    yield Measure("web_search_calls")  # web searches; an event that names none counts as its requests
    yield Measure("sessions")  # distinct ones of an org; an event without session counts as one


MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _measures()}

DEFAULT_MEASURES = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cost_usd",
    "unpriced_requests",
)


@dataclass(frozen=True)
class Condition:
    """At least one of `dimensions` has one of `values`; with `excluded`, none has."""

    dimensions: tuple[Dimension, ...]
    values: tuple[Value, ...]
    excluded: bool = False


def conditions_of(filters: Iterable[tuple[tuple[Dimension, ...], Iterable[Value]]]) -> tuple[Condition, ...]:
    """One condition per filter with values; repeated ones count once, so that equal questions are equal."""
    return tuple(Condition(dimensions, tuple(sorted(set(values)))) for dimensions, values in filters if values)


@dataclass(frozen=True)
class Reach:
    """What the asker may see: these orgs (None: all) and, where set, only rows of that user, key or end user.

    `asker` is the id of the key that asks: a cursor serves nobody else.
    """

    asker: str
    org_ids: tuple[str, ...] | None
    user_id: str | None = None
    api_key_id: str | None = None
    external_user_id: str | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        walls = (
            (Dimension.USER_ID, self.user_id),
            (Dimension.API_KEY_ID, self.api_key_id),
            (Dimension.EXTERNAL_USER_ID, self.external_user_id),
        )
        return tuple(Condition((dimension,), (only,)) for dimension, only in walls if only is not None)

    def sees(self, fields: Mapping[str, object]) -> bool:
        """Whether an event with these fields is one of the asker's, as far as its org is."""
        return all(fields.get(name) in each.values for each in self.conditions for name in each.dimensions)


@dataclass(frozen=True)
class UsageQuery:
    """Usage in time buckets. Instants are microseconds; the window is half-open.

    `end_us` None: now, frozen over the pages of a walk. `whole_buckets` widens the window to whole buckets;
    otherwise the outer two are clipped to it. `whole_seconds` moves that `now` up to a full second. `limit` None: all
    buckets at once, `buckets_max` at most. `page`: the `next_page` of the page before.
    `with_voided`: usage of voided events counts too.
    """

    reach: Reach
    start_us: int
    end_us: int | None = None
    bucket: Bucket = Bucket.DAY
    zone: ZoneInfo = UTC_ZONE
    whole_buckets: bool = False
    whole_seconds: bool = False
    group_by: tuple[Dimension, ...] = ()
    conditions: tuple[Condition, ...] = ()
    measures: tuple[str, ...] = DEFAULT_MEASURES
    as_of_us: int | None = None
    limit: int | None = None
    buckets_max: int = BUCKETS_MAX
    page: str | None = None
    with_voided: bool = False

    def check(self) -> None:
        """Raises `InvalidInput` with every fault, each under `("query", name)`."""
        faults = _paging_faults(self.limit, BUCKETS_MAX) + _window_faults(self.start_us, self.end_us)
        unknown = [name for name in self.measures if name not in MEASURES]
        faults += [Fault(("query", "measures"), f"{name!r} is no measure") for name in unknown]
        if not self.measures:
            faults.append(Fault(("query", "measures"), "name at least one measure"))
        _raise_any(faults)

    @property
    def question(self) -> str:
        """Names the question apart from the page that is asked for; cursors are bound to it."""
        return repr(replace(self, limit=None, page=None))


GIVEN = "given"
"""Stands for the unit where the caller supplied the cost."""


class LineItem(NamedTuple):
    """What a line of a cost is for: a unit of a model, in a report `gpt-4o, input_tokens`."""

    model: str | None
    unit: str

    @property
    def text(self) -> str:
        return self.unit if self.model is None else f"{self.model}, {self.unit}"

    @staticmethod
    def of(text: str) -> "LineItem":
        model, comma, unit = text.rpartition(", ")
        return LineItem(model if comma else None, unit)


@dataclass(frozen=True)
class LineQuery(UsageQuery):
    """Costs line by line, of events whose cost is known in full. `line_items` (): all; `measures` play no part."""

    line_items: tuple[LineItem, ...] = ()


@dataclass(frozen=True)
class EventQuery:
    """Events, newest first. `start_us` and `end_us` None: no bound on that side.

    A walk through pages goes by `page`; its first page passes over `offset` events, which takes the longer the more
    they are. `with_voided`: voided events are listed too, as they were last. `with_total`: it is told how many events
    there are on all pages, which are then asked for by their offset alone. `wanted`: of fields and counters these are
    told, and nothing of how they were rated; None: everything, which takes the longer to read.
    """

    reach: Reach
    start_us: int | None = None
    end_us: int | None = None
    conditions: tuple[Condition, ...] = ()
    ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    as_of_us: int | None = None
    limit: int = 50
    offset: int = 0
    page: str | None = None
    with_voided: bool = False
    with_total: bool = False
    wanted: tuple[str, ...] | None = None

    def check(self) -> None:
        """Raises `InvalidInput` with every fault, each under `("query", name)`."""
        faults = _paging_faults(self.limit, EVENTS_MAX)
        if self.start_us is not None:
            faults += _window_faults(self.start_us, self.end_us)
        _raise_any(faults)

    @property
    def question(self) -> str:
        """As in `UsageQuery`."""
        return repr(replace(self, limit=1, page=None))


def _paging_faults(limit: int | None, limit_max: int) -> list[Fault]:
    if limit is None or 1 <= limit <= limit_max:
        return []
    return [Fault(("query", "limit"), f"must be between 1 and {limit_max}")]


def _window_faults(start_us: int, end_us: int | None) -> list[Fault]:
    if end_us is None or start_us < end_us:
        return []
    return [Fault(("query", "end"), "must be later than start")]


def _raise_any(faults: Sequence[Fault]) -> None:
    if faults:
        raise InvalidInput(tuple(faults))
