"""Refusals of the settlement room.

UnknownModel          no price is for the model
UnpricedUsage         there is no price for what was used, or none for some of it
UnknownTransaction    not of this org
OutboxFull            usage waits to be delivered to the event store, as much as may wait
"""

from tallybook.core.errors import Fault, InvalidInput, NotFound, Overloaded


class UnknownModel(InvalidInput):
    code = "unknown_model"

    def __init__(self, model: str) -> None:
        super().__init__([Fault(("modelId",), f"there is no price for {model!r}")])


class UnpricedUsage(InvalidInput):
    code = "unpriced_usage"

    def __init__(self, field: str, why: str) -> None:
        super().__init__([Fault((field,), why)])


class UnknownTransaction(NotFound):
    def __init__(self) -> None:
        super().__init__("there is no such transaction")


class OutboxFull(Overloaded):
    code = "outbox_full"

    def __init__(self) -> None:
        super().__init__("too much usage waits for the event store; nothing was stored")
