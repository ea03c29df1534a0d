"""The event store on DuckDB: the key table decides once-ness, the facts are appended without any index."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import cast

import duckdb

from tallybook.core.clock import Clock
from tallybook.core.errors import StorageFull
from tallybook.core.time_window import TimeWindow
from tallybook.metering.event import Outcome, Status, Stored, Submission
from tallybook.storage.duckdb import arrivals
from tallybook.storage.duckdb.columns import Columns, Values, fact_parts, request_key_columns
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.key_generations import Key
from tallybook.storage.duckdb.keys import Keys
from tallybook.storage.duckdb.lookup import select_by
from tallybook.storage.duckdb.waiting import Commit, commits, facts_of, put

_MANY = 1_000
"""Events that are not made to wait when they are committed together."""

_SPREAD_FROM = 2_000
"""Events, waiting and new, that are spread over `facts`. With more of them single events cost less, and a read that has
to add them more: 27 ms for 1 800 of them in place of 20 for 800."""


_LOGGED_MAX = 1_000_000
"""Events of the log, which says little of those that went to the file: at a start it takes 1 µs to read in each."""

_RENEWED_FROM = 1_000_000
"""Events that were added since the file was opened: 50 MB of memory that only a new opening frees."""

_INSERTED = Outcome(Status.INSERTED, None)


@dataclass
class Stamp:
    """What the rows of a commit are stamped with. `used` is to be set once there are any."""

    writer: duckdb.DuckDBPyConnection
    seq: int
    recorded_at_us: int
    used: bool = False


class _Known:
    """What the key table holds of an identity, and the first revision behind it."""

    __slots__ = ("content", "stored")

    def __init__(self, content: bytes, stored: Stored) -> None:
        self.content = content
        self.stored = stored


class DuckEventStore:
    """Implements `metering.store.EventStore`. `disk_reserve_bytes`: free space below which nothing is written."""

    def __init__(self, engine: DuckEngine, clock: Clock, *, wal_bytes_max: int, disk_reserve_bytes: int) -> None:
        self._engine = engine
        self._clock = clock
        self._wal_bytes_max = wal_bytes_max
        self._disk_reserve_bytes = disk_reserve_bytes
        self._seq = self._recorded_at_us = self._waiting = self._logged = self._grown = self._known_opening = 0
        self._renewal_due = False
        self._keys = Keys(engine)
        with suppress(StorageFull):  # which refuses writes, and no start
            self._keys.turn()
        self._take_up()

    @property
    def newest_seq(self) -> int:
        """Of the commits that have been answered, the newest."""
        return self._seq

    def make_ready(self, submissions: Sequence[Submission]) -> object:
        return fact_parts(submissions, revision=1)

    def append(self, submissions: Sequence[Submission], ready: Sequence[object] = ()) -> list[Outcome]:
        self._check_room()
        self._fold_in()
        firsts: dict[bytes, Submission] = {}
        for submission in submissions:
            firsts.setdefault(submission.identity, submission)
        all_firsts = len(firsts) == len(submissions)
        parts = [part for batch in cast(Sequence[Sequence[Columns]], ready) for part in batch]
        known = self._insert_new(firsts, parts if all_firsts else ())
        if not known and all_firsts:
            return [_INSERTED] * len(submissions)
        return [_outcome(submission, firsts, known) for submission in submissions]

    @contextmanager
    def committing(self) -> Iterator[Stamp]:
        """A commit of other rows of the event store, under the next number. On the writer's thread only.

        Raises `StorageFull`.
        """
        self._check_room()
        self._refresh()
        seq, recorded_at_us = self._seq + 1, max(self._clock.now_us(), self._recorded_at_us)
        with self._engine.transaction() as writer:
            stamp = Stamp(writer, seq, recorded_at_us)
            yield stamp
        if stamp.used:
            self._seq, self._recorded_at_us = seq, recorded_at_us
            self._engine.last_commits.tell(seq)

    def maintain(self) -> None:
        self._spread()
        self._fold_in()

    def close(self) -> None:
        try:
            with suppress(StorageFull):  # what waits and the log stay, and are seen to at another time
                self._spread()
                self._engine.checkpoint()
        finally:
            self._engine.close()

    def _fold_in(self) -> None:
        if self._renewal_due:  # after the commit that a checkpoint has held up: each holds up one by itself
            self._renewal_due = False
            if self._engine.renew():
                self._grown = 0
        if self._engine.wal_bytes > self._wal_bytes_max or self._logged > _LOGGED_MAX:
            self._engine.checkpoint()
            if not self._engine.wal_bytes:
                self._logged = 0
                self._renewal_due = self._grown > _RENEWED_FROM

    def _check_room(self) -> None:
        if shutil.disk_usage(self._engine.path.parent).free < self._disk_reserve_bytes:
            raise StorageFull

    def _insert_new(self, firsts: Mapping[bytes, Submission], ready: Sequence[Columns]) -> Mapping[bytes, _Known]:
        """Optimistic: most flushes hold only new events, and a plain INSERT is by far the cheapest judge of that."""
        self._refresh()
        known = self._known(self._keys.find_older(firsts))
        fresh = [row for row in firsts.values() if row.identity not in known]
        try:
            self._insert(fresh, () if known else ready)
        except duckdb.ConstraintException:
            known |= self._known(self._keys.find_newest([row.identity for row in fresh]))
            self._insert([row for row in fresh if row.identity not in known])
        return known

    def _insert(self, rows: Sequence[Submission], ready: Sequence[Columns] = ()) -> None:
        if not rows:
            return
        commit = Commit(self._seq + 1, max(self._clock.now_us(), self._recorded_at_us), rows)
        uids = [row.uid for row in rows]
        instants = [row.occurred_at_us for row in rows]
        keys: dict[str, Values] = {
            "key": [row.identity for row in rows],
            "content": [row.content for row in rows],
            "uid": uids,
            "occurred_at": instants,
            "seq": [commit.seq] * len(rows),
        }
        requests = [row for row in rows if row.request_key is not None]
        waiting = self._waiting + len(rows)
        with self._engine.transaction() as writer:
            arrivals.append(writer, "keys", keys)
            if requests:
                arrivals.append(writer, "request_keys", request_key_columns(requests, commit.seq))
            if len(rows) < _MANY and waiting < _SPREAD_FROM:
                put(writer, commit)
            else:
                parts = [arrivals.stamped(part, commit) for part in ready] or [facts_of([commit])]
                arrivals.spread(self._engine, writer, parts)
                waiting = 0
        self._seq, self._recorded_at_us, self._waiting = commit.seq, commit.recorded_at_us, waiting
        self._engine.last_commits.tell(commit.seq, {row.org_id for row in rows})
        self._logged += len(rows)
        self._grown += len(rows)

    def _spread(self) -> None:
        self._refresh()
        if self._waiting:
            with self._engine.transaction() as writer:
                arrivals.spread(self._engine, writer)
            self._waiting = 0

    def _known(self, keys: Sequence[Key]) -> dict[bytes, _Known]:
        """What is stored under these keys."""
        if not keys:
            return {}
        with self._engine.reading() as reader:
            instants = [key.occurred_at_us for key in keys]
            self._engine.facts.reach(reader, TimeWindow(min(instants), max(instants) + 1))
            facts = select_by(
                reader,
                [key.uid for key in keys],
                "SELECT uid, pricing, cost, user_id, api_key_id FROM facts"
                " WHERE occurred_at BETWEEN ? AND ? AND revision = 1 AND uid IN {}",
                [min(instants), max(instants)],
            )
            stored = {row.uid: _stored(row) for commit in commits(reader) for row in commit.rows}
        stored.update({fact[0].bytes: Stored(fact[0].bytes, *fact[1:]) for fact in facts})
        return {key.key.bytes: _Known(key.content.bytes, stored[key.uid.bytes]) for key in keys}

    def _refresh(self) -> None:
        """Takes in what others have done since: a generation of keys, or an opening."""
        self._keys.turn()
        self._take_up()

    def _take_up(self) -> None:
        """After an opening the last commit is read: what a failing disk answered need not be what it kept."""
        opening = self._engine.openings
        if opening == self._known_opening:
            return
        with self._engine.reading() as reader:
            row = reader.execute(
                "SELECT coalesce(max(seq), 0), coalesce(max(recorded_at), 0), coalesce(sum(waiting), 0)::BIGINT FROM"
                " (SELECT seq, recorded_at, 0 AS waiting FROM facts WHERE run = 0"
                " UNION ALL SELECT until, recorded_at, 0 FROM runs"
                " UNION ALL SELECT seq, recorded_at, 0 FROM corrections"
                " UNION ALL SELECT seq, recorded_at, events FROM arrivals)"
            ).fetchone()
        if row is None:
            raise RuntimeError("an aggregate without groups always has a row")
        self._seq, self._recorded_at_us, self._waiting = row
        self._known_opening = opening
        self._engine.last_commits.tell(self._seq)


def _outcome(submission: Submission, firsts: Mapping[bytes, Submission], known: Mapping[bytes, _Known]) -> Outcome:
    earlier = known.get(submission.identity)
    if earlier is not None:
        return _repeated(submission, earlier.content, earlier.stored)
    first = firsts[submission.identity]
    if first is submission:
        return _INSERTED
    return _repeated(submission, first.content, _stored(first))


def _stored(row: Submission) -> Stored:
    return Stored(row.uid, row.rating.pricing.value, row.rating.cost_pico, row.user_id, row.api_key_id)


def _repeated(submission: Submission, content: bytes, stored: Stored) -> Outcome:
    """The same content counts as the same event only from the same user: another one's blank is another claim."""
    same = submission.content == content and submission.user_id == stored.user_id
    return Outcome(Status.DUPLICATE if same else Status.CONFLICT, stored)
