"""Refusals of the ledger. Those of balances and states are kept with outcomes and carry plain `details`.

UnknownAccount, UnknownReservation    not of this org
TooManyResults                        an unpaged list above its bound
InsufficientCredits                   more than is available
RefusedOverrun                        the actual amount exceeds the hold and may not be charged
ExternalIdTaken                       another account has it
AboveCeiling                          an amount or a balance no account can have
NotPending                            the reservation is settled, expired or closed
"""

from tallybook.core.errors import Conflict, Insufficient, NotFound, TooLarge
from tallybook.ledger.model import CEILING_MICRO, Reservation


class UnknownAccount(NotFound):
    def __init__(self) -> None:
        super().__init__("there is no such account")


class UnknownReservation(NotFound):
    def __init__(self) -> None:
        super().__init__("there is no such reservation")


class TooManyResults(TooLarge):
    code = "too_many_results"

    def __init__(self, rows_max: int) -> None:
        super().__init__(f"the list has more than {rows_max} rows: ask for pages with limit and offset")


class InsufficientCredits(Insufficient):
    code = "insufficient_credits"

    def __init__(self, *, required_micro: int, available_micro: int) -> None:
        details = {"required_micro": required_micro, "available_micro": available_micro}
        super().__init__("the account has not enough credits available", details)


class RefusedOverrun(Insufficient):
    """`available_micro` is what may be charged beyond the hold: 0 where the org allows none."""

    code = "overrun"

    def __init__(self, *, held_micro: int, actual_micro: int, available_micro: int) -> None:
        details = {"held_micro": held_micro, "actual_micro": actual_micro, "available_micro": available_micro}
        super().__init__("the actual amount exceeds the hold by more than may be charged", details)


class ExternalIdTaken(Conflict):
    code = "external_id_taken"

    def __init__(self, account_id: str) -> None:
        super().__init__("another account has this external id", {"account_id": account_id})


class AboveCeiling(Conflict):
    code = "above_ceiling"

    def __init__(self) -> None:
        super().__init__("amounts and balances end at 8589934591.999999 credits", {"ceiling_micro": CEILING_MICRO})


class NotPending(Conflict):
    code = "reservation_not_pending"

    def __init__(self, reservation: Reservation) -> None:
        details = {"status": reservation.status.value, "actual_micro": reservation.actual_micro}
        super().__init__(f"the reservation is {reservation.status}", details)
