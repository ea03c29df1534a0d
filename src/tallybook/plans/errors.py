"""Refusals of plans, beside those of the ledger.

UnknownPlan       not of this org
PlanNotActive     archived, or never made active: accounts cannot be put on it
"""

from tallybook.core.errors import Conflict, NotFound


class UnknownPlan(NotFound):
    def __init__(self) -> None:
        super().__init__("there is no such plan")


class PlanNotActive(Conflict):
    code = "plan_not_active"

    def __init__(self, plan_id: str) -> None:
        super().__init__("the plan is not active", {"plan_id": plan_id})
