"""What another list says beside what would be charged."""

from decimal import Decimal
from typing import Any

import pytest

from tallybook.pricing.comparison import Claim, Comparison, Verdict, compare
from tallybook.pricing.price import Mode, Rate, Tier
from tests.unit.pricing.sheets import price

SHEET = price(
    rates={
        "input_tokens": Rate(Decimal("2.5"), 10**6, (Tier(200_000, Decimal(5)),)),
        "output_tokens": Rate(Decimal(10), 10**6),
        "audio_seconds": Rate(Decimal("0.111"), 3600),
    }
)


def claim(unit: str, usd: str, above: int = 0) -> Claim:
    return Claim("entry", "field", "openai", "gpt-4o", Mode.STANDARD, unit, Decimal(usd), above)


@pytest.mark.parametrize(
    ("said", "verdict", "ours"),
    [
        (claim("input_tokens", "0.0000025"), Verdict.SAME, "0.0000025"),
        (claim("input_tokens", "0.0000050", 200_000), Verdict.SAME, "0.000005"),
        (claim("input_tokens", "0.0000025", 200_000), Verdict.OTHER_RATE, "0.000005"),
        (claim("input_tokens", "0.0000024999"), Verdict.OTHER_RATE, "0.0000025"),
        (claim("cache_read_tokens", "0.0000025"), Verdict.SAME, "0.0000025"),
        (claim("reasoning_tokens", "0.000008"), Verdict.OTHER_RATE, "0.00001"),
        (claim("audio_seconds", "0.00003083333333333333333"), Verdict.SAME, None),
        (claim("images", "0.04"), Verdict.NO_RATE, None),
        (claim("images", "0"), Verdict.SAME, None),
    ],
)
def test_verdicts(said: Claim, verdict: Verdict, ours: str | None) -> None:
    (judged,) = compare([said], lambda _: SHEET)
    assert judged.verdict is verdict
    assert ours is None or judged.ours == Decimal(ours)


def test_without_a_price_there_is_nothing_to_compare() -> None:
    found: dict[str, Any] = {"at_us": 0, "unsaid": {}}
    comparison = Comparison(judged=compare([claim("images", "1"), claim("images", "0")], lambda _: None), **found)
    assert comparison.counts()[Verdict.NO_PRICE] == 2
    assert len(comparison.differences) == 2
