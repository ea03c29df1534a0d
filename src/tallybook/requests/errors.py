"""Refusals of the requests room, beside those of `core/errors.py`."""

from tallybook.core.errors import Conflict, NotFound


class NoSuchRequest(NotFound):
    def __init__(self, request_id: str) -> None:
        super().__init__(f"there is no request {request_id!r}")


class NoFeedback(NotFound):
    def __init__(self, request_id: str) -> None:
        super().__init__(f"there is no feedback on the request {request_id!r}")


class FeedbackExists(Conflict):
    code = "feedback_exists"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"there is feedback on the request {request_id!r} already; update it instead")
