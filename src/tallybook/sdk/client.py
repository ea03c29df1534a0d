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

import httpx

from tallybook.sdk import exact_json
from tallybook.sdk.corrections import Events
from tallybook.sdk.ledger import Accounts, CreditMoves, Reservations, Transactions
from tallybook.sdk.models import Models
from tallybook.sdk.plans import Plans
from tallybook.sdk.resource import Record, Resource, new_idempotency_key, segment, without_none
from tallybook.sdk.transport import Transport
from tallybook.sdk.usage import Usage
from tallybook.sdk.usage_records import UsageRecords

_PRICES_PAGE = 1_000
_CHANGES_MAX = 10_000


@dataclass(frozen=True)
class EventResult:
    """What became of one event. `uid` and `cost_usd` (decimal text) are None where unreadable.

    `unread` are numbers in the usage of a provider's answer that nothing was made of.
    """

    index: int
    id: str
    status: Literal["inserted", "duplicate", "conflict"]
    uid: str | None
    pricing: str | None
    cost_usd: str | None
    unread: tuple[str, ...] = ()


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
        self.audit = Audit(self._transport)
        self.accounts = Accounts(self._transport)
        self.credits = CreditMoves(self._transport)
        self.transactions = Transactions(self._transport)
        self.reservations = Reservations(self._transport)
        self.plans = Plans(self._transport)
        self.models = Models(self._transport)
        self.usage = Usage(self._transport)
        self.usage_records = UsageRecords(self._transport)
        self.events = Events(self._transport)

    def ingest(self, events: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None) -> IngestResult:
        """Stores events once each; a conflict is reported in its result and does not stop the others.

        Fields are those of `POST /v1/events`; a `Decimal` is sent as a number with exactly its digits. Events
        without `id` get one from `idempotency_key`: pass your own where the call itself may be made again.
        Raises `InvalidRequest` with every fault by index, and then nothing is stored.
        """
        body = '{"events":[' + ",".join(map(exact_json.dumps, events)) + "]}"
        answer = self._transport.call(
            "POST", "/v1/events", json=body, idempotency_key=idempotency_key or new_idempotency_key()
        )
        return _ingest_result(answer)

    def verify(self, *, all_orgs: bool = False) -> Record:
        """Rebuilds balances and reservations from their facts, however long it takes: `difference` is null if they
        agree."""
        query = {"all_orgs": "true"} if all_orgs else {}
        result: Record = self._transport.call("GET", "/v1/verify", query=query, patient=True)
        return result

    def backup(self, name: str, *, force: bool = False) -> Record:
        """A consistent copy of everything, in a folder of that name on the server's machine: `path` says where.

        Takes as long as it takes to copy the files, and is asked for once only.
        """
        body = exact_json.dumps({"name": name, "force": force})
        answer: Record = self._transport.call("POST", "/v1/backup", json=body, retries=0, patient=True)
        return answer

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


class Keys(Resource):
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
            without_none(
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

    def org_id(self) -> str:
        """The org that the calls of this client are for: that of the keys it may list, its own among them."""
        keys = self._read("/v1/keys", {"limit": 1})["data"]
        org_id: str = keys[0]["org_id"]
        return org_id

    def revoke(self, key_id: str) -> Record:
        return self._write("DELETE", f"/v1/keys/{segment(key_id)}")


class Orgs(Resource):
    def create(self, org_id: str, name: str) -> Record:
        return self._write("POST", "/v1/orgs", {"id": org_id, "name": name})

    def all(self) -> Iterator[Record]:
        """Every org the key may see."""
        return self._pages("/v1/orgs")


class Settings(Resource):
    """Settings of one org."""

    def get(self, org_id: str) -> Record:
        """Every setting and its value in force."""
        values: Record = self._transport.call("GET", self._path(org_id))
        return values

    def change(self, org_id: str, values: Mapping[str, Any]) -> Record:
        """Sets the named settings from now on, None back to the default; returns all then in force."""
        return self._write("PATCH", self._path(org_id), values)

    def _path(self, org_id: str) -> str:
        return f"/v1/orgs/{segment(org_id)}/settings"


class Audit(Resource):
    """The admin log."""

    def all(
        self,
        *,
        start: str | None = None,
        end: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> Iterator[Record]:
        """Every change of that description, newest first; instants are RFC 3339."""
        return self._pages("/v1/audit", without_none(start=start, end=end, actor=actor, action=action, subject=subject))


class Prices(Resource):
    def put(
        self,
        model: str,
        rates: Mapping[str, Mapping[str, Any]],
        *,
        effective_from: str,
        effective_to: str | None = None,
        daily: Mapping[str, Any] | None = None,
        when: Mapping[str, str] | None = None,
        provider: str | None = None,
        match: str = "equals",
        mode: str = "standard",
        source: str | None = None,
        supersedes: str | None = None,
    ) -> Record:
        """Appends a dated price. `rates`: unit -> `{"per": 1000000, "usd": "2.5"}`; instants are RFC 3339.

        A rate may have `tiers`: `[{"above": 200000, "usd": "5"}]`, and `at_least`: units charged for each request.
        `daily`: `{"from": "16:30", "to": "00:30"}`, UTC, and `weekdays`: `["mon", …]`. `when`: what events must say,
        such as `{"image_size": "1024x1024"}`.
        """
        return self._write(
            "PUT",
            "/v1/prices",
            without_none(
                provider=provider,
                model=model,
                match=match,
                mode=mode,
                effective_from=effective_from,
                effective_to=effective_to,
                daily=daily,
                when=when,
                rates=rates,
                source=source,
                supersedes=supersedes,
            ),
        )

    def all(self, *, origin: str = "org", provider: str | None = None, model: str | None = None) -> Iterator[Record]:
        """Every price of the org, or of the origin `overlay` or `catalogue`; past and future ones too."""
        query = without_none(origin=origin, provider=provider, model=model, limit=_PRICES_PAGE)
        return self._pages("/v1/prices", query)

    def resolve(
        self,
        model: str,
        *,
        provider: str | None = None,
        mode: str = "standard",
        at: str | None = None,
        when: Mapping[str, str] | None = None,
    ) -> Record:
        """Which price an event gets that names these, at that instant or now, and every candidate.

        `when` is what the event says besides, such as `{"image_size": "1024x1024"}`.
        """
        query = without_none(model=model, provider=provider, mode=mode, at=at, **(when or {}))
        return self._read("/v1/prices/resolve", query)

    def sync(self) -> Record:
        """Takes over the catalogue installed on the server, whole or not at all."""
        return self._write("POST", "/v1/prices/sync")

    def compare(self, litellm: Mapping[str, Any], *, limit: int | None = None) -> Record:
        """Where LiteLLM's price list, as parsed, disagrees with what the org is charged now.

        Parse it with `Decimal` for its numbers, so that they keep their digits.
        """
        query = "" if limit is None else f"?limit={limit}"
        return self._write("POST", f"/v1/prices/compare{query}", litellm)

    def diff(self, *, limit: int = _CHANGES_MAX) -> Record:
        """What a sync would record now: at most `limit` of its `changes`, and their total."""
        return self._read("/v1/prices/diff", {"limit": limit})


def _ingest_result(answer: Record) -> IngestResult:
    results = tuple(
        EventResult(
            index=result["index"],
            id=result["id"],
            status=result["status"],
            uid=result.get("uid"),
            pricing=result.get("pricing"),
            cost_usd=result.get("cost_usd"),
            unread=tuple(result.get("unread", ())),
        )
        for result in answer["results"]
    )
    return IngestResult(answer["inserted"], answer["duplicates"], answer["conflicts"], results)
