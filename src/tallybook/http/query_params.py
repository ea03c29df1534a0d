"""Query parameters of dialects that read them by themselves, in every spelling of a list that foreign clients use."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator

from tallybook.core.errors import invalid
from tallybook.core.time_window import BadInstant, TimeWindow, parse_span
from tallybook.http.wire_model import WireModel

INTEGER_MAX = 2**53 - 1

_BRACKETS = re.compile(r"\[\d*\]\Z", re.ASCII)


def _offered(names: list[str], info: ValidationInfo) -> list[str]:
    offered: Sequence[str] = info.context or ()
    unknown = [name for name in names if name not in offered]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: must be one of {', '.join(offered)}")
    return list(dict.fromkeys(names))


def _present(text: str) -> str | None:
    return text or None


Integer = Annotated[int, Field(ge=-INTEGER_MAX, le=INTEGER_MAX)]
Cursor = Annotated[str | None, BeforeValidator(_present)]
OFFERED = AfterValidator(_offered)
"""For names, each once: only those of the context of the validation."""


class TimeParams(WireModel):
    """Times are Unix seconds; the range is half-open."""

    start_time: Integer
    end_time: Integer | None = None

    @field_validator("end_time")
    @classmethod
    def _after_start(cls, end_time: int | None, info: ValidationInfo) -> int | None:
        start_time = info.data.get("start_time")
        if end_time is not None and start_time is not None and end_time <= start_time:
            raise ValueError("must be greater than start_time")
        return end_time


def by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of decoded pairs: repeated keys, `key[]` and `key[0]` are one list."""
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(_BRACKETS.sub("", key), []).append(value)
    return values


def is_list(model: type[BaseModel], name: str) -> bool:
    return isinstance(model.model_fields[name].default, list)


def span_of(text: str, *place: str) -> TimeWindow:
    """The instants that a date or a date-time at `place` means. Raises `InvalidInput`."""
    try:
        return parse_span(text)
    except BadInstant:
        raise invalid(*place, msg="must be a date such as 2026-01-31, or that with time and zone") from None


def documented(model: type[BaseModel], groups: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The parameters as OpenAPI lists them, which the framework does not see; `groups` may be grouped by."""
    schema = model.model_json_schema()
    if "group_by" in schema["properties"]:
        schema["properties"]["group_by"]["items"] = {"type": "string", "enum": list(groups)}
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": described}
        for name, described in schema["properties"].items()
    ]
