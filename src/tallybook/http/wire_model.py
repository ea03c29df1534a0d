"""The base of answers, and of what a dialect reads by itself."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from tallybook.core.errors import Fault, InvalidInput, invalid
from tallybook.http.body import read_json

Wanted = TypeVar("Wanted", bound=BaseModel)


class WireModel(BaseModel):
    """Built by one thread when it is first used, in a millisecond or two: no start needs any of some sixty.

    Not for what the framework reads: built late, it makes pydantic warn of what the framework adds to it.
    """

    model_config = ConfigDict(defer_build=True)


def _plain(text: str) -> str:
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        raise ValueError("must not contain control characters")
    return text


PLAIN = AfterValidator(_plain)
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=255), PLAIN]
"""Names and ids as callers choose them."""


def read_wanted(kind: type[Wanted], body: bytes, *place: str) -> Wanted:
    """Raises `MalformedInput`, and `InvalidInput` with every fault, each below `place`."""
    sent = read_json(body)
    if not isinstance(sent, dict):
        raise invalid("body", msg="must be an object")
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, *place)) from None


def faults_of(error: ValidationError, *place: str) -> list[Fault]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault((*place, *fault["loc"]), in_words(fault)) for fault in found]


def in_words(fault: Mapping[str, Any]) -> str:
    """What is wrong, in a caller's words."""
    return "is not known here" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
