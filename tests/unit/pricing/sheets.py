"""Price sheets for tests, in US dollars per million tokens or per real unit."""

import itertools
from decimal import Decimal
from typing import Any

from tallybook.core.counters import COUNTERS
from tallybook.pricing.cost import Plan, Rating, rate
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, NewPrice, Origin, Price, Rate

_NUMBER = itertools.count(1)


def rates(**usd: str) -> dict[str, Rate]:
    """`input="2.5"` is 2.5 USD per million `input_tokens`; other units are priced one by one."""
    return {
        _unit(name): Rate(Decimal(text), 10**6 if f"{name}_tokens" in COUNTERS else 1) for name, text in usd.items()
    }


def rated(usage: dict[str, int], **usd: str) -> Rating:
    return rate(Plan("price_1", rates(**usd)), usage)


def new_price(**fields: Any) -> NewPrice:
    """GPT-4o at 2.5 / 10 since 1970, but for what `fields` say."""
    sheet: dict[str, Any] = {
        "provider": None,
        "model": "gpt-4o",
        "match": Match.EQUALS,
        "mode": Mode.STANDARD,
        "effective_from_us": 0,
        "effective_to_us": None,
        "rates": rates(input="2.5", output="10"),
    }
    return NewPrice(**sheet | fields)


def price(org_id: str | None = "acme", price_id: str | None = None, **fields: Any) -> Price:
    number = next(_NUMBER)
    recorded = fields.pop("recorded_at_us", number)
    origin = fields.pop("origin", Origin.OVERLAY if org_id is None else Origin.ORG)
    return Price(
        **vars(new_price(**fields)),
        id=price_id or f"price_{number}",
        org_id=org_id,
        origin=origin,
        recorded_at_us=recorded,
    )


def _unit(name: str) -> str:
    return f"{name}_tokens" if f"{name}_tokens" in COUNTERS else name
