"""Between the mka1 wire and the analytics room."""

from typing import Any

from tallybook.analytics.answer import UsagePage, UsageRow
from tallybook.analytics.query import Dimension, UsageQuery, conditions_of
from tallybook.auth.key import Caller
from tallybook.core.time_window import SECOND_US, Bucket
from tallybook.http.mka1.operations import Operation
from tallybook.http.mka1.wire import BucketParams, ModelParams
from tallybook.http.reach import reach_of

LIMIT_DEFAULTS = {"1m": 60, "1h": 24, "1d": 7}


def to_query(operation: Operation, params: BucketParams, caller: Caller) -> UsageQuery:
    """Raises `Forbidden` for a wider scope than the caller's."""
    return UsageQuery(
        reach=reach_of(caller, org_ids=params.org_ids, all_orgs=params.all_orgs),
        start_us=params.start_time * SECOND_US,
        end_us=None if params.end_time is None else params.end_time * SECOND_US,
        bucket=Bucket(params.bucket_width),
        whole_buckets=True,
        group_by=tuple(map(Dimension, params.group_by)),
        conditions=conditions_of(
            (
                ((Dimension.KIND,), operation.kinds),
                # The filter's two published texts disagree; rows of either kind of user are kept (14.1).
                ((Dimension.USER_ID, Dimension.EXTERNAL_USER_ID), params.user_ids),
                ((Dimension.EXTERNAL_USER_ID,), params.external_user_ids),
                ((Dimension.MODEL,), params.models if isinstance(params, ModelParams) else ()),
            )
        ),
        measures=tuple(operation.numbers.values()),
        limit=params.limit or LIMIT_DEFAULTS[params.bucket_width],
        page=params.page,
    )


def to_wire_page(operation: Operation, query: UsageQuery, page: UsagePage) -> dict[str, Any]:
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": bucket.window.start_us // SECOND_US,
                "end_time": bucket.window.end_us // SECOND_US,
                "results": [_to_wire_row(operation, query, row) for row in bucket.rows],
            }
            for bucket in page.buckets
        ],
        "has_more": page.next_page is not None,
        "next_page": page.next_page,
    }


def _to_wire_row(operation: Operation, query: UsageQuery, row: UsageRow) -> dict[str, Any]:
    """Every documented field, null where the row has no value for it."""
    return {
        "object": operation.object,
        **dict(zip(operation.numbers, row.numbers, strict=True)),
        **dict.fromkeys((*operation.dimensions, *operation.always_null)),
        **dict(zip(query.group_by, row.group, strict=True)),
    }
