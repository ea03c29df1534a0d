"""Batches that come together are read one by one: between two of them the event loop hears others."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tallybook.data_folder import open_data_folder
from tallybook.http.native.ingest import IngestEndpoint
from tallybook.settings import Settings
from tallybook.wiring import build
from tests.admin_rooms import ADMIN_KEY

BATCHES, EVENTS = 5, 500


def batch(number: int) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    return json.dumps(
        {"events": [{"id": f"{number}-{index}", "model": "gpt-4o", "usage": usage} for index in range(EVENTS)]}
    ).encode()


def test_others_are_heard_between_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"data_dir": tmp_path, "admin_key": ADMIN_KEY, "price_catalogue": False}
    built = build(open_data_folder(Settings(**settings)))
    steps: list[str] = []
    prepare = IngestEndpoint._prepare

    def told(self: IngestEndpoint, *work: Any) -> Any:
        steps.append("batch")
        return prepare(self, *work)

    monkeypatch.setattr(IngestEndpoint, "_prepare", told)

    async def together() -> None:
        async def others() -> None:
            while steps.count("batch") < BATCHES:
                steps.append("others")
                await asyncio.sleep(0)

        transport = httpx.ASGITransport(built.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tallybook") as client:
            headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
            sent = [client.post("/v1/events", content=batch(number), headers=headers) for number in range(BATCHES)]
            answers, _ = await asyncio.gather(asyncio.gather(*sent), others())
        assert [answer.json()["inserted"] for answer in answers] == [EVENTS] * BATCHES

    asyncio.run(together())
    built.close()
    assert "batch batch" not in " ".join(steps)
