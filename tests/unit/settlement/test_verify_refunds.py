"""The audit of refunds finds what is wrong, and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tallybook.core.ids import uid_text
from tallybook.core.unit_of_work import Transaction
from tallybook.corrections.model import Action, Change, CorrectionRecord
from tallybook.settlement.store import Claim, CorrectedEvents, Paid, RefundStore
from tallybook.settlement.verify_refunds import RefundAudit

UID = bytes(16)
CLAIM = Claim(
    uid=UID,
    occurred_at_us=0,
    superseded=1,
    replacement=None,
    id="cor_1",
    transaction_id="txn_1",
    account=1,
    amount_micro=10,
    refunded_micro=10,
    refund_id="txn_2",
    refund_type="credit",
    refund_account=1,
)
APPLIED = CorrectionRecord(uid_text(UID), "cor_1", Action.VOID, 1, None, 0, 0, 1, "key", None, "txn_2")


class Books(RefundStore, CorrectedEvents):
    """What was claimed in the ledger, and what was applied in the event store."""

    def __init__(self, claims: Sequence[Claim], applied: Sequence[CorrectionRecord]) -> None:
        self._claims = claims
        self._applied = applied

    @contextmanager
    def claims(self, org_id: str) -> Iterator[Iterator[Sequence[Claim]]]:
        yield iter([self._claims] if self._claims else [])

    def claims_of(self, org_id: str, uids: Sequence[bytes]) -> Sequence[Claim]:
        return [claim for claim in self._claims if claim.uid in uids]

    def corrections_of_events(self, org_id: str, claims: Sequence[Claim]) -> Sequence[CorrectionRecord]:
        return self._applied

    @contextmanager
    def corrections_of_billed(self, org_id: str) -> Iterator[Iterator[Sequence[CorrectionRecord]]]:
        yield iter([self._applied] if self._applied else [])

    def is_claimed(self, transaction: Transaction, change: Change) -> bool:
        raise NotImplementedError

    def claim(self, transaction: Transaction, change: Change, transaction_id: str) -> None:
        raise NotImplementedError

    def newest_claim(self, org_id: str, transaction_id: str, transaction: Transaction | None = None) -> int:
        raise NotImplementedError

    def find_paid(self, transaction: Transaction, org_id: str, transaction_id: str) -> Paid:
        raise NotImplementedError


def found(claims: Sequence[Claim], applied: Sequence[CorrectionRecord]) -> Any:
    books = Books(claims, applied)
    return RefundAudit(books, books, lambda: None).verify("org")


def test_books_that_agree() -> None:
    assert (found([CLAIM], [APPLIED]).corrections, found([CLAIM], [APPLIED]).difference) == (1, None)
    assert found([], []).difference is None


@pytest.mark.parametrize(
    ("claims", "applied", "what"),
    [
        ([CLAIM], [], "correction cor_1"),
        ([], [APPLIED], "claim of correction cor_1"),
        ([CLAIM], [APPLIED._replace(refund_id=None)], "refund_id"),
        ([CLAIM], [APPLIED._replace(id="cor_2")], "correction cor_1"),
        ([CLAIM], [APPLIED._replace(replacement=2)], "correction cor_1"),
        ([CLAIM._replace(refunded_micro=11)], [APPLIED], "refunds of the transaction, at most"),
        ([CLAIM._replace(refund_type="debit")], [APPLIED], "type of the refund"),
        ([CLAIM._replace(refund_account=2)], [APPLIED], "account of the refund"),
    ],
)
def test_what_differs_is_named(claims: list[Claim], applied: list[CorrectionRecord], what: str) -> None:
    difference = found(claims, applied).difference
    assert difference is not None
    assert difference.what == what
