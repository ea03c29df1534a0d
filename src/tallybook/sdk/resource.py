"""What the nouns of the client share: repeatable writes, and walks through pages."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tallybook.sdk import exact_json
from tallybook.sdk.transport import Query, Transport

Record = dict[str, Any]

_OFFSET_PAGE = 500


class Resource:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _read(self, path: str, query: Query) -> Record:
        answer: Record = self._transport.call("GET", path, query=query)
        return answer

    def _write(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patient: bool = False) -> Record:
        json = None if body is None else exact_json.dumps(body)
        answer: Record = self._transport.call(
            method, path, json=json, idempotency_key=new_idempotency_key(), patient=patient
        )
        return answer

    def _pages(self, path: str, query: Query = MappingProxyType({})) -> Iterator[Record]:
        page: Record = {"next_page": None, "has_more": True}
        while page.get("has_more"):
            page = self._read(path, {**query, **without_none(page=page["next_page"])})
            yield from page["data"]

    def _offset_pages(self, path: str, key: str, query: Query) -> Iterator[Record]:
        """The rows under `key`, newest first, of a list that changes meanwhile.

        What is added shifts the rest down: rows that were seen come again, and are left out. What is removed draws it
        up: pages overlap by a row, and before one of which no row was seen the walk goes back.
        """
        seen: set[str] = set()
        offset = 0
        while True:
            page = self._read(path, {**query, "limit": _OFFSET_PAGE, "offset": offset})
            fresh = [row for row in page[key] if row["id"] not in seen]
            if offset and len(fresh) == len(page[key]):
                offset = max(0, offset - _OFFSET_PAGE)
                continue
            yield from fresh
            if not page["pagination"]["hasMore"]:
                return
            seen.update(row["id"] for row in fresh)
            offset += _OFFSET_PAGE - 1


def new_idempotency_key() -> str:
    return uuid4().hex


def segment(text: str) -> str:
    return quote(text, safe="")


def without_none(**fields: Any) -> Record:
    return {name: value for name, value in fields.items() if value is not None}
