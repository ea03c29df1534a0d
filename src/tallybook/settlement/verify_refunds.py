"""Do corrections and ledger agree? What was decided is in the event store, and gave back no more than was paid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tallybook.core.ids import uid_bytes, uid_text
from tallybook.corrections.model import CorrectionRecord
from tallybook.ledger.verify import Difference
from tallybook.settlement.store import Claim, CorrectedEvents, RefundStore


@dataclass(frozen=True)
class VerifiedRefunds:
    """How many corrections of paid usage were gone through; up to the first difference, if there is one."""

    corrections: int
    difference: Difference | None


class RefundAudit:
    """`before_read` is the drain's."""

    def __init__(self, store: RefundStore, events: CorrectedEvents, before_read: Callable[[], None]) -> None:
        self._store = store
        self._events = events
        self._before_read = before_read

    def verify(self, org_id: str) -> VerifiedRefunds:
        """Takes long on a large org; holds up no writer."""
        count = 0
        # The claims first, then the drain: whatever is claimed in this snapshot is in the event store behind it.
        with self._store.claims(org_id) as parts:
            self._before_read()
            for claims in parts:
                difference = self._unapplied(org_id, claims)
                if difference is not None:
                    return VerifiedRefunds(count, difference)
                count += len(claims)
        return VerifiedRefunds(count, self._first_unclaimed(org_id))

    def _unapplied(self, org_id: str, claims: Sequence[Claim]) -> Difference | None:
        applied = {_name(each): each for each in self._events.corrections_of_events(org_id, claims)}
        for claim in claims:
            difference = _overpaid(claim)
            if difference is not None:
                return difference
            subject, found = uid_text(claim.uid), applied.get(_claim_name(claim))
            if found is None:
                return Difference(None, subject, f"correction {claim.id}", True, False)
            if found.refund_id != claim.refund_id:
                return Difference(None, subject, "refund_id", claim.refund_id, found.refund_id)
        return None

    def _first_unclaimed(self, org_id: str) -> Difference | None:
        with self._events.corrections_of_billed(org_id) as parts:
            for corrections in parts:
                uids = [uid_bytes(each.uid) for each in corrections]
                claimed = set(map(_claim_name, self._store.claims_of(org_id, uids)))
                for each in corrections:
                    if _name(each) not in claimed:
                        return Difference(None, each.uid, f"claim of correction {each.id}", True, False)
        return None


def _overpaid(claim: Claim) -> Difference | None:
    if claim.refunded_micro > claim.amount_micro:
        what = "refunds of the transaction, at most"
        return Difference(None, claim.transaction_id, what, claim.amount_micro, claim.refunded_micro)
    if claim.refund_id is None:
        return None
    if claim.refund_type != "credit":
        return Difference(None, claim.refund_id, "type of the refund", "credit", claim.refund_type)
    if claim.refund_account != claim.account:
        return Difference(None, claim.refund_id, "account of the refund", claim.account, claim.refund_account)
    return None


def _claim_name(claim: Claim) -> tuple[str, int | None, int | None, str]:
    return uid_text(claim.uid), claim.superseded, claim.replacement, claim.id


def _name(correction: CorrectionRecord) -> tuple[str, int | None, int | None, str]:
    return correction.uid, correction.superseded, correction.replacement, correction.id
