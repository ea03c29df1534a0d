"""The Tallybook client: one object, a noun per resource.

    with Client("http://127.0.0.1:8080", "tb_…") as client:
        client.ingest([{"id": "call-1", "model": "gpt-4o", "usage": {"input_tokens": 12}}])
        for key in client.keys.all(): ...

Records are plain mappings as the server writes them; money is decimal text. Errors are in `errors.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from tallybook.sdk import exact_json
from tallybook.sdk.transport import Query, Transport

Record = dict[str, Any]


@dataclass(frozen=True)
class EventResult:
    """What became of one event. `uid` and `cost_usd` (decimal text) are None where unreadable."""

    index: int
    id: str
    status: Literal["inserted", "duplicate", "conflict"]
    uid: str | None
    pricing: str | None
    cost_usd: str | None


@dataclass(frozen=True)
class IngestResult:
    inserted: int
    duplicates: int
    conflicts: int
    results: tuple[EventResult, ...]


class Client:
    """Speaks to the server at `base_url` under `api_key`, for the org `org_id` if given (else the key's own).

    Every call may be repeated and is: up to `retries` times, after 429, 503 or no answer, with the same
    `Idempotency-Key`. Safe to share between threads. `transport` replaces the network in tests. Raises
    `ValueError` for a key or org that no header can carry.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        org_id: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(
            base_url, api_key, org_id=org_id, timeout_seconds=timeout, retries=retries, transport=transport
        )
        self.keys = Keys(self._transport)
        self.orgs = Orgs(self._transport)
        self.settings = Settings(self._transport)
        self.prices = Prices(self._transport)

    def ingest(self, events: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None) -> IngestResult:
        """Stores events once each; a conflict is reported in its result and does not stop the others.

        Fields are those of `POST /v1/events`; a `Decimal` is sent as a number with exactly its digits. Events
        without `id` get one from `idempotency_key`: pass your own where the call itself may be made again.
        Raises `InvalidRequest` with every fault by index, and then nothing is stored.
        """
        body = '{"events":[' + ",".join(map(exact_json.dumps, events)) + "]}"
        answer = self._transport.call(
            "POST", "/v1/events", json=body, idempotency_key=idempotency_key or _new_idempotency_key()
        )
        return _ingest_result(answer)

    def check_health(self) -> None:
        """Returns if the server answers; asks once only. Raises `Unreachable` or an `APIError`."""
        self._transport.call("GET", "/healthz", retries=0)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Resource:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Record:
        json = None if body is None else exact_json.dumps(body)
        answer: Record = self._transport.call(method, path, json=json, idempotency_key=_new_idempotency_key())
        return answer

    def _pages(self, path: str) -> Iterator[Record]:
        query: Query = {}
        while True:
            page = self._transport.call("GET", path, query=query)
            yield from page["data"]
            if not page.get("has_more"):
                return
            query = {"page": page["next_page"]}


class Keys(_Resource):
    def create(
        self,
        name: str,
        *,
        role: str = "member",
        scopes: Sequence[str] | None = None,
        user_id: str | None = None,
        project_id: str | None = None,
        expires_at: str | None = None,
    ) -> Record:
        """A new key; its text is in `key` of this answer and never shown again. `expires_at` is RFC 3339."""
        return self._write(
            "POST",
            "/v1/keys",
            _without_none(
                name=name,
                role=role,
                scopes=scopes,
                user_id=user_id,
                project_id=project_id,
                expires_at=expires_at,
            ),
        )

    def all(self) -> Iterator[Record]:
        """Every key of the org, revoked ones too, without their text."""
        return self._pages("/v1/keys")

    def revoke(self, key_id: str) -> Record:
        return self._write("DELETE", f"/v1/keys/{_segment(key_id)}")


class Orgs(_Resource):
    def create(self, org_id: str, name: str) -> Record:
        return self._write("POST", "/v1/orgs", {"id": org_id, "name": name})

    def all(self) -> Iterator[Record]:
        """Every org the key may see."""
        return self._pages("/v1/orgs")


class Settings(_Resource):
    """Settings of one org."""

    def get(self, org_id: str) -> Record:
        """Every setting and its value in force."""
        values: Record = self._transport.call("GET", self._path(org_id))
        return values

    def change(self, org_id: str, values: Mapping[str, Any]) -> Record:
        """Sets the named settings from now on, None back to the default; returns all then in force."""
        return self._write("PATCH", self._path(org_id), values)

    def _path(self, org_id: str) -> str:
        return f"/v1/orgs/{_segment(org_id)}/settings"


class Prices(_Resource):
    def put(
        self,
        model: str,
        rates: Mapping[str, Mapping[str, Any]],
        *,
        effective_from: str,
        effective_to: str | None = None,
        provider: str | None = None,
        match: str = "equals",
        mode: str = "standard",
        source: str | None = None,
        supersedes: str | None = None,
    ) -> Record:
        """Appends a dated price. `rates`: unit -> `{"per": 1000000, "usd": "2.5"}`; instants are RFC 3339."""
        return self._write(
            "PUT",
            "/v1/prices",
            _without_none(
                provider=provider,
                model=model,
                match=match,
                mode=mode,
                effective_from=effective_from,
                effective_to=effective_to,
                rates=rates,
                source=source,
                supersedes=supersedes,
            ),
        )

    def all(self) -> Iterator[Record]:
        """Every price of the org's own, past and future ones too."""
        return self._pages("/v1/prices")


def _ingest_result(answer: Record) -> IngestResult:
    results = tuple(
        EventResult(
            index=result["index"],
            id=result["id"],
            status=result["status"],
            uid=result.get("uid"),
            pricing=result.get("pricing"),
            cost_usd=result.get("cost_usd"),
        )
        for result in answer["results"]
    )
    return IngestResult(answer["inserted"], answer["duplicates"], answer["conflicts"], results)


def _new_idempotency_key() -> str:
    return uuid4().hex


def _segment(text: str) -> str:
    return quote(text, safe="")


def _without_none(**body: Any) -> Record:
    return {name: value for name, value in body.items() if value is not None}
