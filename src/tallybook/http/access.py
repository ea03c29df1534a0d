"""Who may call which route: one table, and the gate that reads it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from tallybook.auth.key import Caller, Role, Scope
from tallybook.auth.service import AuthService
from tallybook.core.errors import Forbidden, Unauthenticated, invalid
from tallybook.core.unit_of_work import Repeat
from tallybook.http.rates import KeyRates

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""


@dataclass(frozen=True)
class Access:
    """What a route asks of a key: a scope (None: any valid key) and a role of at least that rank."""

    scope: Scope | None = None
    role: Role = Role.MEMBER
    public: bool = False


PUBLIC = Access(public=True)
CORRECT = Access(Scope.CORRECT, Role.ORG_ADMIN)
ORG_USAGE = Access(Scope.READ, Role.ORG_ADMIN)
LEDGER = Access(Scope.LEDGER, Role.ORG_ADMIN)

ACCESS: Mapping[tuple[str, str], Access] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/docs/{name}"): PUBLIC,
    ("POST", "/v1/events"): Access(Scope.INGEST),
    ("GET", "/v1/events/export"): Access(Scope.READ),
    ("GET", "/v1/events"): Access(Scope.READ),
    ("GET", "/v1/events/{uid}"): Access(Scope.READ),
    ("GET", "/v1/events/{uid}/explain"): Access(Scope.READ),
    ("POST", "/v1/events/{uid}/amend"): CORRECT,
    ("POST", "/v1/events/{uid}/void"): CORRECT,
    ("POST", "/v1/events/{uid}/restore"): CORRECT,
    ("POST", "/v1/events/reprice"): CORRECT,
    ("POST", "/v1/corrections/{correction_id}/undo"): CORRECT,
    ("GET", "/v1/usage/query"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/completions"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/responses"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/conversations"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/embeddings"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/extract"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/classify"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/vector_stores"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/files"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/costs"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/users/{userId}/stats"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/users/{userId}/completions"): Access(Scope.READ),
    ("GET", "/api/v1/llm/usage/completions/{requestId}"): Access(Scope.READ),
    ("POST", "/api/v1/llm/feedback/completions"): Access(Scope.INGEST),
    ("GET", "/api/v1/llm/feedback/completions/{id}"): Access(Scope.READ),
    ("PUT", "/api/v1/llm/feedback/completions/{id}"): Access(Scope.INGEST),
    ("POST", "/api/v1/llm/feedback/responses"): Access(Scope.INGEST),
    ("GET", "/api/v1/llm/feedback/responses/{id}"): Access(Scope.READ),
    ("PUT", "/api/v1/llm/feedback/responses/{id}"): Access(Scope.INGEST),
    ("GET", "/api/v1/sandbox/usage"): Access(Scope.READ),
    ("GET", "/api/v1/budgeting/usage/costs"): ORG_USAGE,
    ("GET", "/v1/organization/usage/completions"): ORG_USAGE,
    ("GET", "/v1/organization/usage/decisions"): ORG_USAGE,
    ("GET", "/v1/organization/usage/embeddings"): ORG_USAGE,
    ("GET", "/v1/organization/usage/moderations"): ORG_USAGE,
    ("GET", "/v1/organization/usage/images"): ORG_USAGE,
    ("GET", "/v1/organization/usage/audio_speeches"): ORG_USAGE,
    ("GET", "/v1/organization/usage/audio_transcriptions"): ORG_USAGE,
    ("GET", "/v1/organization/usage/vector_stores"): ORG_USAGE,
    ("GET", "/v1/organization/usage/code_interpreter_sessions"): ORG_USAGE,
    ("GET", "/v1/organization/usage/file_search_calls"): ORG_USAGE,
    ("GET", "/v1/organization/usage/web_search_calls"): ORG_USAGE,
    ("GET", "/v1/organization/costs"): ORG_USAGE,
    ("POST", "/v1/accounts/create"): LEDGER,
    ("GET", "/v1/accounts"): LEDGER,
    ("GET", "/v1/accounts/get"): LEDGER,
    ("GET", "/v1/accounts/balance"): LEDGER,
    ("POST", "/v1/accounts/credits/add"): LEDGER,
    ("POST", "/v1/accounts/credits/deduct"): LEDGER,
    ("GET", "/v1/accounts/plans"): LEDGER,
    ("POST", "/v1/accounts/plans/assign"): LEDGER,
    ("POST", "/v1/accounts/plans/unassign"): LEDGER,
    ("GET", "/v1/plans"): LEDGER,
    ("POST", "/v1/plans/create"): LEDGER,
    ("POST", "/v1/plans/archive"): LEDGER,
    ("GET", "/v1/transactions"): LEDGER,
    ("POST", "/v1/transactions/create"): LEDGER,
    ("POST", "/v1/reservations/create"): LEDGER,
    ("GET", "/v1/reservations"): LEDGER,
    ("POST", "/v1/reservations/confirm"): LEDGER,
    ("POST", "/v1/reservations/cancel"): LEDGER,
    ("POST", "/v1/reservations/extend"): LEDGER,
    ("GET", "/v1/usage"): LEDGER,
    ("GET", "/v1/models"): LEDGER,
    ("POST", "/v1/models/calculate"): LEDGER,
    ("POST", "/v1/usage/record"): LEDGER,
    ("GET", "/v1/verify"): LEDGER,
    ("POST", "/usage"): Access(Scope.INGEST),
    ("GET", "/usage"): Access(Scope.READ),
    ("GET", "/usage/user/{user_id}"): Access(Scope.READ),
    ("GET", "/usage/{usage_id}"): Access(Scope.READ),
    ("PUT", "/usage/{usage_id}"): CORRECT,
    ("DELETE", "/usage/{usage_id}"): CORRECT,
    ("GET", "/v1/prices"): Access(Scope.READ),
    ("PUT", "/v1/prices"): Access(Scope.ADMIN, Role.ORG_ADMIN),
    ("GET", "/v1/prices/resolve"): Access(Scope.READ),
    ("POST", "/v1/prices/compare"): Access(Scope.READ),
    ("POST", "/v1/prices/sync"): Access(Scope.ADMIN, Role.CLUSTER_ADMIN),
    ("GET", "/v1/prices/diff"): Access(Scope.ADMIN, Role.CLUSTER_ADMIN),
    ("POST", "/v1/keys"): Access(Scope.ADMIN, Role.ORG_ADMIN),
    ("GET", "/v1/audit"): Access(Scope.ADMIN, Role.ORG_ADMIN),
    ("GET", "/v1/keys"): Access(Scope.ADMIN, Role.ORG_ADMIN),
    ("DELETE", "/v1/keys/{key_id}"): Access(Scope.ADMIN, Role.ORG_ADMIN),
    ("POST", "/v1/backup"): Access(Scope.ADMIN, Role.CLUSTER_ADMIN),
    ("POST", "/v1/orgs"): Access(Scope.ADMIN, Role.CLUSTER_ADMIN),
    ("GET", "/v1/orgs"): Access(),
    ("GET", "/v1/orgs/{org}/settings"): Access(Scope.ADMIN, Role.ORG_ADMIN),
    ("PATCH", "/v1/orgs/{org}/settings"): Access(Scope.ADMIN, Role.ORG_ADMIN),
}
"""Every route by method and path template. A test fails when a route has no row here."""

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class Gate:
    """Turns the headers of a request into its caller, if `ACCESS` lets it pass."""

    def __init__(self, auth: AuthService, rates: KeyRates) -> None:
        self._auth = auth
        self._rates = rates

    def admit(self, headers: Headers, method: str, template: str) -> Caller:
        """The caller of the route `template`.

        Raises `Unauthenticated`, `RateLimited`, `Forbidden`, and `NotFound` or `MalformedInput` for what `X-Org-Id` and
        `X-On-Behalf-Of` say.
        """
        sent = dict(headers)
        caller = self._auth.admit(_token(sent), _text(sent, b"x-org-id"), _text(sent, b"x-on-behalf-of"))
        self._rates.count(caller.key.id)
        _check(ACCESS[method, template], caller)
        return caller

    def knows(self, headers: Headers) -> bool:
        """Whether a valid key was sent, whatever it may do."""
        try:
            self._auth.admit(_token(dict(headers)))
        except Unauthenticated:
            return False
        return True


async def _caller(request: Request) -> Caller:
    gate: Gate = request.app.state.gate
    return gate.admit(request.scope["headers"], request.method, request.scope["route"].path_format)


CallerOf = Annotated[Caller, Depends(_caller)]
"""The admitted caller of a route."""


async def repeat_of(request: Request, caller: Caller) -> Repeat | None:
    """What makes this request repeatable: its `Idempotency-Key` and body. None without that header."""
    return repeat_with(request.scope, caller, await request.body())


def repeat_with(scope: Mapping[str, Any], caller: Caller, body: bytes) -> Repeat | None:
    """As `repeat_of`, for a raw endpoint."""
    key = idempotency_key(scope["headers"])
    if key is None:
        return None
    user_id = caller.key.user_id
    return Repeat(
        org_id=caller.org_id,
        # Told apart, as a user may be named like a key.
        caller=f"user:{user_id}" if user_id else f"key:{caller.key.id}",
        method=scope["method"],
        path=scope["path"],
        key=key,
        body_hash=Repeat.hash_of(body),
    )


def idempotency_key(headers: Headers) -> str | None:
    """The `Idempotency-Key`, if sent. Raises `InvalidInput` unless it is 1 to 255 printable ASCII."""
    key = _text(dict(headers), b"idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise invalid("header", "Idempotency-Key", msg="must be 1 to 255 printable ASCII characters")
    return key


def _token(sent: Mapping[bytes, bytes]) -> str:
    scheme, _, token = sent.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() != b"bearer":
        token = sent.get(b"x-api-key", b"")
    text = token.strip().decode("utf-8", "replace")
    if not text:
        raise Unauthenticated("no key was sent: use Authorization: Bearer <key> or X-API-Key: <key>")
    return text


def _text(sent: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = sent.get(name)
    return None if value is None else value.decode("utf-8", "replace")


def _check(access: Access, caller: Caller) -> None:
    if access.scope is not None and access.scope not in caller.key.scopes:
        raise Forbidden(f"this needs a key with the scope {access.scope}")
    if caller.key.role.rank < access.role.rank:
        raise Forbidden(f"this needs a key of the role {access.role}")
