"""Corrections as lines of the admin log."""

from collections.abc import Sequence

from tallybook.audit.admin_log import Line, LogQuery
from tallybook.audit.corrected import ACTIONS, line_of
from tallybook.storage.duckdb.corrections import DuckCorrections
from tallybook.storage.duckdb.in_force import Sql, joined

_ID = (
    "printf('correction-%s-%06d-%06d', uid::VARCHAR, coalesce(superseded, 0)::BIGINT, coalesce(replacement, 0)::BIGINT)"
)
"""As `audit.corrected.line_id`."""


class DuckCorrectionLog:
    """Implements `audit.admin_log.LogSource`."""

    def __init__(self, book: DuckCorrections) -> None:
        self._book = book

    def newest(self, query: LogQuery, limit: int) -> Sequence[Line]:
        lines = [line for org_id in query.org_ids for line in self._of_org(org_id, query, limit)]
        return sorted(lines, key=lambda line: line.place, reverse=True)

    def _of_org(self, org_id: str, query: LogQuery, limit: int) -> Sequence[Line]:
        newest = Sql(f"ORDER BY recorded_at DESC, {_ID} DESC LIMIT ?", (limit,))
        found = self._book.recorded(org_id, _narrowed(query) + newest)
        if not found:
            return []
        revisions = {(event.uid, event.revision): event for event in self._book.revisions(found)}
        return [
            line_of(
                org_id,
                each,
                revisions.get((each.uid, each.superseded or 0)),
                revisions.get((each.uid, each.replacement or 0)),
            )
            for each in found
        ]


def _narrowed(query: LogQuery) -> Sql:
    actions = {said: action.value for action, said in ACTIONS.items()}
    sought = {
        "recorded_at >= ?": query.start_us,
        "recorded_at < ?": query.end_us,
        "actor = ?": query.actor,
        "action = ?": None if query.action is None else actions.get(query.action, ""),
        "uid::VARCHAR = ?": query.subject,
    }
    conditions = [Sql(f"AND {condition}", (value,)) for condition, value in sought.items() if value is not None]
    if query.before is not None:
        conditions.append(Sql(f"AND (recorded_at, {_ID}) < (?, ?)", query.before))
    return joined(" ", conditions)
