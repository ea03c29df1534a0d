"""Refusals of plans, beside those of the ledger.

UnknownPlan       not of this org
PlanNotActive     archived, or never made active: accounts cannot be put on it

GrantFailed is none of them: nobody asked.
"""

from tallybook.core.errors import Conflict, NotFound


class GrantFailed(Exception):
    """The next grant of that assignment of an org cannot be made. Its cause tells why."""

    def __init__(self, org_id: str, assignment_id: str) -> None:
        super().__init__(f"the next grant of {assignment_id} of {org_id} cannot be made")
        self.org_id = org_id
        self.assignment_id = assignment_id


class UnknownPlan(NotFound):
    def __init__(self) -> None:
        super().__init__("there is no such plan")


class PlanNotActive(Conflict):
    code = "plan_not_active"

    def __init__(self, plan_id: str) -> None:
        super().__init__("the plan is not active", {"plan_id": plan_id})
