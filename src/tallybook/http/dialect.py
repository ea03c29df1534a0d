"""What makes a dialect: the paths it claims and how it words an error.

Rooms raise `TallybookError`; the errors below exist only on the way in. A dialect renders every one of them, for any
path it claims, also where no route matched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tallybook.core.errors import NotFound, Overloaded, TallybookError, Unauthenticated

Answer = TypeVar("Answer")


class UnknownRoute(NotFound):
    code = "unknown_route"


class MethodNotAllowed(TallybookError):
    code = "method_not_allowed"

    def __init__(self, method: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(f"{method} is not offered here; {', '.join(allowed)} is")


class InternalError(TallybookError):
    """Stands in for an unexpected failure, whose details stay in the log."""

    code = "internal"


@dataclass(frozen=True)
class Rendered:
    """An answer ready for the wire."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dialect:
    """`render(error, path)` words any error for a caller of `path`. Of the paths and prefixes that fit, the longest
    decides the dialect; `paths` are claimed as they stand and nothing below them.

    `error_type` and `error_schema` describe such a body in the OpenAPI document.
    """

    name: str
    prefixes: tuple[str, ...]
    render: Callable[[TallybookError, str], Rendered]
    error_type: str = "application/json"
    error_schema: Mapping[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ()


def nearest(answers: Mapping[type[TallybookError], Answer], error: TallybookError) -> Answer:
    """Of a table by kinds of error, what stands for the kind of this one, else for its nearest base."""
    return next(answers[kind] for kind in type(error).__mro__ if kind in answers)


def headers_of(error: TallybookError) -> dict[str, str]:
    """What HTTP itself has to say of an error, in every dialect."""
    match error:
        case Overloaded():
            return {"Retry-After": str(error.retry_after_seconds)}
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case MethodNotAllowed():
            return {"Allow": ", ".join(error.allowed)}
    return {}
