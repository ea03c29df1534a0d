"""How far a caller may look: the walls between orgs and members, in every dialect."""

from collections.abc import Sequence

from tallybook.analytics.query import Reach
from tallybook.auth.key import Caller
from tallybook.core.errors import Forbidden


def reach_of(caller: Caller, *, org_ids: Sequence[str] = (), all_orgs: bool = False) -> Reach:
    """Members see their user's rows, or their key's if it has no user; admins the org they act in.

    `org_ids` and `all_orgs` ask for more (the ids win). Raises `Forbidden` unless for a cluster admin.
    """
    if (org_ids or all_orgs) and not caller.is_cluster_admin:
        raise Forbidden("only cluster admins may ask for other organizations (org_ids, all_orgs)")
    orgs = tuple(sorted(set(org_ids))) or (None if all_orgs else (caller.org_id,))
    key = caller.key
    return Reach(
        asker=key.id,
        org_ids=orgs,
        user_id=None if caller.is_org_admin else key.user_id,
        api_key_id=None if caller.is_org_admin or key.user_id else key.id,
        external_user_id=caller.on_behalf_of,
    )
