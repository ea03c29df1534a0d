"""What is in force, decided here and nowhere else: the revisions that no correction names.

Every read of facts takes its FROM and WHERE from here, so that sums, counts, maxima and lists agree: what is listed or
the greatest from `in_force`, which looks at each fact; what is added up from all `facts`, less what is `superseded`.
"""

from collections.abc import Iterable, Sequence
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


def facts(span: Span) -> Sql:
    """`FROM … WHERE …` over every revision of the span, as `fact`; further conditions follow with AND."""
    return Sql("FROM facts AS fact WHERE") + _within("fact", span)


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


def newest_seq(as_of_us: int | None = None, org_ids: Sequence[str] | None = None) -> Sql:
    """The newest commit recorded by then for these orgs (None: all), 0 if there is none.

    `seq` and `recorded_at` rise together.
    """
    of_orgs = Sql("true") if org_ids is None else one_of("org_id", org_ids)
    recorded = Sql("true") if as_of_us is None else Sql("recorded_at <= ?", (as_of_us,))
    chosen = Sql("WHERE") + of_orgs + Sql("AND") + recorded
    return (
        Sql("SELECT coalesce(max(seq), 0) FROM (SELECT max(seq) AS seq FROM facts")
        + chosen
        + Sql("UNION ALL SELECT max(seq) FROM corrections")
        + chosen
        + Sql(")")
    )


def _within(table: str, span: Span) -> Sql:
    conditions = [
        Sql(
            f"{table}.occurred_at >= ? AND {table}.occurred_at < ?",
            (span.window.start_us, span.window.end_us),
        )
    ]
    if span.org_ids is not None:
        conditions.insert(0, one_of(f"{table}.org_id", span.org_ids))
    if span.seq_max is not None:
        conditions.append(Sql(f"{table}.seq <= ?", (span.seq_max,)))
    return joined(" AND ", conditions)
