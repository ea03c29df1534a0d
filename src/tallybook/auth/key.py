"""Who may call: keys, their roles and scopes, and the caller that a presented key turns into."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from tallybook.core.unit_of_work import Record


class Scope(StrEnum):
    """What a key may do at all; its role says for whom."""

    INGEST = "ingest"
    READ = "read"
    LEDGER = "ledger"
    CORRECT = "correct"
    ADMIN = "admin"


class Role(StrEnum):
    """How far a key reaches: its own rows, its org, or every org."""

    MEMBER = "member"
    ORG_ADMIN = "org_admin"
    CLUSTER_ADMIN = "cluster_admin"

    @property
    def rank(self) -> int:
        """Roles of a higher rank may do all that lower ones may."""
        return _RANKS[self]

    @property
    def scopes(self) -> frozenset[Scope]:
        """The scopes a key of this role has by default, which are also the only ones it may hold."""
        return _SCOPES[self]


_RANKS: Mapping[Role, int] = {Role.MEMBER: 0, Role.ORG_ADMIN: 1, Role.CLUSTER_ADMIN: 2}
_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.MEMBER: frozenset({Scope.READ, Scope.INGEST}),
    Role.ORG_ADMIN: frozenset(Scope),
    Role.CLUSTER_ADMIN: frozenset(Scope),
}


@dataclass(frozen=True)
class Key:
    """A key without its secret text. Instants are microseconds since 1970, UTC.

    `hint` holds the first characters of the text, to recognise a key in a list. `bootstrap` marks the
    cluster-admin key that the server made or was given at its start.
    """

    id: str
    org_id: str
    name: str
    role: Role
    scopes: frozenset[Scope]
    hint: str
    created_at_us: int
    user_id: str | None = None
    project_id: str | None = None
    expires_at_us: int | None = None
    revoked_at_us: int | None = None
    bootstrap: bool = False

    def is_expired(self, now_us: int) -> bool:
        return self.expires_at_us is not None and self.expires_at_us <= now_us

    def to_record(self) -> Record:
        """The key as outcomes and journals keep it."""
        return asdict(self) | {"scopes": sorted(self.scopes)}

    @staticmethod
    def from_record(record: Record) -> "Key":
        scopes = frozenset(map(Scope, record["scopes"]))
        return Key(**{**record, "role": Role(record["role"]), "scopes": scopes})


@dataclass(frozen=True)
class NewKey:
    """A key as asked for. `scopes` None means those of the role, `org_id` None the asker's org."""

    name: str
    role: Role
    scopes: frozenset[Scope] | None = None
    user_id: str | None = None
    project_id: str | None = None
    expires_at_us: int | None = None
    org_id: str | None = None


@dataclass(frozen=True)
class MadeKey:
    """A new key with its secret text, which nobody can read again."""

    key: Key
    text: str


@dataclass(frozen=True)
class Caller:
    """A key in use: `org_id` is the org it acts in, `on_behalf_of` the end user it was used for, if named."""

    key: Key
    org_id: str
    on_behalf_of: str | None = None

    @property
    def is_cluster_admin(self) -> bool:
        return self.key.role is Role.CLUSTER_ADMIN

    @property
    def is_org_admin(self) -> bool:
        """True for org admins and cluster admins."""
        return self.key.role is not Role.MEMBER

    @property
    def may_name_others(self) -> bool:
        """Whether events written by this caller may name another user or key than its own."""
        return self.is_org_admin or (self.key.user_id is None and Scope.INGEST in self.key.scopes)

    @property
    def actor(self) -> str:
        """The caller as journals name it."""
        return self.key.id
