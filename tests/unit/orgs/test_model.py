"""Org settings: their defaults and what each may be."""

import itertools
from decimal import Decimal

import pytest

from tallybook.ledger.model import HOLD_SECONDS_MAX
from tallybook.orgs.model import (
    PARSERS,
    RESERVATION_SECONDS_MAX,
    BadValue,
    LateConfirm,
    OrgSettings,
    Overrun,
    plain_value,
)

DEFAULTS = {
    "late_confirm": "charge",
    "overrun": "available",
    "credits_per_usd": "100",
    "markup_percent": "0",
    "reservation_seconds": 900,
    "store_messages": False,
    "message_retention_days": 30,
}


def test_the_defaults() -> None:
    assert OrgSettings().to_record() == DEFAULTS
    assert list(PARSERS) == list(DEFAULTS)


def test_an_org_sets_no_reservation_longer_than_the_ledger_holds_one() -> None:
    assert RESERVATION_SECONDS_MAX == HOLD_SECONDS_MAX


def test_settings_survive_being_a_record() -> None:
    settings = OrgSettings(LateConfirm.REJECT, Overrun.HELD, Decimal("0.000001"), Decimal("12.5"), 1, True, 3650)
    assert OrgSettings.from_record(settings.to_record()) == settings


def test_what_was_reset_has_its_default() -> None:
    assert OrgSettings.from_record({"overrun": None, "store_messages": True}) == OrgSettings(store_messages=True)


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("late_confirm", "reject", "reject"),
        ("overrun", "held", "held"),
        ("credits_per_usd", "1e3", "1000"),
        ("credits_per_usd", "0.000000000000000001", "0.000000000000000001"),
        ("credits_per_usd", "1000000", "1000000"),
        ("markup_percent", "-0", "0"),
        ("markup_percent", "10000", "10000"),
        ("markup_percent", "2.50", "2.50"),
        ("reservation_seconds", 1, 1),
        ("reservation_seconds", 86_400, 86_400),
        ("store_messages", True, True),
        ("message_retention_days", 3_650, 3_650),
    ],
)
def test_what_a_setting_may_be(name: str, sent: object, kept: object) -> None:
    assert plain_value(PARSERS[name](sent)) == kept


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        *itertools.product(DEFAULTS, ([], {}, "", "nonsense", -1, 10**30, 1.5, 2.0)),
        ("late_confirm", "CHARGE"),
        ("late_confirm", True),
        ("overrun", 1),
        ("credits_per_usd", "0"),
        ("credits_per_usd", "1000000.1"),
        ("credits_per_usd", "-1"),
        ("credits_per_usd", "NaN"),
        ("credits_per_usd", "Infinity"),
        ("credits_per_usd", "1e999999999"),
        ("credits_per_usd", 100),
        ("markup_percent", "-0.1"),
        ("markup_percent", "10000.1"),
        ("reservation_seconds", 0),
        ("reservation_seconds", 86_401),
        ("reservation_seconds", True),
        ("reservation_seconds", "900"),
        ("store_messages", 1),
        ("store_messages", "true"),
        ("message_retention_days", 0),
        ("message_retention_days", 3_651),
    ],
)
def test_what_a_setting_may_not_be(name: str, sent: object) -> None:
    with pytest.raises(BadValue):
        PARSERS[name](sent)
