"""Orgs, and what each may set for itself.

Settings, with their defaults and units, are the fields of `OrgSettings`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tallybook.core.money import NotANumber, parse_number
from tallybook.core.unit_of_work import Record

DEFAULT_ORG = "default"
"""The org that always exists; the bootstrap key belongs to it."""

CREDITS_PER_USD_MAX = 1_000_000
MARKUP_PERCENT_MAX = 10_000
RESERVATION_SECONDS_MAX = 86_400
MESSAGE_RETENTION_DAYS_MAX = 3_650


@dataclass(frozen=True)
class Org:
    """`created_at_us` in microseconds since 1970, UTC."""

    id: str
    name: str
    created_at_us: int

    def to_record(self) -> Record:
        return {"id": self.id, "name": self.name, "created_at_us": self.created_at_us}

    @staticmethod
    def from_record(record: Record) -> "Org":
        return Org(**record)


class LateConfirm(StrEnum):
    """What becomes of a confirmation after its hold expired."""

    CHARGE = "charge"
    REJECT = "reject"


class Overrun(StrEnum):
    """What may cover an actual amount above the hold: the available balance, or nothing beyond the hold."""

    AVAILABLE = "available"
    HELD = "held"


@dataclass(frozen=True)
class OrgSettings:
    """`charge = cost × (1 + markup_percent / 100) × credits_per_usd`; by default a credit is a US cent."""

    late_confirm: LateConfirm = LateConfirm.CHARGE
    overrun: Overrun = Overrun.AVAILABLE
    credits_per_usd: Decimal = Decimal(100)
    markup_percent: Decimal = Decimal(0)
    reservation_seconds: int = 900
    store_messages: bool = False
    message_retention_days: int = 30

    def to_record(self) -> Record:
        """The settings as JSON can hold them: decimals as plain digits."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: plain_value(value) for name, value in values.items()}

    @staticmethod
    def from_record(record: Record) -> "OrgSettings":
        """Reads what `to_record` wrote; a name that is absent or None has its default."""
        set_names = [name for name in record if record[name] is not None]
        values: dict[str, Any] = {name: PARSERS[name](record[name]) for name in set_names}
        return OrgSettings(**values)


Value = LateConfirm | Overrun | Decimal | int | bool


class BadValue(ValueError):
    """The value is not one the setting can have; the text says which are."""


def plain_value(value: Value) -> str | int | bool:
    return format(value, "f") if isinstance(value, Decimal) else value


def _choice(kind: type[LateConfirm] | type[Overrun]) -> Callable[[object], Value]:
    def parse(value: object) -> Value:
        for choice in kind:
            if value == choice.value:
                return choice
        raise BadValue(f"must be one of: {', '.join(kind)}")

    return parse


def _whole(largest: int) -> Callable[[object], Value]:
    def parse(value: object) -> Value:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            raise BadValue(f"must be a whole number from 1 to {largest}")
        return value

    return parse


def _decimal(largest: int, *, zero: bool) -> Callable[[object], Value]:
    def parse(value: object) -> Value:
        if not isinstance(value, str):
            raise BadValue('must be a decimal string, such as "12.5"')
        try:
            number = parse_number(value)
        except NotANumber as fault:
            raise BadValue(str(fault)) from None
        if not 0 <= number <= largest or (not zero and number == 0):
            raise BadValue(f"must be {'at least' if zero else 'above'} 0 and at most {largest}")
        return number.copy_abs()  # a sent "-0" is 0

    return parse


def _flag(value: object) -> Value:
    if not isinstance(value, bool):
        raise BadValue("must be true or false")
    return value


PARSERS: Mapping[str, Callable[[object], Value]] = {
    "late_confirm": _choice(LateConfirm),
    "overrun": _choice(Overrun),
    "credits_per_usd": _decimal(CREDITS_PER_USD_MAX, zero=False),
    "markup_percent": _decimal(MARKUP_PERCENT_MAX, zero=True),
    "reservation_seconds": _whole(RESERVATION_SECONDS_MAX),
    "store_messages": _flag,
    "message_retention_days": _whole(MESSAGE_RETENTION_DAYS_MAX),
}
"""By the name of a setting, what makes its value from a plain one. Raises `BadValue`."""
