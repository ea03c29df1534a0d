"""`GET /v1/events/export`: all events of a question as a file."""

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from tallybook.analytics.export import FileFormat
from tallybook.analytics.query import EventQuery
from tallybook.analytics.service import UsageService
from tallybook.core.errors import Overloaded
from tallybook.http.access import CallerOf
from tallybook.http.body import Receive
from tallybook.http.gateway import Send
from tallybook.http.native.events_read import ChosenEvents, query_from

_MEDIA = {
    FileFormat.CSV: "text/csv",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}
_PART_BYTES = 2**18
FILES_MAX = 4
"""Of one org at a time: whoever asks for exports and does not fetch them would fill the disk, which is everybody's."""


class ExportParams(ChosenEvents):
    format: FileFormat = Field(FileFormat.NDJSON, description="Of the file.")


def router(usage: UsageService, folder: Path) -> APIRouter:
    """`folder` holds a file from its beginning until it is whole."""
    routes = APIRouter(tags=["events"])
    places = _Places()

    @routes.get(
        "/v1/events/export",
        summary="Events as a file, one row each, in no particular order",
        response_class=Response,
        responses={200: {"content": {media: {"schema": {"type": "string"}} for media in _MEDIA.values()}}},
    )
    def export_events(params: Annotated[ExportParams, Query()], caller: CallerOf) -> Response:
        query = query_from(params, caller)
        with ExitStack() as held:
            places.take(caller.org_id)
            held.callback(places.give_back, caller.org_id)
            file, size = _written(usage, query, params.format, folder)
            done = held.pop_all().close
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="events.{params.format}"',
            "Cache-Control": "no-store",
        }
        return _Sent(file, done, media_type=_MEDIA[params.format], headers=headers)

    return routes


class _Places:
    """How many files of each org there are, from their beginning until they are sent."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._changing = threading.Lock()

    def take(self, org_id: str) -> None:
        """Raises `Overloaded`."""
        with self._changing:
            if self._taken[org_id] >= FILES_MAX:
                raise Overloaded(f"{FILES_MAX} exports of the org are still being written or fetched", 5)
            self._taken[org_id] += 1

    def give_back(self, org_id: str) -> None:
        with self._changing:
            self._taken[org_id] -= 1


class _Sent(StreamingResponse):
    """Closes the file when it is sent, or the caller hangs up, and says so."""

    def __init__(self, file: BinaryIO, done: Callable[[], None], **options: Any) -> None:
        super().__init__(_parts(file), **options)
        self._file = file
        self._done = done

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
            self._done()


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
    while part := file.read(_PART_BYTES):
        yield part
