"""The examples of `docs/reference/events.md` are sent as they stand, and taken."""

import json
from typing import Any

import httpx

from tests.docs import pages

EXAMPLES = list(pages.blocks(pages.section(pages.read("docs/reference/events.md"), "### Examples")))
MEDIA_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson"}


def test_there_is_an_example_of_each_form() -> None:
    assert [block.language for block in EXAMPLES] == ["json", "json", "ndjson"]


def test_every_example_is_taken_and_known_again(admin: httpx.Client) -> None:
    for block in EXAMPLES:
        first, again = (send(admin, block) for _ in range(2))
        sent = first["inserted"]
        assert sent == len(first["results"]) > 0
        assert (again["inserted"], again["duplicates"], again["conflicts"]) == (0, sent, 0)


def send(admin: httpx.Client, block: pages.Block) -> dict[str, Any]:
    headers = {"Content-Type": MEDIA_TYPES[block.language]}
    answer = admin.post("/v1/events?strict=true", content=block.text, headers=headers)
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def test_the_price_of_the_admin_page_is_taken(admin: httpx.Client) -> None:
    prices = pages.section(pages.read("docs/reference/keys-orgs-prices.md"), "## Prices")
    (example,) = pages.blocks(prices)
    answer = admin.put("/v1/prices", json=json.loads(example.text))
    assert answer.status_code == 201, answer.text
