"""Events looked into and put right. Records are as the server writes them; costs are decimal text."""

from collections.abc import Iterator, Mapping
from typing import Any

from tallybook.sdk.resource import Record, Resource, segment, without_none


class Events(Resource):
    def get(self, uid: str) -> Record:
        """The event as it is in force."""
        return self._read(f"/v1/events/{segment(uid)}", {})

    def explain(self, uid: str) -> Record:
        """Why it costs what it costs: lines, price, corrections in order, transaction."""
        return self._read(f"/v1/events/{segment(uid)}/explain", {})

    def unpriced(self, **filters: Any) -> Iterator[Record]:
        """Events without a known cost, newest first, each with its `unpriced_reason`."""
        return self._pages("/v1/events", {"limit": 1000, **without_none(**filters), "pricing": "unpriced"})

    def export(self, file_format: str, **filters: Any) -> Iterator[bytes]:
        """All events of the filters as a file, `csv`, `ndjson` or `parquet`, a part at a time."""
        return self._transport.download("/v1/events/export", {"format": file_format, **without_none(**filters)})

    def amend(
        self, uid: str, revision: int, fields: Mapping[str, Any], *, reason: str | None = None, refund: bool = False
    ) -> Record:
        """Replaces fields, None clears one; `revision` is the one that is to be replaced.

        Raises `Conflict` if another one is in force.
        """
        return self._correct(uid, "amend", revision, reason, set=fields, refund=refund)

    def void(self, uid: str, revision: int, *, reason: str | None = None, refund: bool = False) -> Record:
        """Takes the event out of every total and list."""
        return self._correct(uid, "void", revision, reason, refund=refund)

    def restore(self, uid: str, revision: int, *, reason: str | None = None) -> Record:
        """Puts a voided event back."""
        return self._correct(uid, "restore", revision, reason)

    def reprice(
        self, filters: Mapping[str, Any] | None = None, *, reason: str | None = None, dry_run: bool = False
    ) -> Record:
        """Rates events anew, the unpriced ones by default, however long it takes.

        `dry_run`: only tells what would change.
        """
        body = {"filter": dict(filters or {}), "dry_run": dry_run, **without_none(reason=reason)}
        return self._write("POST", "/v1/events/reprice", body, patient=True)

    def undo(self, correction_id: str, *, reason: str | None = None, dry_run: bool = False) -> Record:
        """Gives every event of a correction the content it had before, however long it takes."""
        body = {"dry_run": dry_run, **without_none(reason=reason)}
        return self._write("POST", f"/v1/corrections/{segment(correction_id)}/undo", body, patient=True)

    def _correct(self, uid: str, what: str, revision: int, reason: str | None, **more: Any) -> Record:
        body = {"expected_revision": revision, **without_none(reason=reason), **more}
        return self._write("POST", f"/v1/events/{segment(uid)}/{what}", body)
