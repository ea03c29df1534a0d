"""Who is calling, for which org; and the life of keys from creation to revocation."""

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import replace

from tallybook.auth.errors import KeyFixedBySetting
from tallybook.auth.key import Caller, Key, MadeKey, NewKey, Role, Scope
from tallybook.auth.key_text import SALT_BYTES, KeyTexts, hint_of, is_mistyped
from tallybook.auth.store import KeyStore, Position
from tallybook.core.clock import Clock
from tallybook.core.errors import Forbidden, MalformedInput, NotFound, Unauthenticated, invalid
from tallybook.core.ids import object_id
from tallybook.core.time_window import parse_instant
from tallybook.core.unit_of_work import Journal, JournalEntry, Record, Repeat, Transaction, Writes

SERVER = "server"
"""The actor of changes that the server makes by itself at its start."""

_EXPIRES_AT_MAX_US = parse_instant("2200-01-01T00:00:00Z")
_END_USER = re.compile(r"[\x20-\x7e]{1,150}")


class AuthService:
    """Admits callers and keeps keys. `admit` must be called on one thread, that of the event loop.

    `org_exists` answers for any org id; at most `known_max` keys in use are kept in memory.
    """

    def __init__(
        self,
        store: KeyStore,
        writes: Writes,
        journal: Journal,
        clock: Clock,
        *,
        secret: bytes,
        org_exists: Callable[[str], bool],
        known_max: int = 10_000,
    ) -> None:
        self._store = store
        self._writes = writes
        self._journal = journal
        self._clock = clock
        self._texts = KeyTexts(secret)
        self._org_exists = org_exists
        self._known: dict[str, Caller] = {}
        self._known_max = known_max
        self._fixed_key_id: str | None = None

    def admit(self, token: str, org_id: str | None = None, on_behalf_of: str | None = None) -> Caller:
        """The caller who presents the key text `token`, acting in `org_id` (None: the key's own org).

        Raises `Unauthenticated` for an unknown, revoked or expired key; `Forbidden` for another org unless
        the key is a cluster admin's, then `NotFound` if there is no such org; `MalformedInput` for an
        `on_behalf_of` that is not 1 to 150 printable ASCII characters, or `*`.
        """
        caller = self._known.get(token) or self._looked_up(token)
        if caller.key.is_expired(self._clock.now_us()):
            raise Unauthenticated("the key has expired")
        if org_id is None and on_behalf_of is None:
            return caller
        if on_behalf_of is not None and (on_behalf_of == "*" or not _END_USER.fullmatch(on_behalf_of)):
            raise MalformedInput("X-On-Behalf-Of must be 1 to 150 printable ASCII characters, and not *")
        return Caller(caller.key, self._org_reached(caller, org_id), on_behalf_of)

    def find_key_id(self, text: str, org_id: str) -> str | None:
        """The id of the org's key with that text, whether or not it is valid still."""
        key = self._store.find_by_hash(self._texts.hash(text))
        return key.id if key is not None and key.org_id == org_id else None

    def list_keys(self, org_id: str, *, before: Position | None, limit: int) -> list[Key]:
        """At most `limit` keys of the org, newest first, from those older than `before`."""
        return self._store.list_keys(org_id, before=before, limit=limit)

    async def create_key(self, caller: Caller, wanted: NewKey, repeat: Repeat | None = None) -> MadeKey:
        """Makes a key; a repeat is answered with the same key and text.

        Raises `InvalidInput` for what no key may be, `Forbidden` for rights beyond the caller's own, and
        `NotFound` for an unknown org.
        """
        org_id = self._org_reached(caller, wanted.org_id)
        scopes = _scopes_of(wanted)
        _check_rights(caller, wanted.role, scopes)

        def effect(transaction: Transaction) -> Record:
            salt = secrets.token_bytes(SALT_BYTES)
            text = self._texts.derive(salt)
            key = _key_of(wanted, scopes, org_id, hint_of(text), self._clock.now_us())
            self._add(transaction, key, text, actor=caller.actor)
            # The salt lives in the outcome alone: once that is purged, nothing stored leads to the text.
            return {"v": 1, "key": key.to_record(), "salt": salt.hex()}

        outcome = await self._writes.once(repeat, effect)
        return MadeKey(Key.from_record(outcome["key"]), self._texts.derive(bytes.fromhex(outcome["salt"])))

    async def revoke_key(self, caller: Caller, key_id: str, repeat: Repeat | None = None) -> Key:
        """Ends a key of the caller's org for good; revoking it again changes nothing.

        Raises `NotFound`, `Forbidden` for a key of a higher role, and `KeyFixedBySetting`.
        """

        def effect(transaction: Transaction) -> Record:
            key = self._store.find(caller.org_id, key_id, transaction)
            if key is None:
                raise NotFound("there is no such key")
            if key.role.rank > caller.key.role.rank:
                raise Forbidden(f"a key of the role {key.role} is revoked by one of the same role")
            if key.id == self._fixed_key_id:
                raise KeyFixedBySetting
            return {"v": 1, "key": self._revoke(transaction, key, actor=caller.actor).to_record()}

        async def revoke_and_forget() -> Key:
            outcome = await self._writes.once(repeat, effect)
            key = Key.from_record(outcome["key"])
            self._forget(key)
            return key

        # Shielded: a caller who hangs up must not leave a revoked key remembered as valid.
        return await asyncio.shield(revoke_and_forget())

    async def ensure_bootstrap(self, admin_key: str | None, org_id: str) -> str | None:
        """Gives `org_id`, which exists, its bootstrap cluster-admin key. Called once, at the start.

        With `admin_key` that text is the key, and any other bootstrap key is revoked. Without, a key is made
        if the org never had one, and its text returned for the only time. Raises `InvalidInput` for a text
        that cannot be the bootstrap key.
        """
        if admin_key is not None:
            await self._fix_bootstrap(admin_key, org_id)
            return None
        if self._store.list_bootstrap(org_id):
            return None
        text = self._texts.derive(secrets.token_bytes(SALT_BYTES))
        await self._writes.once(None, lambda transaction: self._add_bootstrap(transaction, text, org_id).to_record())
        return text

    async def _fix_bootstrap(self, text: str, org_id: str) -> None:
        known = self._store.find_by_hash(self._texts.hash(text))
        _check_admin_key(text, known)

        def effect(transaction: Transaction) -> Record:
            for key in self._store.list_bootstrap(org_id, transaction):
                if known is None or key.id != known.id:
                    self._revoke(transaction, key, actor=SERVER)
            key = known or self._add_bootstrap(transaction, text, org_id)
            return self._reinstate(transaction, key).to_record()

        outcome = await self._writes.once(None, effect)
        self._fixed_key_id = outcome["id"]

    def _looked_up(self, token: str) -> Caller:
        if is_mistyped(token):
            raise Unauthenticated("the key is mistyped or cut short")
        key = self._store.find_by_hash(self._texts.hash(token))
        if key is None:
            raise Unauthenticated("the key is unknown")
        if key.revoked_at_us is not None:
            raise Unauthenticated("the key was revoked")
        if len(self._known) >= self._known_max:
            del self._known[next(iter(self._known))]
        caller = self._known[token] = Caller(key, key.org_id)
        return caller

    def _forget(self, key: Key) -> None:
        self._known = {token: caller for token, caller in self._known.items() if caller.key.id != key.id}

    def _org_reached(self, caller: Caller, org_id: str | None) -> str:
        if org_id is None or org_id == caller.org_id:
            return caller.org_id
        if not caller.is_cluster_admin:
            raise Forbidden("another org needs a key of the role cluster_admin")
        if not self._org_exists(org_id):
            raise NotFound("there is no such org")
        return org_id

    def _add_bootstrap(self, transaction: Transaction, text: str, org_id: str) -> Key:
        key = Key(
            id=object_id("key"),
            org_id=org_id,
            name="bootstrap",
            role=Role.CLUSTER_ADMIN,
            scopes=Role.CLUSTER_ADMIN.scopes,
            hint=hint_of(text),
            created_at_us=self._clock.now_us(),
            bootstrap=True,
        )
        self._add(transaction, key, text, actor=SERVER)
        return key

    def _add(self, transaction: Transaction, key: Key, text: str, *, actor: str) -> None:
        self._store.add(transaction, key, self._texts.hash(text))
        entry = JournalEntry(key.org_id, actor, "key.created", key.id, before=None, after=key.to_record())
        self._journal.append(transaction, entry, key.created_at_us)

    def _revoke(self, transaction: Transaction, key: Key, *, actor: str) -> Key:
        if key.revoked_at_us is not None:
            return key
        return self._change(transaction, key, self._clock.now_us(), actor, "key.revoked")

    def _reinstate(self, transaction: Transaction, key: Key) -> Key:
        if key.revoked_at_us is None:
            return key
        return self._change(transaction, key, None, SERVER, "key.reinstated")

    def _change(self, transaction: Transaction, key: Key, revoked_at_us: int | None, actor: str, action: str) -> Key:
        self._store.set_revoked_at(transaction, key.org_id, key.id, revoked_at_us)
        before, after = {"revoked_at_us": key.revoked_at_us}, {"revoked_at_us": revoked_at_us}
        self._journal.append(
            transaction, JournalEntry(key.org_id, actor, action, key.id, before, after), self._clock.now_us()
        )
        return replace(key, revoked_at_us=revoked_at_us)


def _scopes_of(wanted: NewKey) -> frozenset[Scope]:
    scopes = wanted.role.scopes if wanted.scopes is None else wanted.scopes
    if not scopes or not scopes <= wanted.role.scopes:
        allowed = ", ".join(sorted(wanted.role.scopes))
        raise invalid("body", "scopes", msg=f"a key of the role {wanted.role} holds one or more of: {allowed}")
    return scopes


def _check_rights(caller: Caller, role: Role, scopes: frozenset[Scope]) -> None:
    if role.rank > caller.key.role.rank:
        raise Forbidden(f"a key of the role {role} is made by one of the same role")
    if lacking := scopes - caller.key.scopes:
        raise Forbidden(f"your own key lacks what the new one would have: {', '.join(sorted(lacking))}")


def _key_of(wanted: NewKey, scopes: frozenset[Scope], org_id: str, hint: str, now_us: int) -> Key:
    if wanted.expires_at_us is not None and not now_us < wanted.expires_at_us < _EXPIRES_AT_MAX_US:
        raise invalid("body", "expires_at", msg="must be ahead, and before the year 2200")
    return Key(
        id=object_id("key"),
        org_id=org_id,
        name=wanted.name,
        role=wanted.role,
        scopes=scopes,
        hint=hint,
        created_at_us=now_us,
        user_id=wanted.user_id,
        project_id=wanted.project_id,
        expires_at_us=wanted.expires_at_us,
    )


def _check_admin_key(text: str, known: Key | None) -> None:
    if len(text) < 16 or not text.isprintable() or text != text.strip():
        raise invalid("TALLYBOOK_ADMIN_KEY", msg="must be 16 or more printable characters without blanks around them")
    if is_mistyped(text):
        raise invalid("TALLYBOOK_ADMIN_KEY", msg="has the form of a key made by Tallybook but is mistyped")
    if known is not None and not known.bootstrap:
        raise invalid("TALLYBOOK_ADMIN_KEY", msg=f"is already the text of the key {known.id}")
