"""The overlay: files of our own, one per provider, with what the catalogue lacks or has stale.

    provider: groq
    sheets:
      - page: https://groq.com/pricing      # where the rates stand
        checked: 2026-10-14                 # the day that page said so
        from: 2026-10-14                    # and, all optional: to, mode, match, daily, when
        models:
          whisper-large-v3: {audio_seconds: {usd: 0.111/3600, at_least: 10}}

A rate is US dollars for so many units: `2.5/1M`, `0.006/60`, `0.04/1`. The texts of the file are read as they are
written, never as floats. A fault names its file and line.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from importlib.resources.abc import Traversable
from typing import NamedTuple, TypeVar

import yaml

from tallybook.core.money import NotANumber, parse_number
from tallybook.core.time_window import DAY_US, HOUR_US, MINUTE_US, BadInstant, parse_span
from tallybook.pricing.errors import CatalogueUnreadable
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, NewPrice, Rate, Tier, faults_of

SUFFIX = ".yaml"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FAULTS_SHOWN = 20
_PER = re.compile(r"([1-9]\d*)([KM]?)", re.ASCII)
_TIMES = {"": 1, "K": 1_000, "M": 1_000_000}
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)(?: ([a-z,]+))?", re.ASCII)


class Listed(NamedTuple):
    """A price and where it stands, as `openai.yaml:12`."""

    price: NewPrice
    place: str


def read_overlay(folder: Traversable) -> list[NewPrice]:
    """The prices of every file of a folder. Raises `CatalogueUnreadable` with each fault's file and line."""
    listed: list[Listed] = []
    faults: list[str] = []
    try:
        files = sorted((file for file in folder.iterdir() if file.name.endswith(SUFFIX)), key=lambda file: file.name)
        texts = [(file.name, file.read_text(encoding="utf-8")) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueUnreadable(f"the overlay cannot be read: {error}") from None
    for name, text in texts:
        found = _File(name)
        listed += found.prices(text)
        faults += found.faults
    faults += _collisions(listed)
    if faults:
        shown = "; ".join(faults[:_FAULTS_SHOWN])
        more = f"; and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise CatalogueUnreadable(f"the overlay cannot be used: {shown}{more}")
    return [each.price for each in listed]


def _collisions(listed: Sequence[Listed]) -> Iterator[str]:
    """Prices for the same at the same time: which of them holds would be anyone's guess."""
    begun: dict[object, list[Listed]] = {}
    for each in listed:
        others = begun.setdefault((each.price.key, each.price.daily), [])
        yield from (f"{each.place}: is for the same as {other.place}" for other in others if _overlap(each, other))
        others.append(each)


def _overlap(one: Listed, other: Listed) -> bool:
    first, second = sorted((one.price, other.price), key=lambda price: price.effective_from_us)
    return first.effective_to_us is None or second.effective_from_us < first.effective_to_us


class _Fault(Exception):
    """What is wrong with a value."""


_Node = yaml.Node
_Fields = Mapping[str, _Node]
Value = TypeVar("Value")
Missing = TypeVar("Missing")


@dataclass
class _File:
    """One file on its way to prices; faults are collected, as `file:line: what`."""

    name: str
    faults: list[str] = field(default_factory=list)

    def prices(self, text: str) -> list[Listed]:
        try:
            root = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self.faults.append(f"{self.name}:{line}: is no YAML: {error.problem}")
            return []
        except yaml.YAMLError as error:
            self.faults.append(f"{self.name}:1: is no YAML: {' '.join(str(error).split())}")
            return []
        if root is None:
            self.faults.append(f"{self.name}:1: is empty")
            return []
        fields = self._fields(root, ("provider", "sheets"))
        provider = self._value(fields, "provider", _text, None)
        sheets = fields.get("sheets")
        if not isinstance(sheets, yaml.SequenceNode):
            self._fault(sheets or root, "sheets: must be a list")
            return []
        return [listed for sheet in sheets.value for listed in self._sheet(provider, sheet)]

    def _sheet(self, provider: str | None, node: _Node) -> Iterator[Listed]:
        before = len(self.faults)
        required = ("page", "checked", "from", "models")
        fields = self._fields(node, required, ("to", "mode", "match", "daily", "when"))
        page = self._value(fields, "page", _page, "")
        checked = self._value(fields, "checked", _day_text, "")
        from_us = self._value(fields, "from", _instant, 0)
        to_us = self._value(fields, "to", _instant, None)
        mode = self._value(fields, "mode", Mode, Mode.STANDARD)
        match = self._value(fields, "match", Match, Match.EQUALS)
        daily = self._value(fields, "daily", _window, None)
        when = self._fields(fields["when"]) if "when" in fields else {}
        conditions = tuple((name, self._value(when, name, _text, "")) for name in sorted(when))
        models = self._fields(fields["models"]) if "models" in fields else {}
        for model, rates in models.items():
            price = NewPrice(
                provider=provider,
                model=model,
                match=match,
                mode=mode,
                effective_from_us=from_us,
                effective_to_us=to_us,
                rates=self._rates(rates),
                daily=daily,
                when=conditions,
                source=f"{page} (checked {checked})",
            )
            if len(self.faults) > before:
                continue
            for fault in faults_of(price):
                self._fault(rates, f"{model}: {'.'.join(map(str, fault.loc))} {fault.msg}")
            yield Listed(price, f"{self.name}:{rates.start_mark.line + 1}")

    def _rates(self, node: _Node) -> Mapping[str, Rate]:
        rates = {}
        for unit, value in self._fields(node).items():
            is_plain = not isinstance(value, yaml.MappingNode)
            fields = {unit: value} if is_plain else self._fields(value, ("usd",), ("above", "at_least"))
            usd, per = self._value(fields, unit if is_plain else "usd", _usd_per, (Decimal(0), 1))
            tiers = self._tiers(fields["above"], per) if "above" in fields else ()
            rates[unit] = Rate(usd, per, tiers, self._value(fields, "at_least", _whole, 0))
        return rates

    def _tiers(self, node: _Node, per: int) -> tuple[Tier, ...]:
        tiers = []
        for above, value in self._fields(node).items():
            usd, tier_per = self._value({above: value}, above, _usd_per, (Decimal(0), per))
            if not above.isdigit():
                self._fault(value, f"above: must be whole numbers of tokens, not {above!r}")
            elif tier_per != per:
                self._fault(value, f"above {above}: must be for as many units as the rate itself")
            else:
                tiers.append(Tier(int(above), usd))
        return tuple(tiers)

    def _fields(
        self, node: _Node, required: Sequence[str] = (), optional: Sequence[str] | None = None
    ) -> dict[str, _Node]:
        """The fields of a mapping by name; without `required` and `optional` any names are fine."""
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, "must be a mapping of names")
            return {}
        fields: dict[str, _Node] = {}
        known = {*required, *(optional or ())}
        for key, value in node.value:
            if key.value in fields:
                self._fault(key, f"{key.value}: stands here twice")
            elif known and key.value not in known:
                self._fault(key, f"{key.value}: is not known here")
            fields[str(key.value)] = value
        for name in required:
            if name not in fields:
                self._fault(node, f"{name}: is missing")
        return fields

    def _value(self, fields: _Fields, name: str, read: Callable[[str], Value], missing: Missing) -> Value | Missing:
        if name not in fields:
            return missing
        node = fields[name]
        try:
            if not isinstance(node, yaml.ScalarNode):
                raise _Fault("must be a single value")
            return read(node.value)
        except (_Fault, ValueError) as error:
            self._fault(node, f"{name}: {error}")
            return missing

    def _fault(self, node: _Node, msg: str) -> None:
        self.faults.append(f"{self.name}:{node.start_mark.line + 1}: {msg}")


def _text(text: str) -> str:
    if not text:
        raise _Fault("must not be empty")
    return text


def _page(text: str) -> str:
    if not text.startswith("https://"):
        raise _Fault("must be the address of the page that the rates stand on")
    return text


def _day_text(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise _Fault("must be a day such as 2026-01-31") from None


def _instant(text: str) -> int:
    try:
        return parse_span(text).start_us
    except BadInstant:
        raise _Fault("must be a day, or an RFC 3339 date-time with a zone") from None


def _window(text: str) -> DailyWindow:
    found = _WINDOW.fullmatch(text)
    days = found[5].split(",") if found and found[5] else []
    if found is None or any(day not in WEEKDAYS for day in days):
        raise _Fault("must be like 01:00-04:00, or 01:00-04:00 mon,tue,wed, in UTC")
    start, end = (int(found[at]) * HOUR_US + int(found[at + 1]) * MINUTE_US for at in (1, 3))
    return DailyWindow(start, end % DAY_US, tuple(sorted({WEEKDAYS.index(day) for day in days})))


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _Fault("must be a whole number")
    return int(text)


def _usd_per(text: str) -> tuple[Decimal, int]:
    """`2.5/1M` as 2.5 US dollars for every million units."""
    usd, _, per = text.partition("/")
    found = _PER.fullmatch(per)
    if found is None:
        raise _Fault(f"must be US dollars for so many units, such as 2.5/1M or 0.04/1, not {text!r}")
    try:
        return parse_number(usd), int(found[1]) * _TIMES[found[2]]
    except NotANumber as error:
        raise _Fault(f"{usd!r} {error}") from None
