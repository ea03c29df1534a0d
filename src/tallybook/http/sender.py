"""Whose events a caller sends, in every dialect that takes some."""

from tallybook.auth.key import Caller, Scope
from tallybook.metering.event import Sender


def sender_of(caller: Caller, source: str = "") -> Sender:
    """The caller as metering sees it. `source`: the one of the server's own that it may send under."""
    key = caller.key
    reads = Scope.READ in key.scopes
    return Sender(
        org_id=caller.org_id,
        key_id=key.id,
        user_id=key.user_id,
        project_id=key.project_id,
        external_user_id=caller.on_behalf_of,
        may_name_others=caller.may_name_others,
        reads_org=reads and caller.is_org_admin,
        reads_user_id=key.user_id if reads else None,
        reads_key_id=key.id if reads and key.user_id is None else None,
        source=source,
    )
