"""What waits to be spread over `facts`: the commits as they were taken, and their columns."""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb
import msgspec

from tallybook.metering.event import Submission
from tallybook.storage.duckdb.columns import Columns, fact_parts, joined

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[Submission]).decode


class Commit(NamedTuple):
    """Some events as a commit took them. `recorded_at_us` and `seq` are those of the commit."""

    seq: int
    recorded_at_us: int
    rows: Sequence[Submission]


class WaitingColumns:
    """Columns of `facts` made once of what waits in one opening of the file, however many read it.

    Whoever asks holds the connection, so that the file can't be opened anew meanwhile: numbers of commits that a
    failing disk did not keep are given again.
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[int, ...], Columns] = (), {}

    def of(self, connection: duckdb.DuckDBPyConnection) -> Columns:
        """Of all that waits as the connection sees it, oldest first; none if nothing does."""
        seqs = tuple(sorted(seq for (seq,) in connection.execute("SELECT seq FROM arrivals").fetchall()))
        made, columns = self._made
        if seqs[: len(made)] != made:  # these do not wait any more
            made, columns = (), {}
        if len(seqs) > len(made):
            fresh = facts_of(commits(connection, made[-1] if made else 0))
            columns = joined([columns, fresh] if columns else [fresh])
            self._made = seqs, columns
        return columns


def put(writer: duckdb.DuckDBPyConnection, commit: Commit) -> None:
    """Lets the events of a commit wait."""
    parameters = [commit.seq, commit.recorded_at_us, len(commit.rows), _ENCODE(commit.rows)]
    writer.execute("INSERT INTO arrivals VALUES (?, ?, ?, ?)", parameters)


def commits(connection: duckdb.DuckDBPyConnection, after: int = 0) -> list[Commit]:
    """What waits of the commits after that one, oldest first."""
    found = connection.execute("SELECT seq, recorded_at, submissions FROM arrivals WHERE seq > ?", [after])
    rows = sorted(found.fetchall())  # sorting takes planning
    return [Commit(seq, recorded_at_us, _DECODE(submissions)) for seq, recorded_at_us, submissions in rows]


def facts_of(taken: Sequence[Commit]) -> Columns:
    """The columns of `facts` for the events of one commit or more."""
    columns = joined(fact_parts([row for commit in taken for row in commit.rows], revision=1))
    columns["seq"] = [commit.seq for commit in taken for _ in commit.rows]
    columns["recorded_at"] = [commit.recorded_at_us for commit in taken for _ in commit.rows]
    return columns
