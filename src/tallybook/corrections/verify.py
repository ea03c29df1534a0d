"""Do sums agree with the events? What is in force is told in two ways: event by event, and by copies to subtract."""

from dataclasses import astuple, fields

from tallybook.corrections.store import CorrectionStore
from tallybook.ledger.verify import Difference


class SumAudit:
    def __init__(self, store: CorrectionStore) -> None:
        self._store = store

    def verify(self, org_id: str) -> Difference | None:
        """Reads every event of the org; holds up no writer."""
        listed, summed = self._store.in_force(org_id)
        for field, expected, found in zip(fields(listed), astuple(listed), astuple(summed), strict=True):
            if expected != found:
                return Difference(None, org_id, f"{field.name} in force", expected, found)
        return None
