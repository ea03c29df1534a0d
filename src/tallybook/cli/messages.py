"""What a failed call says on the command line."""

from tallybook.cli.connection import START_HINT
from tallybook.sdk.errors import (
    APIError,
    ClientError,
    Fault,
    InsufficientCredits,
    InvalidRequest,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
    Unreachable,
)


def message_of(error: ClientError) -> str:
    """One line; for refused input one more per fault."""
    match error:
        case Unreachable():
            return f"cannot reach the server at {error.url} ({error.reason}); {START_HINT}"
        case Unauthenticated():
            return f"the server does not accept this key (401: {error.detail}); see --key and TALLYBOOK_API_KEY"
        case PermissionDenied():
            return f"this key may not do that (403: {error.detail})"
        case InvalidRequest() if error.errors:  # the first of them is the detail
            return "\n".join(["the server refused the input (422)", *map(_fault_line, error.errors)])
        case InvalidRequest():
            return f"the server refused the input (422: {error.detail})"
        case InsufficientCredits():
            facts = [f"{name} {value}" for name, value in error.details.items() if name != "reason"]
            return f"{error.detail} (402 {error.code}): {', '.join(facts)}"
        case Overloaded(status=429):
            return f"{error.detail} (429 {error.code}); try again {_when(error.retry_after_seconds)}"
        case Overloaded(code="overloaded" | "outbox_full"):  # other 503s, as of a damaged file, do not end by waiting
            return f"the server is too busy ({error.status}: {error.detail}); try again later"
        case APIError():
            return f"{error.detail} ({error.status} {error.code})"
        case _:
            return str(error)


def _when(seconds: int | None) -> str:
    if seconds is None:
        return "later"
    if seconds < 120:
        return f"in {seconds} s"
    hours, minutes = divmod(-(-seconds // 60), 60)  # rounded up, so that it is not too early
    return f"in {hours} h {minutes} min" if hours else f"in {minutes} min"


def _fault_line(fault: Fault) -> str:
    return f"  {'.'.join(map(str, fault.loc))}: {fault.msg}"
