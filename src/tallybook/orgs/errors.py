"""Refusals of the orgs room, beside those of `core/errors.py`."""

from tallybook.core.errors import Conflict


class OrgExists(Conflict):
    code = "org_exists"

    def __init__(self, org_id: str) -> None:
        super().__init__(f"an org with the id {org_id} exists already")
