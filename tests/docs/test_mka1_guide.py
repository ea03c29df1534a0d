"""The examples of `docs/guides/mka1.md`: each event is taken, and its operation answers the row beside it."""

import json
from typing import Any

import httpx

from tallybook.http.mka1.operations import OPERATIONS
from tests.docs import pages

GUIDE = pages.read("docs/guides/mka1.md")
JAN_1 = 1767225600
PAIRS = [json.loads(block.text) for block in pages.blocks(pages.section(GUIDE, "## Storing what is counted"))]


def test_every_operation_counts_the_event_of_its_example(admin: httpx.Client) -> None:
    events, rows = PAIRS[::2], PAIRS[1::2]
    assert [event["kind"] for event in events] == [operation.kind for operation in OPERATIONS]
    answer = admin.post(
        "/v1/events?strict=true", json={"events": [{**event, "occurred_at": JAN_1} for event in events]}
    )
    assert answer.json()["inserted"] == len(OPERATIONS), answer.text
    for operation, row in zip(OPERATIONS, rows, strict=True):
        (bucket,) = asked(admin, operation.path, start_time=JAN_1, end_time=JAN_1 + 1)["data"]
        assert bucket["results"] == [row], operation.path

    (stats,) = pages.blocks(pages.section(GUIDE, "## Statistics of a user"))
    assert asked(admin, "/api/v1/llm/usage/users/ana/stats", startDate="2026-01-01") == json.loads(stats.text)


def asked(admin: httpx.Client, path: str, **query: Any) -> Any:
    answer = admin.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()
