"""Facts and corrections put straight into an event store, for the tests of reading."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import duckdb

from tallybook.analytics.store import UsageStore
from tallybook.core.time_window import DAY_US, parse_instant
from tallybook.metering.identity import identity_of, request_key_of
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.limits import Limits
from tallybook.storage.duckdb.reading import DuckUsageStore
from tallybook.storage.duckdb.sealing import Sealer

JAN_1 = parse_instant("2026-01-01T00:00:00Z")
_ROWS = 100
"""Of one statement."""


@dataclass(frozen=True)
class Fact:
    """One revision of an event. `set` are further columns: texts, flags, counters, lines."""

    number: int
    org_id: str = "org"
    revision: int = 1
    occurred_at: int = JAN_1
    kind: str = "completion"
    source: str = ""
    event_id: str = ""
    cost: int | None = 0
    known_cost: int = 0
    set: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uid(self) -> UUID:
        return uid_of(self.number)

    @property
    def id(self) -> str:
        return self.event_id or f"event-{self.number}"


def uid_of(number: int) -> UUID:
    return UUID(int=(7 << 76) | (2 << 62) | number)


class Correction(NamedTuple):
    """Names the revision that is out of force (None: a restore), and what replaces it (None: a void)."""

    fact: Fact
    superseded: int | None
    replacement: int | None


class Book(ABC):
    """An event store under test. Every change is one commit, recorded a second after the one before."""

    store: UsageStore

    def __init__(self) -> None:
        self.seq = 0

    @property
    def recorded_at(self) -> int:
        """When the newest commit was recorded."""
        return JAN_1 + 100 * DAY_US + self.seq * 1_000_000

    def record(self, *facts: Fact) -> None:
        self._commit(facts)

    def amend(self, fact: Fact, **changes: Any) -> Fact:
        """Replaces the fact by a next revision and returns that."""
        replacement = replace(fact, revision=fact.revision + 1, **changes)
        self._commit([replacement], Correction(fact, fact.revision, replacement.revision))
        return replacement

    def void(self, fact: Fact) -> None:
        self._commit([], Correction(fact, fact.revision, None))

    def restore(self, fact: Fact) -> Fact:
        """Undoes a void by a next revision of the same content."""
        restored = replace(fact, revision=fact.revision + 1)
        self._commit([restored], Correction(fact, None, restored.revision))
        return restored

    def _commit(self, facts: Iterable[Fact], *corrections: Correction) -> None:
        self.seq += 1
        self.write(list(facts), corrections)

    @abstractmethod
    def write(self, facts: Sequence[Fact], corrections: Sequence[Correction]) -> None:
        """One commit with the number `seq`, recorded at `recorded_at`."""


class DuckBook(Book):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._open(0)

    def close(self) -> None:
        self.engine.close()

    def empty(self) -> None:
        if self.volumes:
            self.close()
            self._open(self._number + 1)
            return
        with self.engine.transaction() as writer:
            for table in ("keys", "request_keys", "facts", "runs", "superseded", "corrections"):
                writer.execute(f"DELETE FROM {table}")
        # One that remembers what no store ever loses.
        self.store = DuckUsageStore(self.engine, Limits(2, 2, timeout_seconds=30))

    @property
    def volumes(self) -> int:
        return len(self.engine.facts.tables) - 1

    def _open(self, number: int) -> None:
        self._number = number
        path = self._folder / f"events-{number}.duckdb"
        self.engine = DuckEngine(path, memory="256MB", threads=2, query_memory="128MB")
        self.store = DuckUsageStore(self.engine, Limits(2, 2, timeout_seconds=30))

    def write(self, facts: Sequence[Fact], corrections: Sequence[Correction]) -> None:
        with self.engine.transaction() as writer:
            rows = [self._columns(fact) for fact in facts]
            self.engine.used_columns.tell({name for row in rows for name in row})
            _insert(writer, "facts", rows)
            self._append_keys(writer, [fact for fact in facts if fact.revision == 1])
            for correction in corrections:
                self._correct(writer, *correction)
        if self.seq % 2:  # so that some facts are in volumes, some in runs and some where they were appended
            sealer = Sealer(self.engine, rows=1, volume_runs=8)
            while sealer.seal():
                pass

    def _columns(self, fact: Fact) -> Mapping[str, Any]:
        return {
            "org_id": fact.org_id,
            "uid": fact.uid,
            "revision": fact.revision,
            "seq": self.seq,
            "occurred_at": fact.occurred_at,
            "recorded_at": self.recorded_at,
            "recorded_by": "key_sender",
            "source": fact.source,
            "event_id": fact.id,
            "kind": fact.kind,
            "batch": False,
            "background": False,
            "stream": False,
            "pricing": "unpriced" if fact.cost is None else "priced",
            "cost": fact.cost,
            "known_cost": fact.known_cost if fact.cost is None else fact.cost,
            **fact.set,
        }

    def _append_keys(self, writer: duckdb.DuckDBPyConnection, facts: Sequence[Fact]) -> None:
        keys, request_keys = [], []
        for fact in facts:
            place = {"uid": fact.uid, "occurred_at": fact.occurred_at, "seq": self.seq}
            key = UUID(bytes=identity_of(fact.org_id, fact.source, fact.id))
            keys.append({"key": key, "content": UUID(int=1), **place})
            request_id = fact.set.get("request_id") or fact.id
            if fact.source or request_id != fact.id:
                request_keys.append({"key": UUID(bytes=request_key_of(fact.org_id, request_id)), **place})
        _insert(writer, "keys", keys)
        _insert(writer, "request_keys", request_keys)

    def _correct(
        self, writer: duckdb.DuckDBPyConnection, fact: Fact, superseded: int | None, replacement: int | None
    ) -> None:
        columns = {
            "org_id": fact.org_id,
            "uid": fact.uid,
            "superseded": superseded,
            "replacement": replacement,
            "occurred_at": fact.occurred_at,
            "recorded_at": self.recorded_at,
            "seq": self.seq,
            "actor": "key_admin",
            "id": f"cor_{self.seq}",
            "action": "amend",
        }
        _insert(writer, "corrections", [columns])
        kinds = {"is_ended": superseded is not None, "is_replaced": replacement is not None}
        _insert(writer, "superseded", [{**self._columns(fact), **kinds}])


def _insert(writer: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Many rows at a time: of a statement for each, nearly all would be planning it."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    marks = f"({', '.join('?' * len(names))})"
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        writer.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([marks] * len(some))}",
            [row.get(name) for row in some for name in names],
        )
