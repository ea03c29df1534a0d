"""Usage out of providers' answers, by the extraction of the `genai-prices` library."""

import pickle
import re
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ArrayMatch, ClauseEquals, Provider, UsageExtractor, UsageExtractorMapping

from tallybook.catalogues.extractors import TOOLS
from tallybook.catalogues.folding import folded, is_number
from tallybook.catalogues.genai_prices import COUNTER_OF
from tallybook.core.counters import COUNTERS
from tallybook.core.money import COUNTER_MAX, DIGITS_MAX, NotANumber, parse_number, scaled
from tallybook.metering.answers import Told, UnreadableAnswer
from tallybook.pricing.errors import CatalogueUnreadable

_DEFINITIONS = "tallybook.catalogues.extractors"
_USUAL = "openai"
"""Whose format answers of a provider without definitions are taken to be in, as most gateways and servers speak it."""

_HOLDERS = ("usage", "usageMetadata", "usage_info", "meta", "tokenUsage")
"""What answers call the object that tells the usage."""

_KEPT = (*_HOLDERS, "usage_metadata", "model", "modelVersion", "model_version", "service_tier", "tool_usage", "choices")
"""What a streamed answer is read by; `choices` only tell that it is a chat."""

_NEVER_GUESSED = {
    "tokens",  # Cohere's other count: what it bills is the default
    "ocr_annotated",  # the same answer as `ocr`; the annotation stands in the request
}
_RESTATED = {"input_text_tokens", "output_text_tokens", "cache_text_read_tokens"}
"""What the library makes of the rest of a total, which is no counter of ours: the total holds it."""

_NO_COUNT = re.compile(r"total|text_tokens$|cache_miss_tokens$|_time$|cost", re.IGNORECASE)
"""Fields of a usage that count nothing more: sums and what is left of them, times, amounts of money."""


class _Reading(NamedTuple):
    """What one definition made of an answer; the best is the one that takes most of it."""

    model: str | None
    usage: Mapping[str, Any]
    extractor: UsageExtractor
    view: Mapping[str, Any]


def read_answer(answer: Any, provider: str | None, model: str | None) -> Told:
    """As `ReadAnswer`. The first call takes some seconds, while the library's definitions are loaded."""
    whole = _joined(answer) if isinstance(answer, list) else answer
    if not isinstance(whole, Mapping):
        raise UnreadableAnswer("must be an answer's object, or the list of a streamed answer's chunks")
    views = [_in_camel_case(view) for view in _views(whole)]
    holders = [(name, view[name]) for view in views for name in _HOLDERS if _holds_anything(view.get(name))]
    if not holders:
        return Told(None, _model_of(views))
    for name, holder in holders:
        _check_numbers(name, holder)
    extractors = _extractors_of(provider, model)
    best = _best_reading(views, [each for each in extractors if each.api_flavor != TOOLS])
    _check_types(best)
    usage, unread = _counters(best)
    for tools in _tool_readings(views, extractors):
        also, more = _counters(tools)
        usage, unread = {**usage, **also}, [*unread, *more]
    return Told(
        usage,
        best.model or _model_of(views),
        _first_text(views, "service_tier", "serviceTier", "speed"),
        _first_text(views, "search_context_size"),
        unread,
    )


def _tool_readings(views: Sequence[Mapping[str, Any]], extractors: Sequence[UsageExtractor]) -> Iterator[_Reading]:
    """What an answer tells of its tools beside its usage."""
    for view in views:
        for extractor in extractors:
            if extractor.api_flavor == TOOLS:
                told = [_leaf(view, extractor, mapping) for mapping in extractor.mappings]
                if any(map(is_number, told)):
                    yield _reading(view, extractor)


def _folded(view: Mapping[str, Any], extractor: UsageExtractor) -> Any:
    """The view with one item for each name, wherever the definition picks items of lists by their names."""
    paths = [_path(extractor, mapping) for mapping in extractor.mappings]
    picks = [(path, index) for path in paths for index, step in enumerate(path) if isinstance(step, ArrayMatch)]
    for lists, field in {(tuple(path[:index]), path[index].field) for path, index in picks}:
        view = folded(view, lists, field)
    return view


def _reading(view: Mapping[str, Any], extractor: UsageExtractor) -> _Reading:
    """Raises `UnreadableAnswer`, also for a definition of another kind of answer."""
    try:
        model, usage = extractor.extract(view)
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None
    return _Reading(model, {key: value for key, value in vars(usage).items() if value is not None}, extractor, view)


def _best_reading(views: Sequence[Mapping[str, Any]], extractors: Sequence[UsageExtractor]) -> _Reading:
    readings: list[_Reading] = []
    failures: list[tuple[int, str]] = []
    for view in views:
        for extractor in extractors:
            if extractor.api_flavor in _NEVER_GUESSED or (extractor.api_flavor == "embeddings" and _completes(view)):
                continue
            whole = _folded(view, extractor)
            try:
                readings.append(_reading(whole, extractor))
            except UnreadableAnswer as error:
                found = sum(_leaf(whole, extractor, mapping) is not None for mapping in extractor.mappings)
                failures.append((found, str(error)))
    if not readings:
        raise UnreadableAnswer(max(failures, key=lambda failure: failure[0])[1])
    return max(readings, key=lambda reading: len(reading.usage))


def _completes(view: Mapping[str, Any]) -> bool:
    """Whether it tells a completion, which the definitions of embeddings would leave out without a word."""
    return "choices" in view or _follow(view, ("usage", "completion_tokens")) is not None


@cache
def _providers() -> Sequence[Provider]:
    done = subprocess.run([sys.executable, "-m", _DEFINITIONS], capture_output=True, check=False)
    if done.returncode:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CatalogueUnreadable(f"the definitions of providers' answers cannot be read: {last_line}")
    providers: list[Provider] = pickle.loads(done.stdout)  # written by our own process
    return providers


@cache
def _snapshot() -> DataSnapshot:
    return DataSnapshot(list(_providers()), from_auto_update=False)


def _extractors_of(provider: str | None, model: str | None) -> Sequence[UsageExtractor]:
    named = provider or (model or "").partition(":")[0]
    found = _provider(named) or _provider(_USUAL)
    if found is not None and not found.extractors:
        found = _provider(_USUAL)
    return [] if found is None else found.extractors or []


def _provider(name: str) -> Provider | None:
    try:
        return _snapshot().find_provider(None, name, None) if name else None
    except LookupError:
        return None


def _counters(reading: _Reading) -> tuple[dict[str, int], list[str]]:
    counters: dict[str, int] = {}
    unread = list(_unread(reading))
    for key, value in reading.usage.items():
        name = COUNTER_OF.get(key)
        if name is not None:
            counters[name] = _amount(key, value, COUNTERS[name].scale)
        elif value and key not in _RESTATED and not key.endswith("_tool_tokens"):
            unread.append(key)
    return counters, unread


def _amount(key: str, value: Any, scale: int) -> int:
    try:
        number = parse_number(value if isinstance(value, int | Decimal) else Decimal(repr(value)))
    except NotANumber as error:
        raise UnreadableAnswer(f"{key} {error}") from None
    if scale == 1 and number != int(number):
        raise UnreadableAnswer(f"{key} must be a whole number, not {number}")
    stored = scaled(number, scale)
    if stored > COUNTER_MAX:
        raise UnreadableAnswer(f"{key} must be at most {COUNTER_MAX // scale}")
    return stored


# The shapes of answers.


def _views(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The answer, and the parts of it that tell usage themselves: events of a stream carry the answer inside."""
    yield answer
    choices = answer.get("choices")
    for part in (*answer.values(), *(choices if isinstance(choices, list) else ())):
        if isinstance(part, Mapping) and any(name in part for name in _HOLDERS):
            yield part


def _joined(chunks: Sequence[Any]) -> Mapping[str, Any]:
    """A streamed answer as one: of every field the last that was told, for counts are told again, not on top.

    Raises `UnreadableAnswer` where the chunks are of several answers, whose counts would have to be added.
    """
    joined: dict[str, Any] = {}
    ids = set()
    for chunk in chunks:
        if not isinstance(chunk, Mapping):
            raise UnreadableAnswer("must be a list of objects, the chunks of one streamed answer")
        for part in _views(chunk):
            if _holds_anything(part.get("usage")) and isinstance(part.get("id"), str):
                ids.add(part["id"])
            _merge(joined, {name: part[name] for name in _KEPT if name in part})
    if len(ids) > 1:
        raise UnreadableAnswer("holds several answers; send one event for each")
    return joined


def _merge(into: dict[str, Any], later: Mapping[str, Any]) -> None:
    for name, value in later.items():
        if isinstance(value, Mapping):
            inner = into.get(name)
            into[name] = dict(inner) if isinstance(inner, Mapping) else {}
            _merge(into[name], value)
        elif value is not None:
            into[name] = value


def _in_camel_case(view: Mapping[str, Any]) -> Mapping[str, Any]:
    """Google's Python client spells in snake case what its API spells in camel case."""
    if "usage_metadata" not in view:
        return view
    return {**view, "usageMetadata": _camel(view["usage_metadata"]), "modelVersion": view.get("model_version")}


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {_camel_name(str(name)): _camel(each) for name, each in value.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _model_of(views: Sequence[Mapping[str, Any]]) -> str | None:
    return _text_of(views, "model") or _text_of(views, "modelVersion")


def _first_text(views: Sequence[Mapping[str, Any]], *names: str) -> str | None:
    inside = [view[holder] for view in views for holder in _HOLDERS if isinstance(view.get(holder), Mapping)]
    found = [text for name in names if (text := _text_of([*views, *inside], name)) is not None]
    return found[-1] if found else None


def _text_of(parts: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((part[name] for part in parts if isinstance(part.get(name), str) and part[name]), None)


# What must hold of the numbers.


def _holds_anything(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_anything, value.values()))
    return value is not None


def _check_numbers(place: str, value: Any) -> None:
    """No number may be negative or too long to be added up, whether or not anything reads it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            _check_numbers(f"{place}.{name}", part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _check_numbers(f"{place}.{index}", part)
    elif is_number(value) and value < 0:
        raise UnreadableAnswer(f"{place} must not be negative")
    elif is_number(value) and value >= 10**DIGITS_MAX:
        raise UnreadableAnswer(f"{place} must have at most {DIGITS_MAX} digits")


def _check_types(reading: _Reading) -> None:
    """The library skips an optional value of another type; it would be a silent 0."""
    for mapping in reading.extractor.mappings:
        value = _leaf(reading.view, reading.extractor, mapping)
        if value is not None and not is_number(value):
            raise UnreadableAnswer(f"{_place(reading.extractor, mapping)} must be a number")


def _unread(reading: _Reading) -> Iterator[str]:
    extractor = reading.extractor
    read = {_place(extractor, mapping).lower() for mapping in extractor.mappings}
    leaves = [_leaf(reading.view, extractor, mapping) for mapping in extractor.mappings]
    root = _root(extractor)
    names = {step.field for mapping in extractor.mappings for step in mapping.path if isinstance(step, ArrayMatch)}
    for place, value in _numbers(".".join(root), _follow(reading.view, root), names):
        # Of a number that was read, another telling is nothing new.
        told = value in leaves or value in reading.usage.values()
        if value and place.lower() not in read and not told and not _NO_COUNT.search(place):
            yield place


def _numbers(place: str, value: Any, names: Container[str]) -> Iterator[tuple[str, Any]]:
    """Every number and its place; items of lists go by their names where they have one in a field of `names`."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _numbers(f"{place}.{name}", part, names)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _numbers(f"{place}.{_name_of(part, names) or index}", part, names)
    elif is_number(value):
        yield place, value


def _name_of(item: Any, names: Container[str]) -> str | None:
    told = item.items() if isinstance(item, Mapping) else ()
    return next((text for field, text in told if field in names and isinstance(text, str)), None)


def _root(extractor: UsageExtractor) -> Sequence[str]:
    return [extractor.root] if isinstance(extractor.root, str) else [str(step) for step in extractor.root]


def _path(extractor: UsageExtractor, mapping: UsageExtractorMapping) -> Sequence[Any]:
    """The steps from the answer to the number: names, and `ArrayMatch`es."""
    return [*_root(extractor), *([mapping.path] if isinstance(mapping.path, str) else mapping.path)]


def _place(extractor: UsageExtractor, mapping: UsageExtractorMapping) -> str:
    return ".".join(map(_step_name, _path(extractor, mapping)))


def _step_name(step: Any) -> str:
    if not isinstance(step, ArrayMatch):
        return str(step)
    return step.match.equals if isinstance(step.match, ClauseEquals) else step.field


def _leaf(view: Mapping[str, Any], extractor: UsageExtractor, mapping: UsageExtractorMapping) -> Any:
    return _follow(view, _path(extractor, mapping))


def _follow(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, Mapping) else None
        else:
            value = step.extract(value) if isinstance(value, list) else None
    return value
