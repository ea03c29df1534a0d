"""Amounts of credits as they are typed."""

from decimal import Decimal

import click
import pytest

from tallybook.cli.ledger_options import CreditsType


@pytest.mark.parametrize("text", ["0", "100", "0.25", "9999999999.999999"])
def test_credits(text: str) -> None:
    assert CreditsType().convert(text, None, None) == Decimal(text)


@pytest.mark.parametrize("text", ["", "1.0000001", "12345678901", "-1", "+1", "1e3", "1,000", ".5", "1.", "NaN", "١"])
def test_what_is_no_amount_is_told_the_rule(text: str) -> None:
    with pytest.raises(click.BadParameter) as told:
        CreditsType().convert(text, None, None)
    rule = "at most ten digits and six decimals without a sign, such as 100 or 0.25"
    assert told.value.message == f"{text!r} is no amount of credits: {rule}"
