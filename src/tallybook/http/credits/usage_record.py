"""Usage recorded beside the ledger (contract section 9.3): it moves no credits."""

from typing import Any

from tallybook.auth.key import Caller
from tallybook.http.credits.convert import to_address
from tallybook.http.credits.operations import Call, Operation
from tallybook.http.credits.usage_told import RecordWanted, UsageRecorded, recorded_shown, to_told
from tallybook.metering.event import Sender
from tallybook.settlement.model import Context
from tallybook.settlement.service import SettlementService


class UsageRecords:
    def __init__(self, settlement: SettlementService) -> None:
        self._settlement = settlement
        self.operations: list[Operation[Any]] = [
            Operation(
                "POST", "/v1/usage/record", "record_usage", "Record usage, of a customer or of the system",
                RecordWanted, UsageRecorded, self._record, hot=True,
            ),
        ]  # fmt: skip

    async def _record(self, call: Call[RecordWanted]) -> UsageRecorded:
        wanted = call.wanted
        recorded = await self._settlement.record(
            Context(wanted.context or Context.CUSTOMER),
            to_address(wanted),
            wanted.transaction_id,
            to_told(wanted),
            sender_of(call.caller),
            call.repeat,
        )
        return UsageRecorded(recorded_shown(recorded))


def sender_of(caller: Caller) -> Sender:
    """The caller as the recorder of usage; whom it acts on behalf of does not matter in this dialect."""
    key = caller.key
    return Sender(org_id=caller.org_id, key_id=key.id, user_id=key.user_id, project_id=key.project_id)
