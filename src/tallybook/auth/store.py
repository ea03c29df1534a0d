"""What the auth room asks of a disk."""

from typing import Protocol

from tallybook.auth.key import Key
from tallybook.core.unit_of_work import Transaction

Position = tuple[int, str]
"""Where a key stands in the list of its org: (`created_at_us`, id)."""


class KeyStore(Protocol):
    """Keys by the hash of their text.

    Reads see the newest commit, or with `transaction` what it has done so far.
    """

    def find_by_hash(self, text_hash: bytes) -> Key | None:
        """The key of that text, whatever its org, revoked and expired ones too."""
        ...

    def find(self, org_id: str, key_id: str, transaction: Transaction | None = None) -> Key | None: ...

    def list_keys(self, org_id: str, *, before: Position | None, limit: int) -> list[Key]:
        """At most `limit` keys of the org, newest first, from those older than `before`."""
        ...

    def list_bootstrap(self, org_id: str, transaction: Transaction | None = None) -> list[Key]:
        """Every bootstrap key the org ever had, newest first."""
        ...

    def add(self, transaction: Transaction, key: Key, text_hash: bytes) -> None:
        """Adds a key whose id and hash are new."""
        ...

    def set_revoked_at(self, transaction: Transaction, org_id: str, key_id: str, revoked_at_us: int | None) -> None: ...
