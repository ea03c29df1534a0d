"""The fields an event has on the native wire, and how text becomes their value.

Numbers become int or `Decimal`, digit for digit; nothing here is a float.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from functools import partial
from typing import Any

from tallybook.cli.instants import utc_text
from tallybook.sdk import exact_json

COUNTER_MAX = 2**53 - 1

TEXT_FIELDS = (
    *("id", "source", "kind"),
    *("user_id", "external_user_id", "project_id", "team_id", "api_key_id", "account_id", "transaction_id"),
    *("session_id", "context", "image_size", "image_quality", "image_operation", "vector_store_id"),
    *("context_level", "api_source", "session_kind"),
    *("provider", "model", "operation", "endpoint", "service_tier"),
    *("request_id", "finish_reason", "description"),
)
FLAG_FIELDS = ("batch", "background", "stream", "unreported")
WHOLE_FIELDS = ("latency_ms", "ttft_ms")
WHOLE_COUNTERS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("cache_write_5m_tokens", "cache_write_30m_tokens", "cache_write_1h_tokens", "cache_write_12h_tokens"),
    *("reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "cache_read_audio_tokens"),
    *("input_image_tokens", "output_image_tokens", "cache_read_image_tokens"),
    *("images", "web_searches", "requests", "bytes"),
    *("conversations_created", "items_added", "operations", "files_created", "request_count", "duration_ms"),
    *("workspace_bytes_in", "workspace_bytes_out", "files_changed", "oom_killed", "reserved_memory_mib"),
)
DECIMAL_COUNTERS = ("audio_seconds", "characters", "units", "peak_memory_mib")

Convert = Callable[[str], Any]

_WHOLE = re.compile(r"\d{1,40}", re.ASCII)
_DECIMAL = re.compile(r"\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class UnknownField(ValueError):
    """No event has a field of that name; the message names near ones."""


@dataclass(frozen=True)
class Field:
    """A place in an event and how text becomes its value (`convert` raises `ValueError`).

    `group` is the object it is in, `usage` or `metadata`; None at the top.
    """

    name: str
    group: str | None
    convert: Convert

    @property
    def path(self) -> str:
        return f"{self.group}.{self.name}" if self.group else self.name

    def place(self, event: dict[str, Any], value: Any) -> None:
        if self.group is None:
            event[self.name] = value
        else:
            event.setdefault(self.group, {})[self.name] = value


class Fields:
    """Every field by its names: `input_tokens` and `usage.input_tokens`, `metadata.<any name>`."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone` is that of times which name none."""
        self._by_name = {
            **_fields(TEXT_FIELDS, None, str),
            **_fields(FLAG_FIELDS, None, _flag),
            **_fields(WHOLE_FIELDS, None, _whole),
            **_fields(["messages"], None, _json),
            **_fields(["metadata"], None, _json_object),
            **_fields(["cost_usd"], None, _decimal_text),
            **_fields(["occurred_at"], None, partial(utc_text, zone=zone)),
            **_fields(WHOLE_COUNTERS, "usage", _whole),
            **_fields(DECIMAL_COUNTERS, "usage", _decimal),
        }

    def find(self, name: str) -> Field | None:
        group, _, rest = name.partition(".")
        if group == "metadata" and rest:
            return Field(rest, "metadata", str)
        if group == "usage" and rest:
            field = self._by_name.get(rest)
            return field if field is not None and field.group == "usage" else None
        return self._by_name.get(name)

    def get(self, name: str) -> Field:
        """The field of that name. Raises `UnknownField`."""
        field = self.find(name)
        if field is None:
            near = difflib.get_close_matches(name.removeprefix("usage."), self._by_name, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UnknownField(f"an event has no field {name!r}{hint}")
        return field


def _fields(names: Iterable[str], group: str | None, convert: Convert) -> Mapping[str, Field]:
    return {name: Field(name, group, convert) for name in names}


def _whole(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError("must be a whole number, 0 or more")
    number = int(text)
    if number > COUNTER_MAX:
        raise ValueError(f"must be at most {COUNTER_MAX}")
    return number


def _decimal(text: str) -> Decimal:
    return Decimal(_decimal_text(text))


def _decimal_text(text: str) -> str:
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError("must be a decimal number such as 12.5, 0 or more")
    return text


def _flag(text: str) -> bool:
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise ValueError("must be true or false")
    return flag


def _json(text: str) -> Any:
    try:
        return exact_json.loads(text)
    except ValueError:
        raise ValueError("must be JSON") from None


def _json_object(text: str) -> dict[str, Any]:
    value = _json(text)
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return value
