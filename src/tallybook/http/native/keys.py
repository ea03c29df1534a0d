"""Keys: `POST /v1/keys`, `GET /v1/keys`, `DELETE /v1/keys/{key_id}`."""

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from tallybook.auth.key import Key, NewKey, Role, Scope
from tallybook.auth.service import AuthService
from tallybook.auth.store import Position
from tallybook.core.errors import invalid
from tallybook.core.paging import Cursors
from tallybook.core.time_window import BadInstant, instant_text, instant_text_or_none, parse_instant
from tallybook.http.access import CallerOf, repeat_of
from tallybook.http.native.listing import PageQuery, position
from tallybook.http.wire_model import ShortText, WireModel


class KeyWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: ShortText
    role: Role
    scopes: list[Scope] | None = Field(None, description="Those of the role by default; members may read and ingest.")
    user_id: ShortText | None = Field(None, description="Whose usage events sent with this key are.")
    project_id: ShortText | None = None
    expires_at: str | None = Field(None, description="RFC 3339; never by default.")
    org_id: ShortText | None = Field(None, description="Another org than your own: cluster admins only.")


class KeyShown(WireModel):
    object: Literal["key"] = "key"
    id: str
    org_id: str
    name: str
    role: Role
    scopes: list[Scope]
    user_id: str | None
    project_id: str | None
    hint: str = Field(description="The first characters of the key.")
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class KeyMade(KeyShown):
    key: str = Field(description="The key itself, shown this once.")


class KeyPage(WireModel):
    object: Literal["list"] = "list"
    data: list[KeyShown]
    has_more: bool
    next_page: str | None


def router(auth: AuthService, cursors: Cursors) -> APIRouter:
    routes = APIRouter(tags=["keys"])

    @routes.post("/v1/keys", status_code=201)
    async def create_key(wanted: KeyWanted, caller: CallerOf, request: Request) -> KeyMade:
        """Makes a key. A repeat under the same `Idempotency-Key` is answered with the same key."""
        made = await auth.create_key(caller, _to_new_key(wanted), await repeat_of(request, caller))
        return KeyMade(**_to_wire(made.key).model_dump(), key=made.text)

    @routes.get("/v1/keys")
    def list_keys(asked: Annotated[PageQuery, Query()], caller: CallerOf) -> KeyPage:
        """The org's keys, newest first, with those revoked and expired."""
        question = f"keys of {caller.org_id}"
        before = cast(Position | None, position(cursors, question, asked.page))
        keys = auth.list_keys(caller.org_id, before=before, limit=asked.limit + 1)
        has_more, keys = len(keys) > asked.limit, keys[: asked.limit]
        following = cursors.seal(question, (keys[-1].created_at_us, keys[-1].id)) if has_more else None
        return KeyPage(data=[_to_wire(key) for key in keys], has_more=has_more, next_page=following)

    @routes.delete("/v1/keys/{key_id}")
    async def revoke_key(key_id: str, caller: CallerOf, request: Request) -> KeyShown:
        """Ends a key at once and for good. Revoking it again changes nothing."""
        return _to_wire(await auth.revoke_key(caller, key_id, await repeat_of(request, caller)))

    return routes


def _to_new_key(wanted: KeyWanted) -> NewKey:
    return NewKey(
        name=wanted.name,
        role=wanted.role,
        scopes=None if wanted.scopes is None else frozenset(wanted.scopes),
        user_id=wanted.user_id,
        project_id=wanted.project_id,
        expires_at_us=None if wanted.expires_at is None else _instant(wanted.expires_at),
        org_id=wanted.org_id,
    )


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except BadInstant as fault:
        raise invalid("body", "expires_at", msg=str(fault)) from None


def _to_wire(key: Key) -> KeyShown:
    return KeyShown(
        id=key.id,
        org_id=key.org_id,
        name=key.name,
        role=key.role,
        scopes=sorted(key.scopes),
        user_id=key.user_id,
        project_id=key.project_id,
        hint=key.hint,
        created_at=instant_text(key.created_at_us),
        expires_at=instant_text_or_none(key.expires_at_us),
        revoked_at=instant_text_or_none(key.revoked_at_us),
    )
