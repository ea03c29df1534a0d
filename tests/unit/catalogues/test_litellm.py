"""LiteLLM's price list: every digit, every unit, mode, threshold and condition, and what is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tallybook.catalogues.litellm import read_litellm
from tallybook.core.errors import InvalidInput, MalformedInput
from tallybook.pricing.comparison import Claim, Said
from tallybook.pricing.price import Mode


def claims(name: str, **fields: Any) -> list[Claim]:
    return list(read_litellm(json.dumps({name: fields}).encode()).claims)


def test_fields_are_units_in_a_mode_beyond_a_threshold() -> None:
    found = claims(
        "gemini/gemini-2.5-pro",
        litellm_provider="gemini",
        mode="chat",
        input_cost_per_token=1.25e-06,
        input_cost_per_token_above_200k_tokens=2.5e-06,
        output_cost_per_token_batches=5e-06,
        cache_read_input_token_cost_above_200k_tokens_priority=1e-06,
        cache_creation_input_token_cost_above_1hr=6e-06,
    )
    assert [(c.provider, c.model, c.unit, c.mode, c.above, str(c.usd)) for c in found] == [
        ("google", "gemini-2.5-pro", "input_tokens", Mode.STANDARD, 0, "0.00000125"),
        ("google", "gemini-2.5-pro", "input_tokens", Mode.STANDARD, 200_000, "0.0000025"),
        ("google", "gemini-2.5-pro", "output_tokens", Mode.BATCH, 0, "0.000005"),
        ("google", "gemini-2.5-pro", "cache_read_tokens", Mode.PRIORITY, 200_000, "0.000001"),
        ("google", "gemini-2.5-pro", "cache_write_1h_tokens", Mode.STANDARD, 0, "0.000006"),
    ]


def test_every_digit_is_kept() -> None:
    body = b'{"m": {"litellm_provider": "x", "input_cost_per_token": 1.0000000000000000000001e-07}}'
    (claim,) = read_litellm(body).claims
    assert claim.usd == Decimal("1.0000000000000000000001e-07")


def test_sizes_and_qualities_stand_in_the_name() -> None:
    (claim,) = claims(
        "hd/1024-x-1792/dall-e-3", litellm_provider="openai", mode="image_generation", input_cost_per_image=0.12
    )
    assert (claim.model, claim.unit, claim.said) == (
        "dall-e-3",
        "images",
        Said(image_quality="hd", image_size="1024x1792"),
    )


def test_context_levels() -> None:
    levels = {"search_context_size_low": 0.005, "search_context_size_high": 0.012}
    found = claims("perplexity/sonar", litellm_provider="perplexity", search_context_cost_per_query=levels)
    assert [(claim.unit, claim.said.context_level) for claim in found] == [("requests", "low"), ("requests", "high")]
    (search,) = claims("m", litellm_provider="openai", search_context_cost_per_query={"search_context_size_low": 0.01})
    assert search.unit == "web_searches"


def test_what_no_event_can_report_is_counted() -> None:
    costs = {"output_cost_per_video_per_second": 0.1, "input_dbu_cost_per_token": 0}
    fields = {"litellm_provider": "x", "max_tokens": 5, **costs}
    assert dict(read_litellm(json.dumps({"a": fields, "b": fields}).encode()).unsaid) == {
        "output_cost_per_video_per_second": 2
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", MalformedInput),
        (b"\xff", MalformedInput),
        (b"[1]", InvalidInput),
        (b'{"m": 5}', InvalidInput),
        (b'{"m": {"input_cost_per_token": "cheap"}}', InvalidInput),
        (b'{"m": {"input_cost_per_token": true}}', InvalidInput),
        (b'{"m": {"input_cost_per_token": -1}}', InvalidInput),
        (b'{"m": {"input_cost_per_token": 1e-300}}', InvalidInput),
        (b'{"m": {"input_cost_per_token": 1e300}}', InvalidInput),
    ],
)
def test_what_is_no_list(body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read_litellm(body)
