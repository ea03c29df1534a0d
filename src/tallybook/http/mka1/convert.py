"""Between the bucket operations of the mka1 wire and the analytics room."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tallybook.analytics.answer import UsagePage
from tallybook.analytics.query import MEASURES, Dimension, UsageQuery, Value, conditions_of
from tallybook.auth.key import Caller
from tallybook.core.time_window import SECOND_US, Bucket
from tallybook.http.mka1.numbers import to_wire_numbers
from tallybook.http.mka1.operations import Operation
from tallybook.http.mka1.wire import BucketParams, RangeParams
from tallybook.http.reach import reach_of
from tallybook.http.rows import Columns, seconds_page_json

LIMIT_DEFAULTS = {"1m": 60, "1h": 24, "1d": 7}

FILTERS: Mapping[str, tuple[Dimension, ...]] = {
    # The two published texts on user_ids disagree; rows of either kind of user are kept (contract 14.1).
    "user_ids": (Dimension.USER_ID, Dimension.EXTERNAL_USER_ID),
    "external_user_ids": (Dimension.EXTERNAL_USER_ID,),
    "models": (Dimension.MODEL,),
    "background": (Dimension.BACKGROUND,),
}


def to_query(operation: Operation, params: RangeParams, caller: Caller, *, buckets_max: int) -> UsageQuery:
    """`buckets_max`: of operations without pages. Raises `Forbidden` for a wider scope than the caller's."""
    limit, page = _paging(params)
    return UsageQuery(
        reach=reach_of(caller, org_ids=params.org_ids, all_orgs=params.all_orgs),
        start_us=params.start_time * SECOND_US,
        end_us=None if params.end_time is None else params.end_time * SECOND_US,
        bucket=Bucket(params.bucket_width),
        whole_buckets=True,
        group_by=tuple(map(Dimension, params.group_by)),
        conditions=conditions_of([((Dimension.KIND,), [operation.kind]), *_filters(params)]),
        measures=tuple(operation.numbers.values()),
        limit=limit,
        buckets_max=buckets_max,
        page=page,
    )


def _paging(params: RangeParams) -> tuple[int | None, str | None]:
    if not isinstance(params, BucketParams):
        return None, None
    return params.limit or LIMIT_DEFAULTS[params.bucket_width], params.page


def _filters(params: RangeParams) -> Iterator[tuple[tuple[Dimension, ...], Iterable[Value]]]:
    sent: Mapping[str, Any] = dict(params)
    for name, dimensions in FILTERS.items():
        value = sent.get(name)
        yield dimensions, [value] if isinstance(value, bool) else value or ()


def to_wire_page(operation: Operation, query: UsageQuery, page: UsagePage) -> bytes:
    return seconds_page_json(page.windows, page.rows, _columns(operation, query, page), page.next_page)


def _columns(operation: Operation, query: UsageQuery, page: UsagePage) -> Columns:
    """Every documented field, null where a row has no value for it."""
    numbers = zip(operation.numbers.items(), page.numbers, strict=True)
    return {
        "object": [operation.object] * page.row_count,
        **{field: to_wire_numbers(column, MEASURES[measure].decimals) for (field, measure), column in numbers},
        **dict.fromkeys((*operation.dimensions, *operation.always_null), [None] * page.row_count),
        **dict(zip(query.group_by, page.groups, strict=True)),
    }
