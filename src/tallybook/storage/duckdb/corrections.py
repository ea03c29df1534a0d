"""Corrections in DuckDB: a claim ends a revision or begins one, and rows are only ever added."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import duckdb
import msgspec

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.plan import STORABLE, Span
from tallybook.core.errors import Refusal, TallybookError
from tallybook.core.time_window import TimeWindow
from tallybook.core.unit_of_work import Record, RepeatedWithOtherBody, record_of_refusal
from tallybook.corrections.errors import Overtaken
from tallybook.corrections.model import Action, Change, CorrectionRecord
from tallybook.corrections.store import Entry, InForce, Purge
from tallybook.settlement.store import Claim
from tallybook.storage.duckdb import arrivals, usage_sql
from tallybook.storage.duckdb.columns import Columns, Values, fact_parts, joined, request_key_columns
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.events import DuckEventStore, Stamp
from tallybook.storage.duckdb.in_force import Sql, in_force, one_of
from tallybook.storage.duckdb.reading import read_events

_CORRECTIONS = """
    SELECT uid, id, action, superseded, replacement, occurred_at, recorded_at, seq, actor, reason, refund_id
    FROM corrections
"""
_RECORDED = f"{_CORRECTIONS} WHERE org_id = ?"

_ROWS = 1_000
"""Corrections that are handed over at a time."""

Claims = dict[tuple[bytes, str, int | None], str]
"""What is claimed: an end or a beginning of a revision, by which correction."""


class _Outcome(NamedTuple):
    body_hash: bytes
    outcome: Record


class DuckCorrections:
    """Implements `CorrectionStore` of `corrections`, `CorrectedEvents` of `settlement` and `Contents` of `audit`."""

    def __init__(self, engine: DuckEngine, events: DuckEventStore) -> None:
        self._engine = engine
        self._events = events

    def commit(self, entries: Sequence[Entry | Purge]) -> list[Record | BaseException]:
        asked = [entry for entry in entries if isinstance(entry, Entry)]
        with self._events.committing() as stamp:
            flush = _Flush(_claims(stamp.writer, asked), _outcomes(stamp.writer, asked))
            answers = [
                flush.answer(entry) if isinstance(entry, Entry) else _purged(stamp.writer, entry) for entry in entries
            ]
            flush.write(self._engine, stamp)
        return answers

    def history(self, org_id: str, uid: str) -> tuple[Sequence[EventRecord], Sequence[CorrectionRecord]]:
        with arrivals.reading(self._engine) as reader:
            span = Span((org_id,), STORABLE)
            found = read_events(reader, usage_sql.events(self._columns(), span, [UUID(uid)], corrected=False))
            recorded = reader.execute(f"{_RECORDED} AND uid = ? ORDER BY seq", [org_id, UUID(uid)]).fetchall()
        return sorted(found, key=lambda event: event.revision), [_recorded(row) for row in recorded]

    def corrections_of(self, org_id: str | None, correction_id: str, limit: int) -> Sequence[CorrectionRecord]:
        values = [org_id, org_id is None, correction_id, limit]
        with self._engine.reading() as reader:
            rows = reader.execute(f"{_CORRECTIONS} WHERE (org_id = ? OR ?) AND id = ? ORDER BY uid LIMIT ?", values)
            return [_recorded(row) for row in rows.fetchall()]

    def revisions(self, corrections: Sequence[CorrectionRecord]) -> Sequence[EventRecord]:
        instants = [each.occurred_at_us for each in corrections]
        span = Span(None, TimeWindow(min(instants), max(instants) + 1))
        uids = [UUID(each.uid) for each in corrections]
        with arrivals.reading(self._engine, span.window) as reader:
            return read_events(reader, usage_sql.revisions(self._columns(), span, uids))

    def in_force(self, org_id: str) -> tuple[InForce, InForce]:
        span = Span((org_id,), STORABLE)
        listed = Sql("SELECT count(*), sum(known_cost)") + in_force(span, corrected=True)
        summed = (
            Sql(f"SELECT sum(present), sum({usage_sql.value(0)}) FROM (")
            + usage_sql.addends(span, Sql(""), [], ["known_cost"], corrected=True)
            + Sql(")")
        )
        with arrivals.reading(self._engine) as reader:
            rows = [reader.execute(sql.text, sql.parameters).fetchall()[0] for sql in (listed, summed)]
        of_list, of_sums = (InForce(events or 0, cost or 0) for events, cost in rows)
        return of_list, of_sums

    def _columns(self) -> Sequence[str]:
        return self._engine.used_columns.of(usage_sql.EVENT_COLUMNS)

    def content_of(self, identity: bytes) -> bytes:
        with self._engine.reading() as reader:
            row = reader.execute("SELECT content FROM all_keys WHERE key = ?", [UUID(bytes=identity)]).fetchone()
        if row is None:
            raise LookupError("an event that is stored has a key")
        content: bytes = row[0].bytes
        return content

    def recorded(self, org_id: str, wanted: Sql) -> Sequence[CorrectionRecord]:
        """Those of the org that `wanted` goes on to describe: further conditions, order, limit."""
        asked = Sql(_RECORDED, (org_id,)) + wanted
        with self._engine.reading() as reader:
            return [_recorded(row) for row in reader.execute(asked.text, asked.parameters).fetchall()]

    def corrections_of_events(self, org_id: str, claims: Sequence[Claim]) -> Sequence[CorrectionRecord]:
        instants = [claim.occurred_at_us for claim in claims]
        wanted = Sql(
            f"{_RECORDED} AND occurred_at BETWEEN ? AND ? AND", (org_id, min(instants), max(instants))
        ) + one_of("uid", {UUID(bytes=claim.uid) for claim in claims})
        with self._engine.reading() as reader:
            return [_recorded(row) for row in reader.execute(wanted.text, wanted.parameters).fetchall()]

    @contextmanager
    def corrections_of_billed(self, org_id: str) -> Iterator[Iterator[Sequence[CorrectionRecord]]]:
        billed = (
            "AND EXISTS (SELECT 1 FROM facts WHERE facts.uid = corrections.uid AND facts.org_id = corrections.org_id"
            " AND facts.occurred_at = corrections.occurred_at AND transaction_id IS NOT NULL)"
        )
        with arrivals.reading(self._engine) as reader:
            found = reader.execute(f"{_RECORDED} {billed}", [org_id])
            yield ([_recorded(row) for row in part] for part in iter(lambda: found.fetchmany(_ROWS), []))


class _Flush:
    """What one commit adds, entry by entry, each seeing what those before it have claimed."""

    def __init__(self, claims: Claims, outcomes: dict[bytes, _Outcome]) -> None:
        self._claims = claims
        self._outcomes = outcomes
        self._changes: list[Change] = []
        self._kept: dict[bytes, _Outcome] = {}

    def answer(self, entry: Entry) -> Record | BaseException:
        repeat = entry.repeat
        known = None if repeat is None else self._outcomes.get(repeat.request)
        if repeat is not None and known is not None:
            return known.outcome if known.body_hash == repeat.body_hash else RepeatedWithOtherBody()
        outcome = self._done(entry)
        if repeat is not None and not isinstance(outcome, BaseException):
            self._kept[repeat.request] = self._outcomes[repeat.request] = _Outcome(repeat.body_hash, outcome)
        return outcome

    def _done(self, entry: Entry) -> Record | BaseException:
        outcome = entry.outcome
        if isinstance(outcome, TallybookError):
            return record_of_refusal(outcome) if isinstance(outcome, Refusal) else outcome
        if entry.change is not None and not self._take(entry.change):
            return Overtaken()
        return outcome or {}

    def _take(self, change: Change) -> bool:
        """Whether the change stands: its claim was free, or is its own from an earlier delivery."""
        claims = _claims_of(change.uid, change.superseded, change.replacement)
        holders = {self._claims.get(claim) for claim in claims}
        if holders != {None}:
            return holders == {change.id}
        self._claims.update(dict.fromkeys(claims, change.id))
        self._changes.append(change)
        return True

    def write(self, engine: DuckEngine, stamp: Stamp) -> None:
        if self._changes:
            stamp.used = True
            _append(stamp.writer, "corrections", _correction_columns(self._changes, stamp))
            _append(stamp.writer, "superseded", _superseded_columns(self._changes, stamp))
            replacing = [change for change in self._changes if change.row is not None]
            if replacing:
                arrivals.append_facts(engine, stamp.writer, _held(_fact_columns(replacing, stamp)))
            _append(stamp.writer, "request_keys", _request_keys(replacing, stamp))
        _append(stamp.writer, "outcomes", _outcome_columns(self._kept, stamp))


def _purged(writer: duckdb.DuckDBPyConnection, purge: Purge) -> Record:
    row = writer.execute("DELETE FROM outcomes WHERE recorded_at < ?", [purge.before_us]).fetchone()
    return {"purged": 0 if row is None else int(row[0])}


def _claims_of(uid: bytes, superseded: int | None, replacement: int | None) -> list[tuple[bytes, str, int | None]]:
    ends = [(uid, "ends", superseded)] if superseded is not None else []
    return [*ends, (uid, "begins", replacement)] if replacement is not None else list(ends)


def _claims(writer: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> Claims:
    changes = [entry.change for entry in entries if entry.change is not None]
    if not changes:
        return {}
    instants = [change.occurred_at_us for change in changes]
    wanted = Sql(
        "SELECT uid, superseded, replacement, id FROM corrections WHERE occurred_at BETWEEN ? AND ? AND",
        (min(instants), max(instants)),
    ) + one_of("uid", {UUID(bytes=change.uid) for change in changes})
    rows = writer.execute(wanted.text, wanted.parameters).fetchall()
    return {claim: id for uid, ended, begun, id in rows for claim in _claims_of(uid.bytes, ended, begun)}


def _outcomes(writer: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> dict[bytes, _Outcome]:
    requests = {UUID(bytes=entry.repeat.request) for entry in entries if entry.repeat is not None}
    if not requests:
        return {}
    wanted = Sql("SELECT request, body_hash, outcome FROM outcomes WHERE") + one_of("request", requests)
    rows = writer.execute(wanted.text, wanted.parameters).fetchall()
    return {request.bytes: _Outcome(body.bytes, msgspec.json.decode(outcome)) for request, body, outcome in rows}


def _append(writer: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Values]) -> None:
    """Appends rows; columns that hold nothing are left out."""
    if held := _held(columns):
        arrivals.append(writer, table, held)


def _held(columns: Mapping[str, Values]) -> dict[str, Values]:
    """Those that hold anything."""
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def _correction_columns(changes: Sequence[Change], stamp: Stamp) -> dict[str, Values]:
    return {
        "org_id": [change.org_id for change in changes],
        "uid": [change.uid for change in changes],
        "superseded": [change.superseded for change in changes],
        "replacement": [change.replacement for change in changes],
        "occurred_at": [change.occurred_at_us for change in changes],
        "recorded_at": [stamp.recorded_at_us] * len(changes),
        "seq": [stamp.seq] * len(changes),
        "id": [change.id for change in changes],
        "action": [change.action.value for change in changes],
        "actor": [change.actor for change in changes],
        "reason": [change.reason for change in changes],
        "refund_id": [change.refund_id for change in changes],
    }


def _fact_columns(changes: Sequence[Change], stamp: Stamp) -> dict[str, Values]:
    rows = [change.row for change in changes if change.row is not None]
    return {
        **joined(fact_parts(rows, revision=0)),
        "revision": [change.replacement for change in changes],
        "refunded": [change.refunded or None for change in changes],
        "seq": [stamp.seq] * len(rows),
        "recorded_at": [stamp.recorded_at_us] * len(rows),
    }


def _superseded_columns(changes: Sequence[Change], stamp: Stamp) -> dict[str, Values]:
    return {
        "is_ended": [change.superseded is not None for change in changes],
        "is_replaced": [change.replacement is not None for change in changes],
        **joined(fact_parts([change.before for change in changes], revision=0)),
        "revision": [_revision_before(change) for change in changes],
        "seq": [stamp.seq] * len(changes),
        "recorded_at": [stamp.recorded_at_us] * len(changes),
    }


def _revision_before(change: Change) -> int:
    if change.superseded is not None:
        return change.superseded
    if change.replacement is None:
        raise ValueError("a change ends a revision or begins one")
    return change.replacement - 1


def _request_keys(changes: Sequence[Change], stamp: Stamp) -> Columns:
    """Also of those whose request id stays: what leads to an event may be there twice."""
    rows = [change.row for change in changes if change.row is not None and change.row.request_key is not None]
    return request_key_columns(rows, stamp.seq)


def _outcome_columns(kept: Mapping[bytes, _Outcome], stamp: Stamp) -> dict[str, Values]:
    return {
        "request": list(kept),
        "body_hash": [each.body_hash for each in kept.values()],
        "outcome": [msgspec.json.encode(each.outcome).decode() for each in kept.values()],
        "recorded_at": [stamp.recorded_at_us] * len(kept),
    }


def _recorded(row: tuple[Any, ...]) -> CorrectionRecord:
    uid, id, action, *rest = row
    return CorrectionRecord(str(uid), id, Action(action), *rest)
