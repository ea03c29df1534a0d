"""`GET /v1/usage/query`: usage and cost in time buckets, as JSON or CSV with the same numbers."""

import csv
import io
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise, repeat
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tallybook import __version__
from tallybook.analytics.answer import UsagePage
from tallybook.analytics.query import BUCKETS_MAX, DEFAULT_MEASURES, MEASURES, Dimension, UsageQuery
from tallybook.analytics.service import UsageService
from tallybook.auth.key import Caller
from tallybook.core.errors import Forbidden
from tallybook.core.money import plain_digits
from tallybook.core.time_window import Bucket, instant_text, zone_named
from tallybook.http.access import CallerOf
from tallybook.http.native import documents
from tallybook.http.native.filters import Filters, Instant, conditions_from, reach_from
from tallybook.http.native.numbers import wire_numbers
from tallybook.http.query_params import Cursor
from tallybook.http.rows import Columns, page_json, parts_of, rows_json

LIMIT_DEFAULT = 31


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"


def _listed(values: list[str]) -> list[str]:
    """Names may be repeated or separated by commas; each counts once."""
    return list(dict.fromkeys(name for value in values for name in value.split(",") if name))


def _measure(name: str) -> str:
    if name not in MEASURES:
        raise ValueError(f"must be one of {', '.join(MEASURES)}")
    return name


def _zone(name: str) -> str:
    return zone_named(name).key


MeasureName = Annotated[str, AfterValidator(_measure), WithJsonSchema({"type": "string", "enum": list(MEASURES)})]


class UsageParams(Filters):
    start: Instant = Field(description="First instant of the range.")
    end: Instant | None = Field(None, description="The instant after the range; now by default.")
    bucket: Bucket = Field(Bucket.DAY, description="Width of a bucket.")
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="IANA zone that buckets follow.")
    group_by: Annotated[list[Dimension], BeforeValidator(_listed)] = Field([], description="One row per combination.")
    measures: Annotated[list[MeasureName], BeforeValidator(_listed)] = Field(
        list(DEFAULT_MEASURES), description="Numbers of each row."
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=BUCKETS_MAX,
        description=f"Buckets of a page, by default {LIMIT_DEFAULT}; CSV without it is the whole range.",
    )
    page: Cursor = Field(None, description="The next_page of the page before.")
    format: Format | None = Field(None, description="Default: CSV if the Accept header asks for text/csv, else JSON.")


def router(usage: UsageService) -> APIRouter:
    routes = APIRouter(tags=["usage"])

    @routes.get(
        "/v1/usage/query",
        summary="Usage and cost in time buckets",
        response_class=Response,
        openapi_extra=documents.answers(
            documents.USAGE_PAGE, "A page of buckets", **{"text/csv": {"schema": {"type": "string"}}}
        ),
    )
    def query_usage(
        params: Annotated[UsageParams, Query()],
        caller: CallerOf,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
        if_none_match: Annotated[str, Header(description="The ETag of an answer: 304 if it still holds.")] = "",
    ) -> Response:
        as_csv = params.format is Format.CSV or (params.format is None and _prefers_csv(accept))
        query = _query_of(params, caller, whole=as_csv and params.page is None)
        headers = _caching_headers(usage.fingerprint(query), as_csv)
        if headers.get("ETag") in list(map(_tag, if_none_match.split(","))):
            return Response(status_code=304, headers=headers)
        page = usage.query(query)
        answer = _csv_response(query, page) if as_csv else _json_response(query, page)
        answer.headers.update(headers)
        return answer

    return routes


def _query_of(params: UsageParams, caller: Caller, *, whole: bool) -> UsageQuery:
    if Dimension.ORG_ID in params.group_by and not caller.is_cluster_admin:
        raise Forbidden("only cluster admins may group by org_id")
    limit = params.limit
    if limit is None and not whole:
        limit = LIMIT_DEFAULT
    return UsageQuery(
        reach=reach_from(params, caller),
        start_us=params.start,
        end_us=params.end,
        bucket=params.bucket,
        zone=zone_named(params.timezone),
        group_by=tuple(params.group_by),
        conditions=conditions_from(params),
        measures=tuple(params.measures) or DEFAULT_MEASURES,
        as_of_us=params.as_of,
        limit=limit,
        page=params.page,
    )


def _caching_headers(fingerprint: str | None, as_csv: bool) -> dict[str, str]:
    """An answer that depends on the clock has no tag. Others may be kept, and must be asked for again."""
    if fingerprint is None:
        return {"Cache-Control": "no-store"}
    tag = f'"{fingerprint}-{"csv" if as_csv else "json"}-{__version__}"'
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, X-API-Key"}


def _tag(told: str) -> str:
    return told.strip().removeprefix("W/")


def _prefers_csv(accept: str) -> bool:
    """Whether `text/csv` is named, and before JSON; weights are not looked at."""
    csv_at, json_at = accept.find("text/csv"), accept.find("application/json")
    return csv_at >= 0 and (json_at < 0 or csv_at < json_at)


def _json_response(query: UsageQuery, page: UsagePage) -> Response:
    columns: Columns = {
        **{
            name: wire_numbers(column, MEASURES[name].decimals)
            for name, column in zip(query.measures, page.numbers, strict=True)
        },
        **dict(zip(query.group_by, page.groups, strict=True)),
    }
    buckets = (
        {"start": start, "end": end, "results": rows_json(columns, rows)}
        for (start, end), rows in zip(_instants(page), page.rows, strict=True)
    )
    return Response(page_json(buckets, page.next_page), media_type="application/json")


def _csv_response(query: UsageQuery, page: UsagePage) -> Response:
    """Rows only: empty buckets have none. The cursor of the next page is the header `X-Next-Page`."""
    decimals = (MEASURES[name].decimals for name in query.measures)
    columns = [*map(_cells, page.groups), *map(_digits, page.numbers, decimals)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["start", "end", *query.group_by, *query.measures])
    for (start, end), rows in zip(_instants(page), page.rows, strict=True):
        for part in parts_of(rows):
            writer.writerows(zip(repeat(start), repeat(end), *(column[part] for column in columns), strict=False))
    headers = {} if page.next_page is None else {"X-Next-Page": page.next_page}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def _instants(page: UsagePage) -> Iterator[tuple[str, str]]:
    """Start and end of each bucket; the next begins where one ends."""
    edges = [window.start_us for window in page.windows] + [window.end_us for window in page.windows[-1:]]
    return pairwise(map(instant_text, edges))


def _cells(values: Sequence[str | bool | None]) -> Sequence[str | None]:
    """As the CSV writer takes them; it would word a flag otherwise."""
    return [str(value).lower() if isinstance(value, bool) else value for value in values]


def _digits(amounts: Sequence[int | None], decimals: int) -> Sequence[str | int | None]:
    if decimals == 0:
        return amounts
    return [None if amount is None else plain_digits(amount, decimals) for amount in amounts]
