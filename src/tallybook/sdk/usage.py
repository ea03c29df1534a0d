"""Usage and cost in time buckets, as the server sums them up: exact numbers, money as decimal text.

Both calls walk through all pages and take the same arguments; instants are RFC 3339, and without `end` the range is up
to now. `filters` hold by dimension, where the values of one are alternatives. Names are those of `GET /v1/usage/query`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tallybook.sdk.resource import Record, Resource, without_none

PATH = "/v1/usage/query"
_BUCKETS_PAGE = 1_000


class Usage(Resource):
    def buckets(self, start: str, **asked: Any) -> Iterator[Record]:
        """Every bucket of the range, those without usage too."""
        return self._pages(PATH, _query(start, **asked))

    def csv(self, start: str, **asked: Any) -> Iterator[str]:
        """Lines of CSV as the server writes them, a page at a time: one header, then a line per row."""
        query = {**_query(start, **asked), "format": "csv"}
        page = self._transport.fetch(PATH, query)
        yield page.text
        while following := page.headers.get("X-Next-Page"):
            page = self._transport.fetch(PATH, {**query, "page": following})
            yield page.text.partition("\r\n")[2]


def _query(
    start: str,
    *,
    end: str | None = None,
    bucket: str = "1d",
    timezone: str = "UTC",
    group_by: Sequence[str] = (),
    measures: Sequence[str] = (),
    filters: Mapping[str, Sequence[str]] | None = None,
    as_of: str | None = None,
) -> Record:
    plain = without_none(start=start, end=end, bucket=bucket, timezone=timezone, as_of=as_of, limit=_BUCKETS_PAGE)
    return {**plain, "group_by": group_by, "measures": measures, **(filters or {})}
