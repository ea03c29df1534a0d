"""What is in force, decided here and nowhere else: the revisions that no correction names.

Every read of facts takes its FROM and WHERE from here, so that sums, counts, maxima and lists agree: what is listed or
the greatest from `in_force`, which looks at each fact; what is added up from all `facts`, less what is `superseded`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tallybook.analytics.plan import Span


@dataclass(frozen=True)
class Sql:
    """A piece of a statement with the parameters of its question marks."""

    text: str
    parameters: tuple[Any, ...] = ()

    def __add__(self, other: "Sql") -> "Sql":
        return Sql(f"{self.text} {other.text}", self.parameters + other.parameters)


def joined(separator: str, pieces: Iterable[Sql]) -> Sql:
    listed = list(pieces)
    return Sql(
        separator.join(piece.text for piece in listed),
        tuple(value for piece in listed for value in piece.parameters),
    )


def one_of(expression: str, values: Iterable[Any]) -> Sql:
    listed = tuple(values)
    if len(listed) == 1:
        return Sql(f"{expression} = ?", listed)
    return Sql(f"{expression} IN ({', '.join('?' * len(listed))})", listed)


SHOWN = ("facts",)
"""What a reader is shown of the facts."""


def facts(span: Span, commits: Sql | None = None, table: str = "facts") -> Sql:
    """`FROM … WHERE …` over every revision of the span, as `fact`; further conditions follow with AND.

    `commits`: a condition that leaves few of the groups of rows.
    """
    within = [_within("fact", span)] if commits is None else [commits, _within("fact", span)]
    return Sql(f"FROM {table} AS fact WHERE") + joined(" AND ", within)


def superseded(span: Span) -> Sql:
    """As `facts`, over those of them that are not in force: copies, each once."""
    left = "is_replaced" if span.with_voided else "is_ended"
    return Sql("FROM superseded AS fact WHERE") + _within("fact", span) + Sql(f"AND {left}")


def in_force(span: Span, *, corrected: bool) -> Sql:
    """As `facts`, over those that are in force.

    `corrected`: whether a correction falls into the span (see `has_corrections`). If none does, the anti-join
    is left out: it must read the uids, which cost as much as all the sums. With voided events the newest revision of
    each is meant: the one that no correction follows up.
    """
    if not corrected:
        return facts(span)
    # As a join: DuckDB takes a correlated NOT EXISTS apart, over every distinct fact, at four times the cost of it all.
    ended = "replacement - 1" if span.with_voided else "superseded"
    corrections = Sql(f"ANTI JOIN (SELECT uid AS ended_uid, {ended} AS ended_revision") + _corrections(span)
    matched = Sql(") ON ended_uid = fact.uid AND ended_revision = fact.revision WHERE")
    return Sql("FROM facts AS fact") + corrections + matched + _within("fact", span)


def is_voided(span: Span) -> Sql:
    """Whether the `fact` is out of force, as only a voided one is where those are read too."""
    return Sql("EXISTS (SELECT 1") + _corrections(span) + Sql("AND uid = fact.uid AND superseded = fact.revision)")


def _corrections(span: Span) -> Sql:
    # A correction carries the org and instant of its event, so the same span holds every one that matters.
    return Sql("FROM corrections AS correction WHERE") + _within("correction", span)


def has_corrections(span: Span) -> Sql:
    """Whether any fact of the span may be out of force. To be read in the transaction it decides about."""
    return Sql("SELECT count(*) > 0") + _corrections(span)


def newest_commit() -> Sql:
    """The newest commit of a fact or a correction, 0 if there is none.

    Told by the newest keys, of which there are few: each event has one.
    """
    places = ("seq FROM keys", "until FROM key_generations", "seq FROM corrections")
    return Sql(f"SELECT coalesce(max(seq), 0) FROM (SELECT {' UNION ALL SELECT '.join(places)})")


def newest_commit_by(as_of_us: int) -> Sql:
    """As `newest_commit`, of those recorded by then: `seq` and `recorded_at` rise together."""
    recorded = Sql("WHERE recorded_at <= ?", (as_of_us,))
    return (
        Sql("SELECT coalesce(max(seq), 0) FROM (SELECT max(seq) AS seq FROM facts")
        + recorded
        + Sql("UNION ALL SELECT max(seq) FROM corrections")
        + recorded
        + Sql(")")
    )


def _within(table: str, span: Span) -> Sql:
    # What leaves the fewest groups of rows comes first: DuckDB looks at each group's least and greatest values in this
    # order, and at no others once one rules it out. Of a large store all orgs may be in every group.
    conditions = [
        Sql(
            f"{table}.occurred_at >= ? AND {table}.occurred_at < ?",
            (span.window.start_us, span.window.end_us),
        )
    ]
    if span.org_ids is not None:
        conditions.append(one_of(f"{table}.org_id", span.org_ids))
    if span.seq_max is not None:
        conditions.append(Sql(f"{table}.seq <= ?", (span.seq_max,)))
    return joined(" AND ", conditions)
