"""What a correction asks for, on the wire: bodies of the routes below `/v1/events/{uid}/`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tallybook.core.errors import Fault, InvalidInput
from tallybook.corrections.rules import WIRE_NAMES
from tallybook.http.document import later
from tallybook.http.native import documents
from tallybook.http.native.event_wire import FIXED, read_fields
from tallybook.http.wire_model import WireModel

REASON_MAX = 4096

Reason = Annotated[str, StringConstraints(min_length=1, max_length=REASON_MAX)]


class _Asked(WireModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason | None = Field(None, description="Kept with the correction.")


class CorrectionWanted(_Asked):
    expected_revision: int = Field(ge=1, le=2**31 - 1, description="The revision that the caller knows.")


class RefundableWanted(CorrectionWanted):
    refund: bool = Field(False, description="Give back the credits that the event was charged too much.")


class AmendWanted(RefundableWanted):
    set: dict[str, Any] = Field(description="Fields of the event with their new values; null clears one.")


@later
def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """The body as OpenAPI lists it: the framework does not see what `read_wanted` reads."""
    body = {"required": True, "content": {"application/json": {"schema": kind.model_json_schema()}}}
    return {"requestBody": body, **documents.answers(documents.CORRECTED_EVENT, "The event, and what was done to it")}


def to_values(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields of `UsageEvent` with their values. Raises `InvalidInput` with every fault, each under `("set", field)`."""
    faults = [Fault((name,), "cannot be set") for name in sent if name in FIXED]
    values, found = read_fields({name: value for name, value in sent.items() if name not in FIXED}, strict=True)
    faults += found
    if faults:
        raise InvalidInput([Fault(("set", *fault.loc), fault.msg) for fault in faults])
    names = {wire: name for name, wire in WIRE_NAMES.items()}
    return {names.get(name, name): values.get(name) for name in sent}
