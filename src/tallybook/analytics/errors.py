"""The refusals of the analytics room."""

from tallybook.core.errors import NotFound, Overloaded, TooLarge

_NARROWER = "ask for a shorter range, wider buckets or fewer group_by dimensions, or add filters"


class AnswerTooLarge(TooLarge):
    code = "answer_too_large"


class TooManyRows(AnswerTooLarge):
    def __init__(self, rows_max: int) -> None:
        super().__init__(
            f"the answer has more than {rows_max} rows; ask for fewer buckets per page (limit), a shorter "
            "range, wider buckets, fewer group_by dimensions, or add filters"
        )


class TooManyBuckets(AnswerTooLarge):
    def __init__(self, buckets_max: int) -> None:
        self.buckets_max = buckets_max
        super().__init__(
            f"the range has more than {buckets_max} buckets; ask for a shorter range or wider buckets, "
            "or page through it with limit and page"
        )


class TooManyToExport(AnswerTooLarge):
    def __init__(self, events: int, events_max: int) -> None:
        super().__init__(
            f"{events} events match, and at most {events_max} are exported in one go; ask for a shorter range "
            "(start, end) at a time, or add filters"
        )


class QueryTooHeavy(TooLarge):
    """Not to be retried as it is: it would meet the same bound again, and hold up others once more."""


class QueryTimeout(QueryTooHeavy):
    code = "query_timeout"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(f"the query was stopped after {timeout_seconds:g} seconds; {_NARROWER}")


class QueryOutOfMemory(QueryTooHeavy):
    code = "query_out_of_memory"

    def __init__(self) -> None:
        super().__init__(f"the query needs more memory than there is for it; {_NARROWER}")


class QueriesWaiting(Overloaded):
    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(f"other queries have kept this one waiting for {timeout_seconds:g} seconds; try again")


class NoSuchEvent(NotFound):
    code = "no_such_event"

    def __init__(self, uid: str) -> None:
        super().__init__(f"no event {uid!r}")
