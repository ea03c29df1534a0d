"""A request as its log shows it. Instants are microseconds since 1970, UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tallybook.analytics.answer import EventRecord

DESCRIPTION_CHARS_MAX = 2_000

TOLD = ("request_id", "user_id", "model", "finish_reason", "stream", "input_tokens", "output_tokens")
"""Fields and counters that the log tells of a request's event."""


class Rating(StrEnum):
    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"


@dataclass(frozen=True)
class Feedback:
    """What somebody thought of an answer. Both None: it was given and taken back."""

    rating: Rating | None
    description: str | None
    updated_at_us: int


@dataclass(frozen=True)
class LoggedRequest:
    """An event, of which `TOLD` is known, with its feedback. `messages` is JSON text, where it is kept."""

    event: EventRecord
    feedback: Feedback | None = None
    messages: bytes | None = None

    @property
    def request_id(self) -> str:
        return str(self.event.fields.get("request_id", self.event.event_id))

    @property
    def updated_at_us(self) -> int:
        """The newest correction or feedback; without any, when it happened."""
        corrected_at_us = self.event.recorded_at_us if self.event.revision > 1 else 0
        feedback_at_us = self.feedback.updated_at_us if self.feedback else 0
        return max(self.event.occurred_at_us, corrected_at_us, feedback_at_us)


@dataclass(frozen=True)
class LogPage:
    """`total` counts the requests of all pages."""

    requests: tuple[LoggedRequest, ...]
    total: int


class Chunk(NamedTuple):
    """Messages of some events of one org, by uid, as they are to be stored. `kept_at_us` in microseconds."""

    org_id: str
    kept_at_us: int
    texts: Sequence[tuple[bytes, bytes]]
