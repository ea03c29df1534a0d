"""`GET /v1/events/export`: all events of a question as a file."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from tallybook.analytics.export import FileFormat
from tallybook.analytics.query import EventQuery
from tallybook.analytics.service import UsageService
from tallybook.http.access import CallerOf
from tallybook.http.native.events_read import ChosenEvents, query_from

_MEDIA = {
    FileFormat.CSV: "text/csv",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}
_PART_BYTES = 2**18


class ExportParams(ChosenEvents):
    format: FileFormat = Field(FileFormat.NDJSON, description="Of the file.")


def router(usage: UsageService, folder: Path) -> APIRouter:
    """`folder` holds a file from its beginning until it is whole."""
    routes = APIRouter(tags=["events"])

    @routes.get(
        "/v1/events/export",
        summary="Events as a file, one row each, in no particular order",
        response_class=Response,
        responses={200: {"content": {media: {"schema": {"type": "string"}} for media in _MEDIA.values()}}},
    )
    def export_events(params: Annotated[ExportParams, Query()], caller: CallerOf) -> Response:
        file, size = _written(usage, query_from(params, caller), params.format, folder)
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="events.{params.format}"',
            "Cache-Control": "no-store",
        }
        return StreamingResponse(_parts(file), media_type=_MEDIA[params.format], headers=headers)

    return routes


def _written(usage: UsageService, query: EventQuery, file_format: FileFormat, folder: Path) -> tuple[BinaryIO, int]:
    """The open file, which has no name any more and goes when it is closed, and its size."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(dir=folder))
    try:
        path = own / "events"
        usage.export(query, file_format, path)
        return path.open("rb"), path.stat().st_size
    finally:
        shutil.rmtree(own)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(_PART_BYTES):
            yield part
